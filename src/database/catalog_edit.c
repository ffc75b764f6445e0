/* catalog_edit.c - how documents change a catalogue (catalog_int.h; catalog_rep.h says what one
 * is).
 *
 * Thread: see catalog_int.h.  Memory: an arena per table and per schema, shared by reference.
 */
#include "base/log.h"
#include "database/catalog_doc.h"
#include "database/catalog_rep.h"

/* --- the sorted arrays --- */

static void
tables_add(struct tables *a, table_cmp *cmp, const struct table_key *k, struct table *t)
{
	size_t i = tables_search(a, cmp, k);

	vec_reserve(a, a->n + 1);
	memmove(a->v + i + 1, a->v + i, (a->n - i) * sizeof *a->v);
	a->v[i] = t;
	a->n++;
}

static void
tables_remove(struct tables *a, const struct table *t)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->v[i] != t)
			continue;
		memmove(a->v + i, a->v + i + 1, (a->n - i - 1) * sizeof *a->v);
		a->n--;
		return;
	}
}

/* --- edits: tables --- */

static struct table *
table_block(void)
{
	struct arena *a = arena_new();
	struct table *t = ARENA_NEW(a, struct table);

	t->refs = 1;
	t->arena = a;
	return t;
}

static str *
copy_strs(struct arena *a, const str *from, size_t n)
{
	str *to = ARENA_ARRAY(a, str, n);

	for (size_t i = 0; i < n; i++)
		to[i] = arena_str(a, from[i]);
	return to;
}

static struct index_info
copy_index(struct arena *a, const struct index_info *from)
{
	struct index_info ix = *from;

	ix.def.name = arena_str(a, from->def.name);
	ix.def.fields = copy_strs(a, from->def.fields, from->def.nfields);
	ix.def.filters = copy_strs(a, from->def.filters, from->def.nfilters);
	ix.def.field = arena_str(a, from->def.field);
	return ix;
}

static void
find_own_indexes(struct table_info *t)
{
	t->by_id = table_index_in(t, S("by_id"), true);
	t->by_creation_time = table_index_in(t, S("by_creation_time"), true);
}

/* A copy of `from` with room for one index more; the index called `without` is left out. */
static struct table *
table_edit(const struct table_info *from, const struct uid *without)
{
	struct table      *t = table_block();
	struct table_info *to = &t->info;

	*to = *from;
	to->name = arena_str(t->arena, from->name);
	to->indexes = ARENA_ARRAY(t->arena, struct index_info, from->nindexes + 1);
	to->nindexes = 0;
	for (size_t i = 0; i < from->nindexes; i++)
		if (!without || !uid_eq(from->indexes[i].id, *without))
			to->indexes[to->nindexes++] = copy_index(t->arena, &from->indexes[i]);
	find_own_indexes(to);
	return t;
}

static void
table_add_index(struct table_info *t, struct index_info ix)
{
	size_t i = t->nindexes++;

	for (; i > 0; i--) {
		const struct index_info *b = &t->indexes[i - 1];
		int                      c = str_cmp(b->def.name, ix.def.name);

		if (c < 0 || (c == 0 && (b->state == INDEX_ENABLED || ix.state != INDEX_ENABLED)))
			break;
		t->indexes[i] = *b;
	}
	t->indexes[i] = ix;
	find_own_indexes(t);
}

/* Hidden and deleting tables keep their numbers occupied (spec 03 section 2.4). */
static void
number_taken(struct catalog *c, struct uid component)
{
	struct space *s = catalog_add_space(c, component);

	while (catalog_numbered(c, component, s->next_number, 0))
		s->next_number++;
}

static void
number_freed(struct catalog *c, const struct table_info *t)
{
	struct space *s = catalog_add_space(c, t->component);

	if (t->number >= TABLE_NO_FIRST_USER && t->number < s->next_number &&
	    !catalog_numbered(c, t->component, t->number, 0))
		s->next_number = t->number;
}

static void
remove_table(struct catalog *c, struct table *t)
{
	tables_remove(&c->by_tablet, t);
	tables_remove(&c->numbers, t);
	if (t->info.state == TABLE_ACTIVE) {
		tables_remove(&c->by_name, t);
		tables_remove(&c->by_number, t);
		c->user_tables -= !t->info.system;
	}
	vec_push(&c->kept, t);
	number_freed(c, &t->info);
}

static void
put_table(struct catalog *c, struct table *t)
{
	struct table_info *i = &t->info;
	struct table_key   number = { i->component, STR_EMPTY, i->number };

	tables_add(&c->by_tablet, tables_cmp_tablet, &(struct table_key){ i->tablet, STR_EMPTY, 0 },
	    t);
	tables_add(&c->numbers, tables_cmp_number, &number, t);
	number_taken(c, i->component);
	if (i->state != TABLE_ACTIVE)
		return;
	tables_add(&c->by_name, tables_cmp_name, &(struct table_key){ i->component, i->name, 0 },
	    t);
	tables_add(&c->by_number, tables_cmp_number, &number, t);
	c->user_tables += !i->system;
}

static void
swap_table(struct tables *a, table_cmp *cmp, const struct table_key *k, struct table *old,
    struct table *t)
{
	size_t i = tables_search(a, cmp, k);

	while (a->v[i] != old)
		i++;
	a->v[i] = t;
}

/* `t` stands where `old` stood: only its indexes differ. */
static void
replace_table(struct catalog *c, struct table *old, struct table *t)
{
	struct table_info *i = &t->info;
	struct table_key   number = { i->component, STR_EMPTY, i->number };

	swap_table(&c->by_tablet, tables_cmp_tablet, &(struct table_key){ i->tablet, STR_EMPTY, 0 },
	    old, t);
	swap_table(&c->numbers, tables_cmp_number, &number, old, t);
	if (i->state == TABLE_ACTIVE) {
		swap_table(&c->by_name, tables_cmp_name,
		    &(struct table_key){ i->component, i->name, 0 }, old, t);
		swap_table(&c->by_number, tables_cmp_number, &number, old, t);
	}
	vec_push(&c->kept, old);
}

static bool
same_place(const struct table_info *a, const struct table_info *b)
{
	return a->number == b->number && a->state == b->state &&
	       uid_eq(a->component, b->component) && str_eq(a->name, b->name);
}

/* Takes the reference; replaces the table with the same tablet. */
static void
add_table_take(struct catalog *c, struct table *t)
{
	struct table *old = catalog_find_tablet(c, t->info.tablet);

	must(!c->sealed);
	if (old && same_place(&old->info, &t->info)) {
		replace_table(c, old, t);
		return;
	}
	if (old)
		remove_table(c, old);
	catalog_add_space(c, t->info.component);
	put_table(c, t);
}

status
catalog_load_table(struct catalog *c, const struct doc *d, struct err *e)
{
	static const struct table_info none;
	struct table                  *old = catalog_find_tablet(c, d->id.uid), *t;
	struct table_row               row;

	TRY(table_row_read(d, &row, e));
	t = table_edit(old ? &old->info : &none, NULL);
	t->info.tablet = d->id.uid;
	t->info.number = row.number;
	t->info.name = arena_str(t->arena, row.name);
	t->info.state = row.state;
	t->info.component = row.component;
	t->info.system = row.name.p[0] == '_';
	add_table_take(c, t);
	return ST_OK;
}

/* --- edits: indexes and schemas --- */

static bool
same_shape(const struct index_def *a, const struct index_def *b)
{
	return index_def_equal(a, b) && str_eq(a->name, b->name);
}

status
catalog_load_index(struct catalog *c, const struct doc *d, struct err *e)
{
	struct arena            *a = arena_new();
	struct index_row         row;
	struct index_info        ix = { .id = d->id.uid };
	struct table            *old, *t;
	const struct index_info *was;
	status                   st = index_row_read(a, d, &row, e);

	if (st != ST_OK)
		goto out;
	old = catalog_find_tablet(c, row.tablet);
	if (!old) {
		log_warn("catalogue: index '%.*s' has no table", STR_ARG(row.def.name));
		goto out;
	}
	was = table_index_by_id(&old->info, ix.id);
	ix.no = was && same_shape(&was->def, &row.def) ? was->no : index_number_next();
	ix.def = row.def;
	ix.state = row.state;
	ix.staged = row.staged;
	t = table_edit(&old->info, &ix.id);
	table_add_index(&t->info, copy_index(t->arena, &ix));
	add_table_take(c, t);
out:
	arena_free(a);
	return st;
}

static status
unload_index(struct catalog *c, const struct doc *d, struct err *e)
{
	struct arena    *a = arena_new();
	struct index_row row;
	struct table    *old;
	status           st = index_row_read(a, d, &row, e);

	if (st == ST_OK) {
		old = catalog_find_tablet(c, row.tablet);
		if (old)
			add_table_take(c, table_edit(&old->info, &d->id.uid));
	}
	arena_free(a);
	return st;
}

static void
unload_schema(struct catalog *c, struct docid id)
{
	for (size_t i = 0; i < c->schemas.n; i++) {
		struct schema_row *s = c->schemas.v[i];

		if (s->info.id.table != id.table || !uid_eq(s->info.id.uid, id.uid))
			continue;
		memmove(c->schemas.v + i, c->schemas.v + i + 1,
		    (c->schemas.n - i - 1) * sizeof *c->schemas.v);
		c->schemas.n--;
		vec_push(&c->kept_schemas, s);
		return;
	}
}

status
catalog_load_schema(struct catalog *c, const struct table_info *schemas, const struct doc *d,
    struct err *e)
{
	struct arena      *a = arena_new();
	struct schema_row *s = ARENA_NEW(a, struct schema_row);
	bool               live;
	status             st;

	st = schema_row_read(a, d, &live, &s->info.state, &s->info.schema, e);
	if (st != ST_OK || !live) {
		arena_free(a);
		return st;
	}
	s->refs = 1;
	s->arena = a;
	s->info.id = d->id;
	s->info.component = schemas->component;
	vec_push(&c->schemas, s);
	return ST_OK;
}

bool
catalog_shaped_by(const struct table_info *t)
{
	return str_eq(t->name, S("_tables")) || str_eq(t->name, S("_index")) ||
	       str_eq(t->name, S("_schemas"));
}

status
catalog_apply(struct catalog *c, const struct doc *old, const struct doc *new, struct err *e)
{
	const struct doc        *d = new ? new : old;
	const struct table_info *of = catalog_tablet(c, d->tablet);

	must(!c->sealed);
	if (!of)
		return err_internal(e, "catalogue: document of an unknown table");
	if (str_eq(of->name, S("_tables"))) {
		struct table *t = catalog_find_tablet(c, d->id.uid);

		if (new)
			return catalog_load_table(c, new, e);
		if (t)
			remove_table(c, t);
		return ST_OK;
	}
	if (str_eq(of->name, S("_index")))
		return new ? catalog_load_index(c, new, e) : unload_index(c, old, e);
	if (!str_eq(of->name, S("_schemas")))
		return ST_OK;
	if (old)
		unload_schema(c, old->id);
	return new ? catalog_load_schema(c, of, new, e) : ST_OK;
}

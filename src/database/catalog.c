/* catalog.c - lookups in a catalogue, and its edits by documents (catalog.h, catalog_int.h).
 *
 * A catalogue is three sorted arrays of pointers to tables, so a copy is a memcpy and a
 * reference per table.  Tables and schemas are immutable blocks of their own; an edit puts a
 * new block in the place of the old one, which the catalogue keeps for those who still
 * hold a pointer to it.
 *
 * Thread: see catalog_int.h.  Memory: an arena per table and per schema, shared by reference.
 */
#include <stdatomic.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "database/catalog_doc.h"
#include "database/catalog_int.h"
#include "value/sortkey.h"

struct table {
	struct table_info info; /* first: a table_info is a table */
	_Atomic uint32_t  refs;
	struct arena     *arena; /* owns this block too */
};

struct schema_row {
	struct schema_info info; /* first */
	_Atomic uint32_t   refs;
	struct arena      *arena;
};

/* What catalog_table_names() hands out. */
struct space {
	const struct catalog *catalog;
	struct uid            component;
};

struct tables {
	struct table **v;
	size_t         n, cap;
};

struct schema_rows {
	struct schema_row **v;
	size_t              n, cap;
};

struct catalog {
	_Atomic uint32_t    refs;
	bool                sealed;
	uint64_t            version;
	uint64_t            base_version;
	struct tables       by_tablet; /* all states */
	struct tables       by_name;   /* active: component, name */
	struct tables       by_number; /* active: component, number */
	struct schema_rows  schemas;   /* pending, validated, active */
	VEC(struct space *) spaces;
	struct tables       kept;      /* replaced in this chain of copies */
	struct schema_rows  kept_schemas;
};

static _Atomic uint64_t next_version = 1;
static _Atomic uint32_t next_index_number = 1;

uint32_t
index_number_next(void)
{
	return atomic_fetch_add_explicit(&next_index_number, 1, memory_order_relaxed);
}

/* --- blocks --- */

static void
table_unref(struct table *t)
{
	if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
		arena_free(t->arena);
}

static void
schema_unref(struct schema_row *s)
{
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		arena_free(s->arena);
}

static void
copy_tables(struct tables *to, const struct tables *from, bool ref)
{
	vec_reserve(to, from->n);
	if (from->n)
		memcpy(to->v, from->v, from->n * sizeof *from->v);
	to->n = from->n;
	for (size_t i = 0; ref && i < to->n; i++)
		atomic_fetch_add_explicit(&to->v[i]->refs, 1, memory_order_relaxed);
}

static void
copy_schemas(struct schema_rows *to, const struct schema_rows *from)
{
	for (size_t i = 0; i < from->n; i++) {
		atomic_fetch_add_explicit(&from->v[i]->refs, 1, memory_order_relaxed);
		vec_push(to, from->v[i]);
	}
}

static void
add_space(struct catalog *c, struct uid component)
{
	struct space *s;

	for (size_t i = 0; i < c->spaces.n; i++)
		if (uid_eq(c->spaces.v[i]->component, component))
			return;
	s = MEM_NEW(struct space);
	s->catalog = c;
	s->component = component;
	vec_push(&c->spaces, s);
}

struct catalog *
catalog_new(void)
{
	struct catalog *c = MEM_NEW(struct catalog);

	c->refs = 1;
	c->version = atomic_fetch_add(&next_version, 1);
	c->base_version = c->version;
	add_space(c, (struct uid){ { 0 } });
	return c;
}

struct catalog *
catalog_copy(struct catalog *base)
{
	struct catalog *c = catalog_new();

	c->base_version = base->base_version;
	copy_tables(&c->by_tablet, &base->by_tablet, true);
	copy_tables(&c->by_name, &base->by_name, false);
	copy_tables(&c->by_number, &base->by_number, false);
	copy_schemas(&c->schemas, &base->schemas);
	for (size_t i = 0; i < base->spaces.n; i++)
		add_space(c, base->spaces.v[i]->component);
	if (base->sealed)
		return c;
	copy_tables(&c->kept, &base->kept, true);
	copy_schemas(&c->kept_schemas, &base->kept_schemas);
	return c;
}

struct catalog *
catalog_ref(struct catalog *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void
catalog_unref(struct catalog *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < c->by_tablet.n; i++)
		table_unref(c->by_tablet.v[i]);
	for (size_t i = 0; i < c->kept.n; i++)
		table_unref(c->kept.v[i]);
	for (size_t i = 0; i < c->schemas.n; i++)
		schema_unref(c->schemas.v[i]);
	for (size_t i = 0; i < c->kept_schemas.n; i++)
		schema_unref(c->kept_schemas.v[i]);
	for (size_t i = 0; i < c->spaces.n; i++)
		mem_free(c->spaces.v[i]);
	vec_clear(&c->by_tablet);
	vec_clear(&c->by_name);
	vec_clear(&c->by_number);
	vec_clear(&c->schemas);
	vec_clear(&c->spaces);
	vec_clear(&c->kept);
	vec_clear(&c->kept_schemas);
	mem_free(c);
}

uint64_t
catalog_version(const struct catalog *c)
{
	return c->version;
}

uint64_t
catalog_base_version(const struct catalog *c)
{
	return c->base_version;
}

void
catalog_seal(struct catalog *c)
{
	c->sealed = true;
	c->base_version = c->version;
}

/* --- the sorted arrays --- */

/* What a table is looked for by; the array says which members count. */
struct table_key {
	struct uid uid;    /* tablet, or component */
	str        name;
	uint32_t   number;
};

typedef int table_cmp(const struct table *t, const struct table_key *k);

static int
cmp_tablet(const struct table *t, const struct table_key *k)
{
	return uid_cmp(t->info.tablet, k->uid);
}

static int
cmp_name(const struct table *t, const struct table_key *k)
{
	int c = uid_cmp(t->info.component, k->uid);

	return c ? c : str_cmp(t->info.name, k->name);
}

static int
cmp_number(const struct table *t, const struct table_key *k)
{
	int c = uid_cmp(t->info.component, k->uid);

	return c ? c : (t->info.number > k->number) - (t->info.number < k->number);
}

/* Position of the first table that is not before `k`. */
static size_t
tables_search(const struct tables *a, table_cmp *cmp, const struct table_key *k)
{
	size_t lo = 0, hi = a->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (cmp(a->v[mid], k) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct table *
tables_find(const struct tables *a, table_cmp *cmp, const struct table_key *k)
{
	size_t i = tables_search(a, cmp, k);

	return i < a->n && cmp(a->v[i], k) == 0 ? a->v[i] : NULL;
}

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

/* --- lookups --- */

const struct table_info *
catalog_table(const struct catalog *c, struct uid component, str name)
{
	struct table_key k = { component, name, 0 };
	struct table    *t = tables_find(&c->by_name, cmp_name, &k);

	return t ? &t->info : NULL;
}

const struct table_info *
catalog_table_numbered(const struct catalog *c, struct uid component, uint32_t number)
{
	struct table_key k = { component, STR_EMPTY, number };
	struct table    *t = tables_find(&c->by_number, cmp_number, &k);

	return t ? &t->info : NULL;
}

static struct table *
find_tablet(const struct catalog *c, struct uid tablet)
{
	return tables_find(&c->by_tablet, cmp_tablet, &(struct table_key){ tablet, STR_EMPTY, 0 });
}

const struct table_info *
catalog_tablet(const struct catalog *c, struct uid tablet)
{
	struct table *t = find_tablet(c, tablet);

	return t ? &t->info : NULL;
}

const struct table_info *
catalog_table_at(const struct catalog *c, size_t i)
{
	return i < c->by_tablet.n ? &c->by_tablet.v[i]->info : NULL;
}

const struct index_info *
table_index(const struct table_info *t, str name)
{
	for (size_t i = 0; i < t->nindexes; i++) /* of two the enabled one comes first */
		if (str_eq(t->indexes[i].def.name, name))
			return &t->indexes[i];
	return NULL;
}

const struct index_info *
table_index_in(const struct table_info *t, str name, bool enabled)
{
	for (size_t i = 0; i < t->nindexes; i++) {
		const struct index_info *ix = &t->indexes[i];

		if ((ix->state == INDEX_ENABLED) == enabled && str_eq(ix->def.name, name))
			return ix;
	}
	return NULL;
}

const struct index_info *
table_index_by_id(const struct table_info *t, struct uid id)
{
	for (size_t i = 0; i < t->nindexes; i++)
		if (uid_eq(t->indexes[i].id, id))
			return &t->indexes[i];
	return NULL;
}

const struct schema_info *
catalog_schema(const struct catalog *c, struct uid component, enum schema_state state)
{
	for (size_t i = 0; i < c->schemas.n; i++) {
		const struct schema_info *s = &c->schemas.v[i]->info;

		if (s->state == state && uid_eq(s->component, component))
			return s;
	}
	return NULL;
}

uint32_t
catalog_next_table_number(const struct catalog *c, struct uid component)
{
	uint32_t next = TABLE_NO_FIRST_USER;

	/* Hidden and deleting tables keep their numbers occupied (spec 03 section 2.4). */
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < c->by_tablet.n; i++) {
			const struct table_info *t = &c->by_tablet.v[i]->info;

			if (t->number == next && uid_eq(t->component, component)) {
				next++;
				again = true;
			}
		}
	}
	return next;
}

size_t
catalog_count_user_tables(const struct catalog *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->by_name.n; i++)
		n += !c->by_name.v[i]->info.system;
	return n;
}

static enum table_kind
name_by_number(const void *arg, uint32_t number, str *ret_name)
{
	const struct space      *s = arg;
	const struct table_info *t = catalog_table_numbered(s->catalog, s->component, number);

	if (!t)
		return TABLE_UNKNOWN;
	*ret_name = t->name;
	if (number == TABLE_NO_FILE_STORAGE)
		*ret_name = S("_storage");
	else if (number == TABLE_NO_SCHEDULED_JOBS)
		*ret_name = S("_scheduled_functions");
	return t->system ? TABLE_SYSTEM : TABLE_USER;
}

static enum table_kind
no_name(const void *arg, uint32_t number, str *ret_name)
{
	(void)arg, (void)number, (void)ret_name;
	return TABLE_UNKNOWN;
}

struct table_names
catalog_table_names(const struct catalog *c, const struct uid *component)
{
	for (size_t i = 0; i < c->spaces.n; i++)
		if (uid_eq(c->spaces.v[i]->component, *component))
			return (struct table_names){ c->spaces.v[i], name_by_number };
	return (struct table_names){ NULL, no_name };
}

void
index_prefix(struct buf *out, const struct index_info *ix)
{
	buf_add_u32be(out, ix->no);
}

void
index_key(struct buf *out, const struct index_info *ix, struct val doc)
{
	must(ix->def.kind == INDEX_DATABASE);
	index_prefix(out, ix);
	for (size_t i = 0; i < ix->def.nfields; i++)
		sortkey_add(out, val_path(doc, ix->def.fields[i]));
	sortkey_add(out, val_get(doc, S("_id")));
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

static void
remove_table(struct catalog *c, struct table *t)
{
	tables_remove(&c->by_tablet, t);
	tables_remove(&c->by_name, t);
	tables_remove(&c->by_number, t);
	vec_push(&c->kept, t);
}

/* Takes the reference; replaces the table with the same tablet. */
static void
add_table_take(struct catalog *c, struct table *t)
{
	struct table_info *i = &t->info;
	struct table      *old = find_tablet(c, i->tablet);

	must(!c->sealed);
	if (old)
		remove_table(c, old);
	add_space(c, i->component);
	tables_add(&c->by_tablet, cmp_tablet, &(struct table_key){ i->tablet, STR_EMPTY, 0 }, t);
	if (i->state != TABLE_ACTIVE)
		return;
	tables_add(&c->by_name, cmp_name, &(struct table_key){ i->component, i->name, 0 }, t);
	tables_add(&c->by_number, cmp_number,
	    &(struct table_key){ i->component, STR_EMPTY, i->number }, t);
}

status
catalog_load_table(struct catalog *c, const struct doc *d, struct err *e)
{
	static const struct table_info none;
	struct table                  *old = find_tablet(c, d->id.uid), *t;
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
	old = find_tablet(c, row.tablet);
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
		old = find_tablet(c, row.tablet);
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
		struct table *t = find_tablet(c, d->id.uid);

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

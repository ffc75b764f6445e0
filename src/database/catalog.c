/* catalog.c - catalogues: their life, and lookups (catalog.h; catalog_rep.h says what they are).
 *
 * Thread: see catalog_int.h.  Memory: an arena per table and per schema, shared by reference.
 */
#include <stdatomic.h>

#include "base/mem.h"
#include "database/catalog_rep.h"
#include "value/sortkey.h"

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

static struct space *
find_space(const struct catalog *c, struct uid component)
{
	for (size_t i = 0; i < c->spaces.n; i++)
		if (uid_eq(c->spaces.v[i]->component, component))
			return c->spaces.v[i];
	return NULL;
}

struct space *
catalog_add_space(struct catalog *c, struct uid component)
{
	struct space *s = find_space(c, component);

	if (s)
		return s;
	s = MEM_NEW(struct space);
	s->catalog = c;
	s->component = component;
	s->next_number = TABLE_NO_FIRST_USER;
	vec_push(&c->spaces, s);
	return s;
}

struct catalog *
catalog_new(void)
{
	struct catalog *c = MEM_NEW(struct catalog);

	c->refs = 1;
	c->version = atomic_fetch_add(&next_version, 1);
	c->base_version = c->version;
	catalog_add_space(c, (struct uid){ { 0 } });
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
	copy_tables(&c->numbers, &base->numbers, false);
	c->user_tables = base->user_tables;
	copy_schemas(&c->schemas, &base->schemas);
	for (size_t i = 0; i < base->spaces.n; i++)
		catalog_add_space(c, base->spaces.v[i]->component)->next_number =
		    base->spaces.v[i]->next_number;
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
	vec_clear(&c->numbers);
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

int
tables_cmp_tablet(const struct table *t, const struct table_key *k)
{
	return uid_cmp(t->info.tablet, k->uid);
}

int
tables_cmp_name(const struct table *t, const struct table_key *k)
{
	int c = uid_cmp(t->info.component, k->uid);

	return c ? c : str_cmp(t->info.name, k->name);
}

int
tables_cmp_number(const struct table *t, const struct table_key *k)
{
	int c = uid_cmp(t->info.component, k->uid);

	return c ? c : (t->info.number > k->number) - (t->info.number < k->number);
}

size_t
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

struct table *
tables_find(const struct tables *a, table_cmp *cmp, const struct table_key *k)
{
	size_t i = tables_search(a, cmp, k);

	return i < a->n && cmp(a->v[i], k) == 0 ? a->v[i] : NULL;
}

/* --- lookups --- */

const struct table_info *
catalog_table(const struct catalog *c, struct uid component, str name)
{
	struct table_key k = { component, name, 0 };
	struct table    *t = tables_find(&c->by_name, tables_cmp_name, &k);

	return t ? &t->info : NULL;
}

const struct table_info *
catalog_table_numbered(const struct catalog *c, struct uid component, uint32_t number)
{
	struct table_key k = { component, STR_EMPTY, number };
	struct table    *t = tables_find(&c->by_number, tables_cmp_number, &k);

	return t ? &t->info : NULL;
}

struct table *
catalog_find_tablet(const struct catalog *c, struct uid tablet)
{
	struct table_key k = { tablet, STR_EMPTY, 0 };

	return tables_find(&c->by_tablet, tables_cmp_tablet, &k);
}

const struct table_info *
catalog_tablet(const struct catalog *c, struct uid tablet)
{
	struct table *t = catalog_find_tablet(c, tablet);

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
	const struct space *s = find_space(c, component);

	return s ? s->next_number : TABLE_NO_FIRST_USER;
}

const struct table_info *
catalog_numbered(const struct catalog *c, struct uid component, uint32_t number, size_t nth)
{
	struct table_key k = { component, STR_EMPTY, number };
	size_t           i = tables_search(&c->numbers, tables_cmp_number, &k) + nth;

	if (i >= c->numbers.n || tables_cmp_number(c->numbers.v[i], &k) != 0)
		return NULL;
	return &c->numbers.v[i]->info;
}

size_t
catalog_count_user_tables(const struct catalog *c)
{
	return c->user_tables;
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
	const struct space *s = find_space(c, *component);

	return s ? (struct table_names){ s, name_by_number }
		 : (struct table_names){ NULL, no_name };
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


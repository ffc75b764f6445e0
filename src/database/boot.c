/* boot.c - the first start and every start (spec 03 sections 3.2 to 3.4, 7.2, 8).
 *
 * An empty store gets the system tables of the root namespace in one commit, with the
 * globals that say where _tables and _index are.  A store that lacks some of them, because
 * an older program made it, gets the missing ones in the same way; an index that an existing
 * system table lacks is built on the spot.  Then the catalogue is read from the store, and
 * the resident system tables are; user data stays where it is.
 *
 * Thread: the one that opens the db; nobody else has it yet.
 * Memory: an arena for the documents being made.
 */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "database/db_int.h"
#include "value/pack.h"

#define LOAD_PAGE  1000
#define DB_VERSION 128 /* of the _db row: the data model of the specification */

struct boot {
	struct db         *db;
	struct arena      *arena;
	struct catalog    *catalog; /* what is there, then also what was added */
	bool               fresh;   /* the store was empty */
	struct uid         tables, index; /* tablets */
	ts_t               ts;
	double             creation_time;
	VEC(struct doc *)  docs;    /* to be written */
	VEC(struct store_backfill_row) backfill;
};

typedef status doc_fn(void *arg, struct doc *d, struct err *e);

/* --- reading the store --- */

/* Every document of a table, through its by_id index. */
static status
each_doc(struct db *db, struct uid by_id, struct uid tablet, uint32_t number, doc_fn *fn,
    void *arg, struct err *e)
{
	struct store_scan q = { .index = by_id, .tablet = tablet, .table_number = number,
		.at = TS_MAX, .limit = LOAD_PAGE };
	struct buf        from;
	status            st;
	bool              more;

	buf_init(&from, BUF_MAX_DEFAULT);
	do {
		struct store_rows rows;

		store_rows_init(&rows);
		q.lo = buf_str(&from);
		st = store_scan(&db->store, &q, &rows, e);
		for (size_t i = 0; st == ST_OK && i < rows.rows.n; i++)
			st = fn(arg, rows.rows.v[i].doc, e);
		more = st == ST_OK && rows.more && rows.rows.n > 0;
		if (more) {
			buf_reset(&from);
			buf_add(&from, rows.rows.v[rows.rows.n - 1].key);
			buf_add_byte(&from, 0);
		}
		store_rows_clear(&rows);
	} while (more);
	buf_clear(&from);
	return st;
}

/* A global that holds an internal id, in JSON quotes. */
static status
read_uid(struct db *db, str key, struct uid *ret, struct err *e)
{
	struct buf json;
	status     st;

	buf_init(&json, 256);
	st = db->store.v->global(db->store.self, key, &json, e);
	if (st == ST_OK) {
		str text = str_trim(buf_str(&json));

		if (text.n < 2 || !uid_parse(str_of(text.p + 1, text.n - 2), ret))
			st = err_internal(e, "global '%.*s' is not an id", STR_ARG(key));
	}
	buf_clear(&json);
	return st;
}

static status
load_table(void *arg, struct doc *d, struct err *e)
{
	return catalog_load_table(arg, d, e);
}

static status
load_index(void *arg, struct doc *d, struct err *e)
{
	return catalog_load_index(arg, d, e);
}

struct schema_load {
	struct catalog          *catalog;
	const struct table_info *table;
};

static status
load_schema(void *arg, struct doc *d, struct err *e)
{
	struct schema_load *l = arg;

	return catalog_load_schema(l->catalog, l->table, d, e);
}

static status
load_schemas(struct db *db, struct catalog *c, struct err *e)
{
	const struct table_info *t;

	for (size_t i = 0; (t = catalog_table_at(c, i)) != NULL; i++) {
		struct schema_load l = { c, t };

		if (t->state == TABLE_ACTIVE && t->by_id && str_eq(t->name, S("_schemas")))
			TRY(each_doc(db, t->by_id->id, t->tablet, t->number, load_schema, &l, e));
	}
	return ST_OK;
}

/* *ret stays an empty catalogue if the store is new. */
static status
load_catalog(struct db *db, struct catalog **ret, bool *ret_fresh, struct err *e)
{
	struct uid      tables, index, tables_by_id, index_by_id;
	struct catalog *c;
	status          st = read_uid(db, GLOBAL_TABLES_BY_ID, &tables_by_id, NULL);

	*ret_fresh = st == ST_NOT_FOUND;
	if (*ret_fresh) {
		*ret = catalog_new();
		return ST_OK;
	}
	TRY(read_uid(db, GLOBAL_TABLES_BY_ID, &tables_by_id, e));
	TRY(read_uid(db, GLOBAL_INDEX_BY_ID, &index_by_id, e));
	TRY(read_uid(db, GLOBAL_TABLES, &tables, e));
	TRY(read_uid(db, GLOBAL_INDEX, &index, e));
	c = catalog_new();
	st = each_doc(db, tables_by_id, tables, TABLE_NO_TABLES, load_table, c, e);
	if (st == ST_OK)
		st = each_doc(db, index_by_id, index, TABLE_NO_INDEX, load_index, c, e);
	if (st == ST_OK)
		st = load_schemas(db, c, e);
	if (st == ST_OK)
		*ret = c;
	else
		catalog_unref(c);
	return st;
}

/* --- making what is missing --- */

static struct uid
fresh_uid(struct boot *b)
{
	uint8_t random[14];

	os_random(b->db->os, random, sizeof random);
	return uid_make(random, b->ts / 1000000000);
}

/* The caller has packed the fields of the object that is open in `p`. */
static status
finish_doc(struct boot *b, struct pack *p, struct uid tablet, struct docid id, struct doc **ret,
    struct err *e)
{
	char       text[ID_TEXT_MAX];
	size_t     n = id_format(id, text);
	struct val v;

	pack_key(p, S("_id"));
	pack_str(p, str_of(text, n));
	pack_key(p, S("_creationTime"));
	pack_float64(p, b->creation_time);
	pack_end(p);
	TRY(pack_done(p, &v, e));
	*ret = doc_new(tablet, id, b->creation_time, v);
	(*ret)->ts = b->ts;
	vec_push(&b->docs, *ret);
	b->creation_time = nextafter(b->creation_time, INFINITY);
	return ST_OK;
}

static status
add_index(struct boot *b, struct uid tablet, const struct index_def *def, struct err *e)
{
	struct docid id = { TABLE_NO_INDEX, fresh_uid(b) };
	struct doc  *d;
	struct pack  p;
	status       st;

	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	catalog_pack_index(&p, tablet, def, INDEX_ENABLED, false, b->ts);
	st = finish_doc(b, &p, b->index, id, &d, e);
	if (st == ST_OK)
		st = catalog_load_index(b->catalog, d, e);
	pack_clear(&p);
	return st;
}

static status
add_table(struct boot *b, const struct system_table *t, struct err *e)
{
	struct docid      id = { TABLE_NO_TABLES, { { 0 } } };
	size_t            n;
	struct index_def *defs = system_table_indexes(b->arena, t, &n);
	struct doc       *d;
	struct pack       p;
	status            st;

	id.uid = t->number == TABLE_NO_TABLES ? b->tables
	    : t->number == TABLE_NO_INDEX     ? b->index
	                                      : fresh_uid(b);
	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	catalog_pack_table(&p, str_z(t->name), t->number, TABLE_ACTIVE, (struct uid){ { 0 } });
	st = finish_doc(b, &p, b->tables, id, &d, e);
	if (st == ST_OK)
		st = catalog_load_table(b->catalog, d, e);
	for (size_t i = 0; st == ST_OK && i < n; i++)
		st = add_index(b, id.uid, &defs[i], e);
	pack_clear(&p);
	return st;
}

struct build {
	struct boot             *boot;
	const struct index_info *index;
};

static status
build_row(void *arg, struct doc *d, struct err *e)
{
	struct build             *w = arg;
	struct store_backfill_row row = { .ts = d->ts };
	struct buf                key;

	(void)e;
	buf_init(&key, BUF_MAX_DEFAULT);
	index_key(&key, w->index, doc_val(d));
	row.key = (struct store_index_write){ .index = w->index->id, .tablet = d->tablet,
		.doc = d->id.uid,
		.key = arena_str(w->boot->arena, str_from(buf_str(&key), INDEX_PREFIX)) };
	vec_push(&w->boot->backfill, row);
	buf_clear(&key);
	return ST_OK;
}

/* Indexes that this program wants on a system table that is there already. */
static status
add_missing_indexes(struct boot *b, const struct system_table *st, struct uid tablet,
    struct err *e)
{
	size_t            n;
	struct index_def *defs = system_table_indexes(b->arena, st, &n);

	for (size_t i = 0; i < n; i++) {
		const struct table_info *t = catalog_tablet(b->catalog, tablet);
		struct build             w = { .boot = b };

		if (table_index(t, defs[i].name))
			continue;
		TRY(add_index(b, tablet, &defs[i], e));
		t = catalog_tablet(b->catalog, tablet);
		w.index = table_index(t, defs[i].name);
		TRY(each_doc(b->db, t->by_id->id, tablet, t->number, build_row, &w, e));
	}
	return ST_OK;
}

/* The single rows of _backend_state and _db (spec 03 section 7.2). */
static status
add_rows(struct boot *b, struct err *e)
{
	static const char *const states[] = { "system", "usage_limit", "user" };
	const struct uid         root = { { 0 } };
	const struct table_info *state = catalog_table(b->catalog, root, S("_backend_state"));
	const struct table_info *db = catalog_table(b->catalog, root, S("_db"));
	struct uid               secret = fresh_uid(b);
	struct doc              *d;
	struct buf               text;
	struct pack              p;
	status                   st;

	buf_init(&text, 64);
	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	for (size_t i = 0; i < COUNT_OF(states); i++) {
		pack_key(&p, str_z(states[i]));
		pack_str(&p, S("none"));
	}
	st = finish_doc(b, &p, state->tablet, (struct docid){ state->number, fresh_uid(b) }, &d, e);
	if (st != ST_OK)
		goto out;
	pack_reset(&p);
	pack_object(&p);
	pack_key(&p, S("version"));
	pack_int64(&p, DB_VERSION);
	pack_key(&p, S("awsPrefixSecret"));
	uid_format(&text, secret);
	pack_str(&p, buf_str(&text));
	pack_key(&p, S("storageType"));
	pack_null(&p);
	st = finish_doc(b, &p, db->tablet, (struct docid){ db->number, fresh_uid(b) }, &d, e);
out:
	pack_clear(&p);
	buf_clear(&text);
	return st;
}

/* --- writing it --- */

static void
uid_global(struct boot *b, struct store_global *ret, str key, struct uid u)
{
	struct buf text;

	buf_init(&text, 64);
	uid_format(&text, u);
	ret->key = key;
	ret->json = arena_fmt(b->arena, "\"%.*s\"", STR_ARG(buf_str(&text)));
	buf_clear(&text);
}

static size_t
doc_keys(struct boot *b, const struct doc *d, struct store_index_write *ret)
{
	const struct table_info *t = catalog_tablet(b->catalog, d->tablet);
	size_t                   n = 0;
	struct buf               key;

	buf_init(&key, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < t->nindexes; i++) {
		const struct index_info *ix = &t->indexes[i];

		if (ix->def.kind != INDEX_DATABASE)
			continue;
		buf_reset(&key);
		index_key(&key, ix, doc_val(d));
		ret[n++] = (struct store_index_write){ .index = ix->id, .tablet = d->tablet,
			.doc = d->id.uid,
			.key = arena_str(b->arena, str_from(buf_str(&key), INDEX_PREFIX)) };
	}
	buf_clear(&key);
	return n;
}

static status
write_boot(struct boot *b, struct err *e)
{
	size_t                     n = b->docs.n;
	struct store_doc_write    *docs = ARENA_ARRAY(b->arena, struct store_doc_write, n);
	struct store_index_write  *keys = ARENA_ARRAY(b->arena, struct store_index_write, n * 8);
	struct store_commit        commit = { .ts = b->ts, .ndocs = n, .docs = docs, .keys = keys };
	const struct store_commit *commits[] = { &commit };
	struct store_global        globals[4];
	struct store_batch         batch = { .ncommits = 1, .commits = commits,
			.nbackfill = b->backfill.n, .backfill = b->backfill.v };

	for (size_t i = 0; i < n; i++) {
		struct doc *d = b->docs.v[i];

		docs[i] = (struct store_doc_write){ d->tablet, d->id, d, 0 };
		commit.nkeys += doc_keys(b, d, keys + commit.nkeys);
	}
	if (b->fresh) {
		uid_global(b, &globals[0], GLOBAL_TABLES, b->tables);
		uid_global(b, &globals[1], GLOBAL_INDEX, b->index);
		uid_global(b, &globals[2], GLOBAL_TABLES_BY_ID,
		    catalog_tablet(b->catalog, b->tables)->by_id->id);
		uid_global(b, &globals[3], GLOBAL_INDEX_BY_ID,
		    catalog_tablet(b->catalog, b->index)->by_id->id);
		batch.globals = globals;
		batch.nglobals = COUNT_OF(globals);
	}
	return store_write(&b->db->store, &batch, e);
}

static status
boot_tables(struct boot *b, struct err *e)
{
	const struct uid         root = { { 0 } };
	const struct table_info *t;

	t = catalog_table(b->catalog, root, S("_tables"));
	b->tables = t ? t->tablet : fresh_uid(b);
	t = catalog_table(b->catalog, root, S("_index"));
	b->index = t ? t->tablet : fresh_uid(b);
	for (size_t i = 0; i < system_table_count; i++) {
		const struct system_table *want = &system_tables[i];

		t = catalog_table(b->catalog, root, str_z(want->name));
		if (t)
			TRY(add_missing_indexes(b, want, t->tablet, e));
		else
			TRY(add_table(b, want, e));
	}
	return b->fresh ? add_rows(b, e) : ST_OK;
}

/* Adds to the store what `have` lacks; *ret_wrote: the catalogue must be read again. */
static status
complete_store(struct db *db, struct catalog *have, bool fresh, bool *ret_wrote, struct err *e)
{
	struct boot b = { .db = db, .fresh = fresh };
	ts_t        max;
	status      st;

	TRY(db->store.v->max_ts(db->store.self, &max, e));
	b.ts = os_now_ns(db->os) > max ? os_now_ns(db->os) : max + 1;
	b.creation_time = (double)(b.ts / 1000000) + (double)(b.ts % 1000000) * 1e-6;
	b.arena = arena_new();
	b.catalog = catalog_copy(have);
	st = boot_tables(&b, e);
	if (st == ST_OK && b.docs.n > 0)
		st = write_boot(&b, e);
	*ret_wrote = b.docs.n > 0;
	for (size_t i = 0; i < b.docs.n; i++)
		doc_unref(b.docs.v[i]);
	vec_clear(&b.docs);
	vec_clear(&b.backfill);
	catalog_unref(b.catalog);
	arena_free(b.arena);
	return st;
}

/* --- filling the tree --- */

struct fill {
	struct db               *db;
	const struct table_info *table;
	struct buf               key;
};

static status
fill_doc(void *arg, struct doc *d, struct err *e)
{
	struct fill *f = arg;

	(void)e;
	for (size_t i = 0; i < f->table->nindexes; i++) {
		const struct index_info *ix = &f->table->indexes[i];

		if (ix->def.kind != INDEX_DATABASE || ix->state != INDEX_ENABLED)
			continue;
		buf_reset(&f->key);
		index_key(&f->key, ix, doc_val(d));
		res_put_take(f->db->tree,
		    entry_new_take(buf_str(&f->key), ENTRY_DOC, false, doc_ref(d)));
	}
	return ST_OK;
}

bool
table_is_resident(const struct table_info *t)
{
	const struct system_table *s = t->system ? system_table_find(t->name) : NULL;

	return s && s->resident && t->state == TABLE_ACTIVE && t->by_id;
}

static status
fill_tree(struct db *db, struct err *e)
{
	struct fill f = { .db = db };
	status      st = ST_OK;

	buf_init(&f.key, BUF_MAX_DEFAULT);
	for (size_t i = 0; st == ST_OK; i++) {
		const struct table_info *t = f.table = catalog_table_at(db->catalog, i);

		if (!t)
			break;
		for (size_t j = 0; j < t->nindexes; j++) {
			if (t->indexes[j].def.kind != INDEX_DATABASE)
				continue;
			buf_reset(&f.key);
			index_prefix(&f.key, &t->indexes[j]);
			res_add_index(db->tree, buf_str(&f.key),
			    table_is_resident(t) && t->indexes[j].state == INDEX_ENABLED);
		}
		if (table_is_resident(t))
			st = each_doc(db, t->by_id->id, t->tablet, t->number, fill_doc, &f, e);
	}
	buf_clear(&f.key);
	return st;
}

status
db_boot(struct db *db, struct err *e)
{
	bool   fresh, wrote;
	status st;

	TRY(load_catalog(db, &db->catalog, &fresh, e));
	st = complete_store(db, db->catalog, fresh, &wrote, e);
	if (st == ST_OK && wrote) {
		catalog_unref(db->catalog);
		db->catalog = NULL;
		st = load_catalog(db, &db->catalog, &fresh, e);
	}
	if (st != ST_OK)
		return st;
	catalog_seal(db->catalog);
	return fill_tree(db, e);
}

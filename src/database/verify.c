/* verify.c - do the indexes say what the documents say?
 *
 * For each index that is complete both sides are added up, in one walk each: the entries that the
 * newest documents call for, and the newest entries that are there, as the count and the sum of
 * hashes of (key, document, time).  If they agree, either side has exactly what the other has.
 * Only where they do not is it asked entry by entry who is right, so that the problem has a
 * name.
 *
 * Thread: one.  Memory: the catalogue, a few words per index.
 */
#include "database/verify.h"

#include <stdio.h>

#include "base/enc.h"
#include "base/hash.h"
#include "base/map.h"
#include "database/catalog_int.h"
#include "database/db_int.h"

struct side {
	uint64_t count, sum;
};

struct check { /* of one index */
	const struct table_info *table;
	const struct index_info *index;
	struct side              documents, entries;
};

struct verification {
	struct verify     *v;
	struct catalog    *catalog;
	struct map        *checks; /* by index id */
	struct buf         key;
	struct db_verify   result;
	uint64_t           orphans; /* documents of tables that do not exist */
	const struct check *asking; /* the index whose sides differ */
	size_t             max_lines;
	void (*fn)(void *arg, str text);
	void *arg;
};

static void
on_problem(void *arg, str text)
{
	struct verification *w = arg;

	if (w->result.problems++ < w->max_lines)
		w->fn(w->arg, text);
}

static bool
on_name(void *arg, struct buf *out, struct uid tablet, struct uid id)
{
	struct verification     *w = arg;
	const struct table_info *t = w->catalog ? catalog_tablet(w->catalog, tablet) : NULL;
	char                     text[ID_TEXT_MAX];

	if (!t)
		return false;
	id_format((struct docid){ t->number, id }, text);
	buf_fmt(out, "document '%s' of table '%.*s'", text, STR_ARG(t->name));
	return true;
}

static str
uid_bytes(const struct uid *u)
{
	return str_of((const char *)u->b, sizeof u->b);
}

static void
add(struct side *side, str key, struct uid tablet, struct uid id, ts_t ts)
{
	struct {
		struct uid tablet, id;
	} doc = { tablet, id };

	side->count++;
	side->sum += hash_keyed(ts, hash_keyed(0, 0, str_of((const char *)&doc, sizeof doc)), key);
}

/* --- the catalogue --- */

static status
load_table(void *arg, struct doc *d, struct err *e)
{
	struct verification *w = arg;

	return catalog_load_table(w->catalog, d, e);
}

static status
load_index(void *arg, struct doc *d, struct err *e)
{
	struct verification *w = arg;

	return catalog_load_index(w->catalog, d, e);
}

/* false: there is no such global, as in a database that nothing was ever written to. */
static bool
find_tablet(struct verification *w, str global, struct uid *ret)
{
	struct buf json;
	str        text;
	bool       ok;

	buf_init(&json, 256);
	ok = verify_global(w->v, global, &json, NULL) == ST_OK;
	text = str_trim(buf_str(&json));
	if (ok && (text.n < 2 || !uid_parse(str_of(text.p + 1, text.n - 2), ret))) {
		verify_problem(w->v, "the global '%.*s' is not an id", STR_ARG(global));
		ok = false;
	}
	buf_clear(&json);
	return ok;
}

static status
load_catalog(struct verification *w, struct err *e)
{
	struct uid    tables, index;
	struct arena *a = arena_new();
	struct err    why = err_in(a);
	status        st = ST_OK;

	w->catalog = catalog_new();
	if (find_tablet(w, GLOBAL_TABLES, &tables) && find_tablet(w, GLOBAL_INDEX, &index)) {
		st = verify_documents(w->v, tables, load_table, w, &why);
		if (st == ST_OK)
			st = verify_documents(w->v, index, load_index, w, &why);
	}
	if (st == ST_INTERNAL) { /* the documents are not what they should be: see catalog_int.h */
		verify_problem(w->v, "the catalogue cannot be read: %.*s", STR_ARG(why.text));
		st = ST_OK;
	} else if (st != ST_OK) {
		bool damaged = str_eq(why.code, S("DatabaseDamaged"));

		st = err_set_str(e, st, damaged ? "DatabaseDamaged" : "DatabaseUnavailable",
		    why.text);
	}
	arena_free(a);
	return st;
}

/* An index that is being built has not all entries; a table that is being erased loses its
 * documents and its entries one after the other. */
static void
choose_indexes(struct verification *w)
{
	const struct table_info *t;

	for (size_t i = 0; (t = catalog_table_at(w->catalog, i)) != NULL; i++) {
		for (size_t j = 0; j < t->nindexes && t->state != TABLE_DELETING; j++) {
			const struct index_info *ix = &t->indexes[j];
			struct check            *c;

			if (ix->def.kind != INDEX_DATABASE || ix->state == INDEX_BACKFILLING)
				continue;
			c = MEM_NEW(struct check);
			*c = (struct check){ .table = t, .index = ix };
			map_put(w->checks, uid_bytes(&ix->id), c);
			w->result.indexes++;
		}
	}
}

/* --- adding up --- */

/* The key of a document in an index, without the number in front. */
static str
key_of(struct verification *w, const struct index_info *ix, const struct doc *d)
{
	buf_reset(&w->key);
	index_key(&w->key, ix, doc_val(d));
	return str_from(buf_str(&w->key), INDEX_PREFIX);
}

static void
check_id(struct verification *w, const struct table_info *t, const struct doc *d)
{
	char       want[ID_TEXT_MAX];
	struct val id = val_get(doc_val(d), S("_id"));
	size_t     n = id_format((struct docid){ t->number, d->id.uid }, want);

	if (!id.p || val_kind(id) != VAL_STRING || !str_eq(val_str(id), str_of(want, n)))
		verify_problem(w->v, "document '%s' of table '%.*s' has another _id", want,
		    STR_ARG(t->name));
}

static status
add_document(void *arg, struct doc *d, struct err *e)
{
	struct verification     *w = arg;
	const struct table_info *t = catalog_tablet(w->catalog, d->tablet);

	(void)e;
	if (!t) {
		w->orphans++;
		return ST_OK;
	}
	check_id(w, t, d);
	for (size_t i = 0; i < t->nindexes; i++) {
		struct check *c = map_get(w->checks, uid_bytes(&t->indexes[i].id));

		if (c)
			add(&c->documents, key_of(w, c->index, d), d->tablet, d->id.uid, d->ts);
	}
	return ST_OK;
}

static status
add_entry(void *arg, const struct verify_entry *entry, struct err *e)
{
	struct verification *w = arg;
	struct check        *c = map_get(w->checks, uid_bytes(&entry->index));

	(void)e;
	if (c) { /* else of an index that was dropped */
		w->result.entries++;
		add(&c->entries, entry->key, entry->tablet, entry->doc, entry->ts);
	}
	return ST_OK;
}

/* --- naming --- */

static void
entry_problem(struct verification *w, struct uid tablet, struct uid id, ts_t ts, const char *what)
{
	struct buf name;

	buf_init(&name, BUF_MAX_DEFAULT);
	verify_name(w->v, &name, tablet, id);
	verify_problem(w->v, "index '%.*s' of table '%.*s': %.*s, revision of %llu: %s",
	    STR_ARG(w->asking->index->def.name), STR_ARG(w->asking->table->name),
	    STR_ARG(buf_str(&name)), (unsigned long long)ts, what);
	buf_clear(&name);
}

static status
ask_for_entry(void *arg, struct doc *d, struct err *e)
{
	struct verification *w = arg;
	struct verify_entry  found;
	status st = verify_entry(w->v, w->asking->index->id, key_of(w, w->asking->index, d),
	    &found, e);

	if (st == ST_NOT_FOUND)
		entry_problem(w, d->tablet, d->id.uid, d->ts, "its entry is missing");
	else if (st == ST_OK && (found.ts != d->ts || !uid_eq(found.doc, d->id.uid)))
		entry_problem(w, d->tablet, d->id.uid, d->ts, "its entry is of another revision");
	return st == ST_NOT_FOUND ? ST_OK : st;
}

static status
ask_for_document(void *arg, const struct verify_entry *entry, struct err *e)
{
	struct verification *w = arg;
	struct doc          *d;
	status               st;

	if (!uid_eq(entry->tablet, w->asking->table->tablet)) {
		entry_problem(w, entry->tablet, entry->doc, entry->ts,
		    "there is an entry for it, of another table");
		return ST_OK;
	}
	st = verify_document(w->v, entry->tablet, entry->doc, &d, e);
	if (st == ST_NOT_FOUND)
		entry_problem(w, entry->tablet, entry->doc, entry->ts,
		    "there is an entry for it, and it does not exist");
	if (st != ST_OK)
		return st == ST_NOT_FOUND ? ST_OK : st;
	if (!str_eq(key_of(w, w->asking->index, d), entry->key))
		entry_problem(w, entry->tablet, entry->doc, entry->ts,
		    "there is an entry for it under a key that it does not have");
	doc_unref(d);
	return ST_OK;
}

static status
compare(struct verification *w, const struct check *c, struct err *e)
{
	uint64_t before = w->result.problems;

	if (c->documents.count == c->entries.count && c->documents.sum == c->entries.sum)
		return ST_OK;
	w->asking = c;
	TRY(verify_documents(w->v, c->table->tablet, ask_for_entry, w, e));
	TRY(verify_entries(w->v, &c->index->id, ask_for_document, w, e));
	if (w->result.problems == before)
		verify_problem(w->v, "index '%.*s' of table '%.*s' does not agree with its table",
		    STR_ARG(c->index->def.name), STR_ARG(c->table->name));
	return ST_OK;
}

static void
read_repeatable(struct verification *w)
{
	struct buf json;

	buf_init(&json, 256);
	if (verify_global(w->v, GLOBAL_REPEATABLE, &json, NULL) == ST_OK &&
	    !str_to_u64(str_trim(buf_str(&json)), &w->result.repeatable))
		verify_problem(w->v, "the global '%.*s' is not a timestamp",
		    STR_ARG(GLOBAL_REPEATABLE));
	buf_clear(&json);
}

static status
verify_all(struct verification *w, struct err *e)
{
	size_t pos = 0;
	str    id;
	void  *c;

	TRY(verify_pages(w->v, e));
	TRY(load_catalog(w, e));
	read_repeatable(w);
	choose_indexes(w);
	TRY(verify_revisions(w->v, add_document, w, &w->result.counts, e));
	TRY(verify_entries(w->v, NULL, add_entry, w, e));
	if (w->orphans)
		verify_problem(w->v, "%llu documents are of tables that do not exist",
		    (unsigned long long)w->orphans);
	while (map_next(w->checks, &pos, &id, &c))
		TRY(compare(w, c, e));
	return ST_OK;
}

status
db_verify(const char *path, size_t max_lines, void (*fn)(void *arg, str text), void *arg,
    struct db_verify *ret, struct err *e)
{
	struct verification w = {
		.checks = map_new(), .max_lines = max_lines, .fn = fn, .arg = arg
	};
	const struct verify_sink sink = { on_problem, on_name, &w };
	size_t                   pos = 0;
	str                      id;
	void                    *c;
	status                   st;

	buf_init(&w.key, BUF_MAX_DEFAULT);
	st = verify_open(path, &sink, &w.v, e);
	if (st == ST_OK)
		st = verify_all(&w, e);
	if (st == ST_OK)
		*ret = w.result;
	verify_close(w.v);
	catalog_unref(w.catalog);
	while (map_next(w.checks, &pos, &id, &c))
		mem_free(c);
	map_free(w.checks);
	buf_clear(&w.key);
	return st;
}

/* --- compacting --- */

/* History begins with the last commit; what is known about its size is that it is gone.  Time
 * must not go back where the last commit was a deletion that leaves no row behind. */
static size_t
compacted_globals(void *arg, struct arena *a, ts_t newest, struct store_global *ret)
{
	const struct db_verify *verified = arg;
	const str  bounds[] = { GLOBAL_INDEX_BOUND, GLOBAL_INDEX_DONE, GLOBAL_DOCUMENT_BOUND,
		 GLOBAL_DOCUMENT_DONE };
	struct buf text;
	str        bound;
	size_t     n = 0;

	buf_init(&text, 64);
	buf_addz(&text, "{\"$integer\":\"");
	enc_u64_base64(&text, newest);
	buf_addz(&text, "\"}");
	bound = arena_str(a, buf_str(&text));
	buf_clear(&text);
	for (; n < COUNT_OF(bounds); n++)
		ret[n] = (struct store_global){ bounds[n], bound };
	ret[n++] = (struct store_global){ GLOBAL_HISTORY, S("[0,0,0,0]") };
	if (newest > verified->repeatable)
		ret[n++] = (struct store_global){ GLOBAL_REPEATABLE,
			arena_fmt(a, "%llu", (unsigned long long)newest) };
	return n;
}

static void
keep_first(void *arg, str text)
{
	struct buf *first = arg;

	buf_add(first, text);
}

status
db_compact(const char *path, struct compact_sizes *ret, struct err *e)
{
	struct db_verify    verified = { 0 };
	struct compact_opts opts = { .globals = compacted_globals, .arg = &verified };
	struct buf          first;
	status              st;

	buf_init(&first, BUF_MAX_DEFAULT);
	st = db_verify(path, 1, keep_first, &first, &verified, e);
	if (st == ST_OK && verified.problems > 0)
		st = err_set(e, ST_OPERATIONAL, "DatabaseDamaged",
		    "the database '%s' is damaged and stays as it is: %.*s", path,
		    STR_ARG(buf_str(&first)));
	buf_clear(&first);
	TRY(st);
	opts.documents = verified.counts.documents;
	return compact_file(path, &opts, ret, e);
}

/* retention_state.c - what retention keeps in the store: globals of spec 03 section 7.1, and the
 * estimate of what history takes.
 *
 * Thread, memory: retention.h.
 */
#include "base/enc.h"
#include "base/json.h"
#include "database/retention_int.h"
#include "runtime/metrics.h"

#define GLOBAL_HISTORY S("retention_history")

static struct metric keys_erased =
    METRIC_COUNTER("fresnel_retention_keys_erased_total", "index keys whose history was erased");
static struct metric revisions_erased = METRIC_COUNTER("fresnel_retention_documents_erased_total",
    "documents whose history was erased");
static struct metric rows_erased = METRIC_COUNTER("fresnel_retention_rows_erased_total",
    "rows of dropped indexes and deleted tables that were erased");

/* --- globals --- */

static str
integer_json(struct arena *a, uint64_t v)
{
	struct buf b;
	str        json;

	buf_init(&b, 64);
	enc_u64_base64(&b, v);
	json = arena_fmt(a, "{\"$integer\":\"%.*s\"}", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return json;
}

/* *ret NULL if there is none. */
static status
read_global(struct db *db, struct arena *a, str key, struct json **ret, struct err *e)
{
	struct buf json;
	status     st;

	buf_init(&json, 4096);
	*ret = NULL;
	st = db->store.v->global(db->store.self, key, &json, e);
	if (st == ST_OK)
		st = json_parse(a, arena_str(a, buf_str(&json)), ret, e);
	else if (st == ST_NOT_FOUND)
		st = ST_OK;
	buf_clear(&json);
	return st;
}

static status
read_ts(struct db *db, struct arena *a, str key, ts_t *ret, struct err *e)
{
	struct json *j;
	str          text;

	TRY(read_global(db, a, key, &j, e));
	*ret = 0;
	if (j && (!json_get_str(j, "$integer", &text) || !dec_u64_base64(text, ret)))
		return err_internal(e, "global '%.*s' is not a timestamp", STR_ARG(key));
	return ST_OK;
}

static uint64_t
item(const struct json *j, size_t i)
{
	return j && j->kind == JSON_ARRAY && i < j->n && j->items[i].number > 0
		   ? (uint64_t)j->items[i].number
		   : 0;
}

/* What a crash takes away of the estimate are the commits since the last write. */
static status
read_history(struct db *db, struct arena *a, struct err *e)
{
	struct json *j;

	TRY(read_global(db, a, GLOBAL_HISTORY, &j, e));
	mutex_lock_(&db->lock);
	db->dead_docs.rows += item(j, 0);
	db->dead_docs.bytes += item(j, 1);
	db->dead_keys.rows += item(j, 2);
	db->dead_keys.bytes += item(j, 3);
	must(pthread_mutex_unlock(&db->lock) == 0);
	return ST_OK;
}

static str
history_json(struct db *db, struct arena *a)
{
	MUTEX_GUARD(&db->lock);

	return arena_fmt(a, "[%llu,%llu,%llu,%llu]", (unsigned long long)db->dead_docs.rows,
	    (unsigned long long)db->dead_docs.bytes, (unsigned long long)db->dead_keys.rows,
	    (unsigned long long)db->dead_keys.bytes);
}

status
retention_write(struct retention *r, struct store_prune *p, struct err *e)
{
	struct arena       *a = arena_new();
	struct store_global globals[] = {
		{ GLOBAL_INDEX_BOUND, integer_json(a, r->state.index_bound) },
		{ GLOBAL_INDEX_DONE, integer_json(a, r->state.index_done) },
		{ GLOBAL_DOCUMENT_BOUND, integer_json(a, r->state.document_bound) },
		{ GLOBAL_DOCUMENT_DONE, integer_json(a, r->state.document_done) },
		{ GLOBAL_HISTORY, history_json(r->db, a) },
	};
	status st;

	p->globals = globals;
	p->nglobals = COUNT_OF(globals);
	st = r->db->store.v->prune(r->db->store.self, p, e);
	arena_free(a);
	if (st != ST_OK)
		return st;
	r->state.keys_erased += p->nkeys;
	r->state.revisions_erased += p->ndocs;
	metric_add(&keys_erased, (int64_t)p->nkeys);
	metric_add(&revisions_erased, (int64_t)p->ndocs);
	return ST_OK;
}

void
retention_count_rows(struct retention *r, size_t n)
{
	r->state.rows_erased += n;
	metric_add(&rows_erased, (int64_t)n);
}

/* --- reading it back --- */

static bool
note_first(void *arg, const struct store_log_row *row)
{
	*(ts_t *)arg = row->ts;
	doc_unref(row->doc);
	return false;
}

/* Where there are no checkpoints yet, history begins with the log. */
static status
find_start(struct retention *r, struct err *e)
{
	struct db *db = r->db;
	ts_t       first = 0;

	TRY(db->store.v->log(db->store.self, 0, TS_MAX, 1, note_first, &first, e));
	if (first && r->state.index_done < first)
		r->state.index_done = first - 1;
	if (first && r->state.document_done < first)
		r->state.document_done = first - 1;
	return ST_OK;
}

static status
load(struct retention *r, struct arena *a, struct err *e)
{
	struct db              *db = r->db;
	struct retention_state *s = &r->state;

	TRY(read_ts(db, a, GLOBAL_INDEX_BOUND, &s->index_bound, e));
	TRY(read_ts(db, a, GLOBAL_INDEX_DONE, &s->index_done, e));
	TRY(read_ts(db, a, GLOBAL_DOCUMENT_BOUND, &s->document_bound, e));
	TRY(read_ts(db, a, GLOBAL_DOCUMENT_DONE, &s->document_done, e));
	TRY(read_history(db, a, e));
	return find_start(r, e);
}

status
retention_load(struct retention *r, struct err *e)
{
	struct arena *a = arena_new();
	status        st = load(r, a, e);

	arena_free(a);
	return st;
}

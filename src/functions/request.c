/* request.c - mutations that happen exactly once (spec 01 section 6.1).
 *
 * A client that lost its connection sends its unanswered mutations again, under the same
 * session and request number.  The first successful run leaves a row in _session_requests in
 * its own transaction; a later one finds the row and answers from it.  Since the lookup is in
 * the read set, of two that run at the same time one conflicts and then finds the other's row.
 *
 * Rows are deleted after two weeks, a thousand at a time.
 *
 * Thread: the worker's.  Memory: the transaction's arena.
 * Format: _session_requests of spec 03 section 3.4.
 */
#include "functions/functions_int.h"

#define REQUEST_KEEP_MS   (14.0 * 24 * 3600 * 1000)
#define EXPIRE_AT_A_TIME  1000

static struct val
val_of_int64(struct arena *a, int64_t v)
{
	struct pack p;
	struct val  ret;
	status      st;

	pack_init(&p);
	pack_int64(&p, v);
	st = pack_done_in(&p, a, &ret, NULL);
	must(st == ST_OK);
	pack_clear(&p);
	return ret;
}

static void
lines_load(struct arena *a, struct val list, struct stored_request *ret)
{
	ret->nlines = val_kind(list) == VAL_ARRAY ? val_count(list) : 0;
	ret->lines = ARENA_ARRAY(a, str, ret->nlines + 1);
	for (size_t i = 0; i < ret->nlines; i++)
		ret->lines[i] = val_str(val_at(list, i));
}

status
request_find(struct txn *t, str session_id, uint32_t request, bool *ret_found,
    struct stored_request *ret, struct err *e)
{
	struct arena *a = txn_arena(t);
	struct val    key[2] = { val_of_str(a, session_id), val_of_int64(a, request) };
	struct doc   *d = NULL;
	struct val    outcome;

	TRY(txn_sys_first(t, S("_session_requests"), S("by_session_id_and_request_id"), key, 2, &d,
	    e));
	*ret_found = d != NULL;
	if (!d)
		return ST_OK;
	outcome = val_get(doc_val(d), S("outcome"));
	if (val_kind(val_get(outcome, S("result"))) != VAL_STRING)
		return err_internal(e, "_session_requests row without a result");
	ret->result_json = val_str(val_get(outcome, S("result")));
	lines_load(a, val_get(outcome, S("logLines")), ret);
	ret->ts = d->ts;
	return ST_OK;
}

static void
pack_text(struct pack *p, str key, str text)
{
	pack_key(p, key);
	pack_str(p, text);
}

status
request_record(struct fn_worker *w, struct txn *t, const struct fn_call *c, str result_json,
    const struct fn_result *r, struct err *e)
{
	struct pack *p = &w->pack;
	struct docid id;
	struct val   v;

	pack_reset(p);
	pack_object(p);
	pack_text(p, S("sessionId"), c->session_id);
	pack_key(p, S("requestId"));
	pack_int64(p, c->session_request);
	pack_key(p, S("outcome"));
	pack_object(p);
	pack_text(p, S("type"), S("mutation"));
	pack_text(p, S("result"), result_json);
	pack_key(p, S("logLines"));
	pack_array(p);
	for (size_t i = 0; i < r->nlines; i++)
		pack_str(p, r->lines[i]);
	pack_end(p);
	pack_end(p);
	pack_text(p, S("identity"), blob_str(c->identity->label));
	pack_end(p);
	TRY(pack_done(p, &v, e));
	return txn_sys_insert(t, S("_session_requests"), v, &id, e);
}

struct expiry {
	struct txn *t;
	double      before_ms;
	size_t      n;
	status      st;
};

static bool
expire_row(void *arg, struct doc *d)
{
	struct expiry *x = arg;

	if (d->creation_time >= x->before_ms || x->n == EXPIRE_AT_A_TIME)
		return false;
	x->n++;
	x->st = txn_sys_delete(x->t, d->id, NULL);
	return x->st == ST_OK;
}

ts_t
requests_expire(struct fn_worker *w, bool *ret_more)
{
	struct db            *db = w->f->db;
	const struct txn_opts o = { .snapshot = db_snapshot(db), .writable = true, .system = true,
		.writer = S("_system/session_requests.js:expire") };
	struct expiry         x = { .t = txn_begin(&o), .st = ST_OK,
		.before_ms = (double)(os_now_ns(db_os(db)) / 1000000u) - REQUEST_KEEP_MS };
	struct conflict       conflict;
	ts_t                  ts = 0;
	status                st;

	st = txn_sys_each(x.t, S("_session_requests"), S("by_creation_time"), NULL, 0, expire_row,
	    &x, NULL);
	if (st == ST_OK && x.st == ST_OK && x.n)
		st = txn_commit(x.t, &ts, &conflict, NULL);
	*ret_more = st == ST_OK && x.st == ST_OK && x.n == EXPIRE_AT_A_TIME;
	txn_free(x.t);
	return ts;
}

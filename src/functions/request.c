/* request.c - mutations that happen exactly once (spec 01 section 6.1).
 *
 * A client that lost its connection sends its unanswered mutations again, under the same
 * session and request number.  The first successful run leaves a row in _session_requests in
 * its own transaction; a later one finds the row and answers from it.  Since the lookup is in
 * the read set, of two that run at the same time one conflicts and then finds the other's row.
 *
 * Thread: the worker's.  Memory: the transaction's arena.
 * Format: _session_requests of spec 03 section 3.4.
 */
#include "functions/functions_int.h"

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

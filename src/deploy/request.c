/* request.c - who asks, and in which transaction the answer is made.
 *
 * Thread: function workers.  Memory: the request's arena.
 */
#include "deploy/deploy_int.h"

struct deploy *
deploy_new(const struct deploy_opts *opts)
{
	struct arena  *a = arena_new();
	struct deploy *d = ARENA_NEW(a, struct deploy);

	d->arena = a;
	d->db = opts->db;
	d->auth = opts->auth;
	d->os = opts->os;
	d->cloud_url = arena_str(a, opts->cloud_url);
	d->site_url = arena_str(a, opts->site_url);
	d->node = opts->node;
	must(pthread_mutex_init(&d->lock, NULL) == 0);
	return d;
}

void
deploy_free(struct deploy *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->npushes; i++)
		push_unref(d->pushes[i]);
	must(pthread_mutex_destroy(&d->lock) == 0);
	arena_free(d->arena);
}

status
deploy_authorize(const struct deploy_request *q, const char *op, struct err *e)
{
	struct identity *from_body = NULL;
	status           st;
	str              key;

	if (!json_get_str(q->body, "adminKey", &key))
		return identity_require(q->identity, op, e);
	TRY(auth_admin_key(q->deploy->auth, key, NULL, &from_body, e));
	st = identity_require(from_body, op, e);
	identity_unref(from_body);
	return st;
}

struct txn *
deploy_txn(struct deploy *d, bool writable, const char *writer)
{
	return txn_begin(&(struct txn_opts){
	    .snapshot = db_snapshot(d->db),
	    .writable = writable,
	    .system = true,
	    .writer = str_z(writer),
	});
}

status
deploy_transact(struct deploy *d, const char *writer, int tries, deploy_body fn, void *arg,
    ts_t *ret_ts, struct err *e)
{
	status st = ST_OCC;

	for (int i = 0; i < tries && st == ST_OCC; i++) {
		struct txn     *t = deploy_txn(d, true, writer);
		struct conflict conflict;
		ts_t            ts = 0;

		st = fn(t, arg, e);
		if (st == ST_OK)
			st = txn_commit(t, &ts, &conflict, e);
		txn_free(t);
		if (st == ST_OK)
			*ret_ts = ts > *ret_ts ? ts : *ret_ts;
	}
	return st;
}

str
deploy_json_of(struct arena *a, struct val v)
{
	struct buf b;
	str        copy;

	buf_init(&b, BUF_MAX_DEFAULT);
	vjson_write(&b, v, VJSON_ENCODED);
	copy = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return copy;
}

str
deploy_str(struct val doc, const char *field)
{
	struct val v = val_get(doc, str_z(field));

	return val_kind(v) == VAL_STRING ? val_str(v) : STR_EMPTY;
}

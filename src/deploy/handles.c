/* handles.c - the rows behind function handles, as a push leaves them (spec 04 section 8.3).
 *
 * Each function has one.  When a function goes its row stays, marked; when it returns so does its
 * handle.
 *
 * Thread: function workers.  Memory: the transaction's arena, and two maps.
 */
#include "base/map.h"
#include "deploy/deploy_int.h"
#include "functions/handle.h"

struct handles {
	struct txn *t;
	struct map *rows; /* path -> doc: what there is, less what is wanted */
	uint64_t now_ns;
	status st;
	struct err *e;
};

static bool
note_row(void *arg, struct doc *d)
{
	struct handles *h = arg;

	(void)map_put(h->rows, deploy_str(doc_val(d), "path"), d);
	return true;
}

/* deleted_ns 0: live. */
static status
row(struct handles *h, str path, uint64_t deleted_ns, struct val *ret)
{
	struct pack p;
	status st;

	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	pack_key(&p, S("component"));
	pack_null(&p);
	pack_key(&p, S("path"));
	pack_str(&p, path);
	pack_key(&p, S("deletedTs"));
	if (deleted_ns)
		pack_int64(&p, (int64_t)deleted_ns);
	else
		pack_null(&p);
	pack_end(&p);
	st = pack_done_in(&p, txn_arena(h->t), ret, h->e);
	pack_clear(&p);
	return st;
}

static bool
is_deleted(const struct doc *d)
{
	return val_kind(val_get(doc_val(d), S("deletedTs"))) != VAL_NULL;
}

static status
want(struct handles *h, str path)
{
	struct doc *d = map_del(h->rows, path);
	struct val v;
	struct docid id;

	if (d && !is_deleted(d))
		return ST_OK;
	TRY(row(h, path, 0, &v));
	return d ? txn_sys_replace(h->t, d->id, v, h->e)
		 : txn_sys_insert(h->t, HANDLE_TABLE, v, &id, h->e);
}

static bool
want_functions(void *arg, struct doc *module)
{
	struct handles *h = arg;
	struct val list = val_get(val_get(doc_val(module), S("analyzeResult")), S("functions"));
	str path = deploy_str(doc_val(module), "path");

	for (size_t i = 0; val_kind(list) == VAL_ARRAY && i < val_count(list) && h->st == ST_OK;
	     i++)
		h->st = want(h, arena_fmt(txn_arena(h->t), "%.*s:%.*s", STR_ARG(path),
				    STR_ARG(deploy_str(val_at(list, i), "name"))));
	return h->st == ST_OK;
}

static status
delete_rest(struct handles *h)
{
	size_t pos = 0;
	str path;
	void *d;
	struct val v;

	while (map_next(h->rows, &pos, &path, &d)) {
		if (is_deleted(d))
			continue;
		TRY(row(h, path, h->now_ns, &v));
		TRY(txn_sys_replace(h->t, ((struct doc *)d)->id, v, h->e));
	}
	return ST_OK;
}

status
handles_put(struct txn *t, uint64_t now_ns, struct err *e)
{
	struct handles h = { .t = t, .rows = map_new(), .now_ns = now_ns, .e = e };
	status st;

	st = txn_sys_each(t, HANDLE_TABLE, HANDLE_INDEX, NULL, 0, note_row, &h, e);
	if (st == ST_OK)
		st = txn_sys_each(t, S("_modules"), S("by_path"), NULL, 0, want_functions, &h, e);
	if (st == ST_OK)
		st = h.st;
	if (st == ST_OK)
		st = delete_rest(&h);
	map_free(h.rows);
	return st;
}

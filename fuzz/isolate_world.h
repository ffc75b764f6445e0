/* isolate_world.h - a database with one module, for the targets that run functions.
 *
 * Thread: one.  Memory: never freed.
 */
#ifndef FUZZ_ISOLATE_WORLD_H
#define FUZZ_ISOLATE_WORLD_H

#include "base/mem.h"
#include "isolate/isolate.h"
#include "value/vjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct db      *db; /* NULL: set_up() was not called yet */
static struct isolate *iso;

static inline void
put(struct txn *t, const char *table, str json)
{
	struct docid id;
	struct val   v;

	must(vjson_parse(txn_arena(t), json, VJSON_PLAIN, &v, NULL) == ST_OK);
	must(txn_sys_insert(t, str_z(table), v, &id, NULL) == ST_OK);
}

static inline struct txn *
begin(void)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(db), .writable = true });
}

/* `source` becomes m.js; the table t has one document. */
static inline void
set_up(str source, uint64_t user_time_ns)
{
	struct db_opts  o = { .os = os_real(), .instance_name = S("fuzz") };
	struct txn     *t;
	struct buf      b;
	struct conflict c;
	struct docid    id;
	ts_t            ts;

	store_open_memory(&o.store);
	must(db_open(&o, &db, NULL) == ST_OK);
	iso = isolate_new(
	    &(struct isolate_opts){ .os = os_real(), .user_time_ns = user_time_ns });
	t = begin();
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, "{\"sha256\":\"00\",\"source\":");
	json_write_str(&b, source);
	buf_add_byte(&b, '}');
	put(t, "_module_sources", buf_str(&b));
	put(t, "_modules", S("{\"path\":\"m.js\",\"environment\":\"isolate\",\"sha256\":\"00\"}"));
	buf_clear(&b);
	must(txn_insert(t, S("t"), val_empty_object, &id, NULL) == ST_OK);
	must(txn_commit(t, &ts, &c, NULL) == ST_OK);
	txn_free(t);
}

/* Calls `call` of m.js in a transaction that is never committed. */
static inline void
run_mutation(struct arena *a, struct val args)
{
	struct run_result  res = { 0 };
	struct err         e = err_in(NULL);
	struct run_request q = { .kind = UDF_MUTATION,
		.module = S("m.js"),
		.function = S("call"),
		.request_id = S("0123456789abcdef"),
		.now_ns = 1700000000000000000,
		.instance_name = S("fuzz"),
		.arena = a,
		.txn = begin(),
		.args = args };

	loglines_init(&res.logs, a);
	(void)!isolate_run(iso, &q, &res, &e);
	loglines_clear(&res.logs);
	txn_free(q.txn);
}

#endif

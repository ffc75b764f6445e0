/* isolate_syscall_fuzz.c - arbitrary argument texts for every syscall of queries and mutations.
 *
 * The first byte chooses the operation, the rest is the JSON text.  A function in a real engine
 * makes the call inside a transaction that is never committed.
 */
#include "base/mem.h"
#include "isolate/isolate.h"
#include "value/vjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const sync_names[] = {
	"1.0/queryStream", "1.0/queryCleanup", "1.0/db/normalizeId", "1.0/componentArgument",
	"1.0/getSnapshotTs",
};
static const char *const async_names[] = {
	"1.0/get", "1.0/queryStreamNext", "1.0/queryPage", "1.0/insert", "1.0/shallowMerge",
	"1.0/replace", "1.0/remove", "1.0/count", "1.0/runUdf", "1.0/schedule", "1.0/cancel_job",
	"1.0/createFunctionHandle", "1.0/auditLog", "1.0/storageStore",
};

static const char source[] =
    "const f = async (ctx, {name, text, sync}) => {"
    "  if (!sync) return await Convex.asyncSyscall(name, text);"
    "  const r = Convex.syscall(name, text);"
    "  if (name === '1.0/queryStream')"
    "    await Convex.asyncSyscall('1.0/queryStreamNext', r);"
    "  return r;"
    "};"
    "export const call = Object.assign(() => 0, {isMutation: true, isPublic: true, _handler: f,"
    "  exportArgs: () => '{\"type\":\"any\"}', exportReturns: () => 'null'});";

static struct db      *db;
static struct isolate *iso;

static void
put(struct txn *t, const char *table, str json)
{
	struct docid id;
	struct val   v;

	must(vjson_parse(txn_arena(t), json, VJSON_PLAIN, &v, NULL) == ST_OK);
	must(txn_sys_insert(t, str_z(table), v, &id, NULL) == ST_OK);
}

static struct txn *
begin(void)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(db), .writable = true });
}

static void
set_up(void)
{
	struct db_opts  o = { .os = os_real(), .instance_name = S("fuzz") };
	struct txn     *t;
	struct buf      b;
	struct conflict c;
	struct docid    id;
	ts_t            ts;

	store_open_memory(&o.store);
	must(db_open(&o, &db, NULL) == ST_OK);
	iso = isolate_new(&(struct isolate_opts){ .os = os_real() });
	t = begin();
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, "{\"sha256\":\"00\",\"source\":");
	json_write_str(&b, str_z(source));
	buf_add_byte(&b, '}');
	put(t, "_module_sources", buf_str(&b));
	put(t, "_modules", S("{\"path\":\"m.js\",\"environment\":\"isolate\",\"sha256\":\"00\"}"));
	buf_clear(&b);
	must(txn_insert(t, S("t"), val_empty_object, &id, NULL) == ST_OK);
	must(txn_commit(t, &ts, &c, NULL) == ST_OK);
	txn_free(t);
}

static struct val
call_args(struct arena *a, uint8_t op, str text)
{
	size_t      nsync = COUNT_OF(sync_names), i = op % (nsync + COUNT_OF(async_names));
	struct val  ret;
	struct pack p;

	pack_init(&p);
	pack_array(&p);
	pack_object(&p);
	pack_key(&p, S("name"));
	pack_str(&p, str_z(i < nsync ? sync_names[i] : async_names[i - nsync]));
	pack_key(&p, S("text"));
	pack_str(&p, text);
	pack_key(&p, S("sync"));
	pack_bool(&p, i < nsync);
	pack_end(&p);
	pack_end(&p);
	must(pack_done_in(&p, a, &ret, NULL) == ST_OK);
	pack_clear(&p);
	return ret;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct run_result  res = { 0 };
	struct run_request q = { .kind = UDF_MUTATION,
		.module = S("m.js"),
		.function = S("call"),
		.request_id = S("0123456789abcdef"),
		.now_ns = 1700000000000000000,
		.instance_name = S("fuzz") };
	struct arena      *a;
	struct err         e = err_in(NULL);

	if (!db)
		set_up();
	if (n < 1 || !str_utf8_valid(str_of(data + 1, n - 1)))
		return 0;
	a = arena_new();
	loglines_init(&res.logs, a);
	q.arena = a;
	q.txn = begin();
	q.args = call_args(a, data[0], str_of(data + 1, n - 1));
	(void)!isolate_run(iso, &q, &res, &e);
	loglines_clear(&res.logs);
	txn_free(q.txn);
	arena_free(a);
	return 0;
}

/* isolate_syscall_fuzz.c - arbitrary argument texts for every syscall of queries and mutations.
 *
 * The first byte chooses the operation, the rest is the JSON text.  A function in a real engine
 * makes the call inside a transaction that is never committed.
 */
#include "isolate_world.h"

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
	struct arena *a;

	if (!db)
		set_up(str_z(source), 0);
	if (n < 1 || !str_utf8_valid(str_of(data + 1, n - 1)))
		return 0;
	a = arena_new();
	run_mutation(a, call_args(a, data[0], str_of(data + 1, n - 1)));
	arena_free(a);
	return 0;
}

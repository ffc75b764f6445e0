/* identity.c - on whose behalf a function runs.
 *
 * Everything about an identity is fixed when auth/ makes it; here is only what needs no key:
 * the anonymous and the server's own identity, counting, and the operations that a read-only
 * admin key may not do.
 *
 * Thread: any; the count is atomic.  Memory: one block and three blobs.
 */
#include <stdatomic.h>

#include "base/mem.h"
#include "functions/identity.h"

static struct identity *
identity_make(enum identity_kind kind, str label)
{
	struct identity *i = MEM_NEW(struct identity);

	atomic_init(&i->refs, 1);
	i->kind = kind;
	i->label = blob_new(label);
	return i;
}

struct identity *
identity_none(void)
{
	return identity_make(IDENTITY_NONE, S("unknown"));
}

struct identity *
identity_failed(str error)
{
	struct arena    *a = arena_new();
	/* what asked for the user threw: such a result is not one for the anonymous */
	struct identity *i =
	    identity_make(IDENTITY_NONE, arena_fmt(a, "unknown: %.*s", STR_ARG(error)));

	i->error = blob_new(error);
	arena_free(a);
	return i;
}

struct identity *
identity_system(void)
{
	return identity_make(IDENTITY_SYSTEM, S("system"));
}

struct identity *
identity_ref(struct identity *i)
{
	must(atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed) > 0);
	return i;
}

void
identity_unref(struct identity *i)
{
	if (!i || atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) != 1)
		return;
	blob_unref(i->attributes);
	blob_unref(i->label);
	blob_unref(i->error);
	mem_free(i);
}

/* Spec 02 section 15.5: what `npx convex` calls each operation when it is refused. */
static const struct {
	const char *op;
	const char *action;
	bool        read_only_may;
} operations[] = {
	{ "Deploy", "deployment:deploy", false },
	{ "ViewEnvironmentVariables", "deployment:env:view", true },
	{ "WriteEnvironmentVariables", "deployment:env:write", false },
	{ "PauseDeployment", "deployment:pause", false },
	{ "UnpauseDeployment", "deployment:unpause", false },
	{ "ViewLogs", "deployment:logs:view", true },
	{ "ViewMetrics", "deployment:metrics:view", true },
	{ "ViewIntegrations", "deployment:integrations:view", true },
	{ "WriteIntegrations", "deployment:integrations:write", false },
	{ "ViewData", "deployment:data:view", true },
	{ "WriteData", "deployment:data:write", false },
	{ "ViewBackups", "deployment:backups:view", true },
	{ "CreateBackups", "deployment:backups:create", false },
	{ "DownloadBackups", "deployment:backups:download", true },
	{ "DeleteBackups", "deployment:backups:delete", false },
	{ "ImportBackups", "deployment:backups:import", false },
	{ "ActAsUser", "deployment:functions:actAsUser", false },
	{ "RunInternalQueries", "deployment:functions:runInternalQueries", true },
	{ "RunInternalMutations", "deployment:functions:runInternalMutations", false },
	{ "RunInternalActions", "deployment:functions:runInternalActions", false },
	{ "RunTestQuery", "deployment:functions:runTestQuery", true },
	{ "ViewAuditLog", "deployment:auditLog:view", true },
	{ "ViewUsageLimits", "deployment:usageLimits:view", true },
	{ "WriteUsageLimits", "deployment:usageLimits:write", false },
	{ "ViewUsage", "deployment:usage:view", true },
};

status
identity_require(const struct identity *i, const char *op, struct err *e)
{
	size_t k = 0;

	if (!identity_is_admin(i))
		return err_set(e, ST_FORBIDDEN, "BadDeployKey",
		    "The provided deploy key was invalid for this deployment. Double check that "
		    "the environment this key was generated for matches the desired deployment.");
	if (!i->read_only)
		return ST_OK;
	while (k < COUNT_OF(operations) && strcmp(operations[k].op, op) != 0)
		k++;
	must(k < COUNT_OF(operations));
	if (operations[k].read_only_may)
		return ST_OK;
	return err_set(e, ST_FORBIDDEN, "OperationNotPermitted",
	    "You do not have permission to perform this operation (`%s`).", operations[k].action);
}

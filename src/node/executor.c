/* executor.c - the executor: which Node.js there is, its folders, its packages.
 *
 * Nothing of it exists until a module for Node.js does.
 *
 * Thread, memory: executor.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "node/child.h"
#include "node/executor_int.h"
#include "node/package_int.h"
#include "os/file.h"

#define TIMEOUT_NS    ((uint64_t)600 * 1000000000u)
#define IDLE_NS       ((uint64_t)300 * 1000000000u)
#define VERSION_NS    ((uint64_t)10 * 1000000000u)
#define VERSION_BYTES 128
#define OLDEST_MAJOR  20
#define OLDEST_OF_18  19 /* 18.19 has what the executor needs; the releases before it have not */

extern const unsigned char executor_js[];
extern const size_t executor_js_len;

struct node_executor *
node_executor_new(const struct node_executor_opts *opts)
{
	struct arena *a = arena_new();
	struct node_executor *x = ARENA_NEW(a, struct node_executor);

	x->arena = a;
	x->os = opts->os;
	x->folder = arena_z(a, str_z(opts->folder));
	x->timeout_ns = opts->timeout_ns ? opts->timeout_ns : TIMEOUT_NS;
	x->idle_ns = opts->idle_ns ? opts->idle_ns : IDLE_NS;
	x->given_node = opts->node ? arena_z(a, str_z(opts->node)) : NULL;
	must(pthread_mutex_init(&x->lock, NULL) == 0);
	must(pthread_cond_init(&x->changed, NULL) == 0);
	return x;
}

void
node_executor_free(struct node_executor *x)
{
	if (!x)
		return;
	processes_end(x);
	node_packages_close(x->packages);
	if (x->temp)
		folder_remove(x->temp);
	must(pthread_cond_destroy(&x->changed) == 0);
	must(pthread_mutex_destroy(&x->lock) == 0);
	arena_free(x->arena);
}

/* --- which Node.js --- */

/* "v20.19.2" */
static bool
version_fits(str version)
{
	uint64_t major, minor;
	size_t at;

	version = str_trim(version);
	if (!str_starts(version, S("v")))
		return false;
	version = str_from(version, 1);
	if (!str_find_char(version, '.', &at) || !str_to_u64(str_head(version, at), &major))
		return false;
	version = str_from(version, at + 1);
	if (!str_find_char(version, '.', &at) || !str_to_u64(str_head(version, at), &minor))
		return false;
	return major >= OLDEST_MAJOR || (major == 18 && minor >= OLDEST_OF_18);
}

static str
ask_version(const char *node, struct arena *a)
{
	static const char *const variables[] = { "PATH", NULL };
	const char *argv[] = { node, "--version", NULL };
	struct child_opts o = {
		.argv = argv, .envp = child_environment(a, variables), .folder = "/", .link = -1
	};
	struct buf out;
	bool good = false;
	str ret = STR_EMPTY;

	buf_init(&out, VERSION_BYTES);
	if (child_run(&o, VERSION_NS, &out, &good, NULL) == ST_OK && good)
		ret = arena_str(a, buf_str(&out));
	buf_clear(&out);
	return ret;
}

/* Once; Node.js that is installed later needs a restart of the server. */
static void
find_node(struct node_executor *x)
{
	const char *node = x->given_node ? x->given_node : child_find(x->arena, "node");
	str version = node ? ask_version(node, x->arena) : STR_EMPTY;

	x->checked = true;
	if (version_fits(version))
		x->node = node;
	else if (node)
		x->why_not = arena_fmt(
		    x->arena, "%s is of version \"%.*s\"", node, STR_ARG(str_trim(version)));
	else
		x->why_not = S("there is no program \"node\" in its PATH");
}

status
node_executor_check(struct node_executor *x, struct err *e)
{
	MUTEX_GUARD(&x->lock);
	if (!x->checked)
		find_node(x);
	if (x->node)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "DeploymentNotConfiguredForNodeActions",
	    "Deployment is not configured to deploy \"use node\" actions. Node.js (v20, v22 or "
	    "v24) "
	    "is not installed on the server: %.*s.",
	    STR_ARG(x->why_not));
}

/* --- folders --- */

static status
make_temp(struct node_executor *x, struct err *e)
{
	const char *parent = getenv("TMPDIR");
	char *template;
	status st;

	if (!parent || !*parent || strlen(parent) > 60) /* sockets' names are short */
		parent = "/tmp";
	template = arena_z(x->arena, arena_fmt(x->arena, "%s/fresnel-node-XXXXXX", parent));
	if (!mkdtemp(template))
		return err_os(e, "cannot make a folder", template);
	st = file_write_atomic(arena_fmt(x->arena, "%s/executor.cjs", template).p,
	    str_of(executor_js, executor_js_len), e);
	if (st == ST_OK)
		x->temp = template;
	else
		folder_remove(template);
	return st;
}

status
executor_temp(struct node_executor *x, const char **ret, struct err *e)
{
	MUTEX_GUARD(&x->lock);
	if (!x->temp)
		TRY(make_temp(x, e));
	*ret = x->temp;
	return ST_OK;
}

static status
open_packages(struct node_executor *x, struct node_packages **ret, struct err *e)
{
	MUTEX_GUARD(&x->lock);
	if (!x->packages)
		TRY(node_packages_open(x->folder, &x->packages, e));
	*ret = x->packages;
	return ST_OK;
}

status
node_executor_make(
    struct node_executor *x, const struct node_content *c, struct node_package **ret, struct err *e)
{
	struct node_packages *ps;

	TRY(node_executor_check(x, e));
	TRY(open_packages(x, &ps, e));
	return node_package_make(ps, c, ret, e);
}

status
node_executor_open(
    struct node_executor *x, struct txn *t, str module, struct node_package **ret, struct err *e)
{
	struct node_packages *ps;

	TRY(node_executor_check(x, e));
	TRY(open_packages(x, &ps, e));
	return node_package_of_module(ps, t, module, ret, e);
}

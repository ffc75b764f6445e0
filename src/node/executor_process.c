/* executor_process.c - the processes of Node.js: started when a run needs one, ended when they are
 * idle, worn out or dead.
 *
 * A process is found by package and variables.  While one starts, others who want the same wait
 * for it.  The keeper, a thread that lives as long as there has been a process, watches the
 * control sockets and the clock.
 *
 * Thread: any; node_executor.lock.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "node/child.h"
#include "node/executor_int.h"
#include "runtime/metrics.h"

#define KEEPER_MS     1000
#define IDLE_MAX      4 /* processes without runs; those idle for longest end first */
#define NICE          5
#define PROCESSES_MAX 16 /* in which something runs: each that hangs takes a processor */
#define CONTROL_FD    3

static struct metric processes_now =
    METRIC_GAUGE("fresnel_node_processes", "Node.js processes that run \"use node\" functions");
static struct metric processes_started =
    METRIC_COUNTER("fresnel_node_processes_started_total", "Node.js processes started");
static struct metric processes_replaced = METRIC_COUNTER("fresnel_node_processes_replaced_total",
    "Node.js processes given up because something in them went wrong");

/* What of our environment a process needs to work at all; user code sees even less of it. */
static const char *const kept_variables[] = { "PATH", "LANG", "TZ", "UTC", "NODE_PATH", "TMPDIR",
	"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", NULL };

void
node_env_of(struct arena *a, const struct env_var *vars, size_t n, struct node_env *ret)
{
	struct map *seen = map_new();
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, "{");
	for (size_t i = 0; i < n; i++) {
		if (map_get(seen, vars[i].name))
			continue;
		(void)map_put(seen, vars[i].name, ret);
		json_comma(&b);
		json_write_str(&b, vars[i].name);
		buf_addz(&b, ":");
		json_write_str(&b, vars[i].value);
	}
	buf_addz(&b, "}");
	ret->json = arena_str(a, buf_str(&b));
	sha256(ret->json, ret->hash);
	buf_clear(&b);
	map_free(seen);
}

/* --- the end of one --- */

static void
unlink_process(struct node_executor *x, struct node_process *p)
{
	struct node_process **at = &x->processes;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	metric_add(&processes_now, -1);
}

/* Not in the list any more; without the lock, for it waits for the process. */
static void
process_end(struct node_process *p)
{
	if (p->pid) {
		log_debug("node: process %d ends", (int)p->pid);
		child_end(p->pid);
		(void)close(p->control);
	}
	(void)unlink(p->address.sun_path);
	node_package_unref(p->package);
	mem_free(p);
}

/* Takes one that can go out of the list, or NULL. */
static struct node_process *
take_finished(struct node_executor *x, bool all)
{
	for (struct node_process *p = x->processes; p; p = p->next) {
		if (p->starting || p->running || !(p->retired || all))
			continue;
		unlink_process(x, p);
		return p;
	}
	return NULL;
}

static void
end_finished(struct node_executor *x, bool all)
{
	for (;;) {
		struct node_process *p;

		must(pthread_mutex_lock(&x->lock) == 0);
		p = take_finished(x, all);
		must(pthread_mutex_unlock(&x->lock) == 0);
		if (!p)
			return;
		process_end(p);
	}
}

/* --- the keeper --- */

/* It died, or says that it is worn out. */
static bool
has_news(const struct node_process *p)
{
	struct pollfd f = { .fd = p->control, .events = POLLIN };

	return poll(&f, 1, 0) > 0;
}

static void
retire(struct node_process *p, const char *why)
{
	if (p->retired)
		return;
	p->retired = true;
	log_debug("node: process %d takes no more runs: %s", (int)p->pid, why);
}

static void
retire_idle(struct node_executor *x)
{
	uint64_t now = os_mono_ns(x->os);

	for (struct node_process *p = x->processes; p; p = p->next) {
		if (p->starting || p->retired)
			continue;
		if (has_news(p)) {
			retire(p, "it failed");
			metric_add(&processes_replaced, 1);
		} else if (!p->running && now - p->idle_since_ns > x->idle_ns) {
			retire(p, "idle");
		}
	}
}

static void
keeper_main(void *arg)
{
	struct node_executor *x = arg;
	struct timespec until;

	must(pthread_mutex_lock(&x->lock) == 0);
	while (!x->closing) {
		retire_idle(x);
		must(pthread_mutex_unlock(&x->lock) == 0);
		end_finished(x, false);
		must(pthread_mutex_lock(&x->lock) == 0);
		must(clock_gettime(CLOCK_REALTIME, &until) == 0);
		until.tv_sec += KEEPER_MS / 1000;
		if (!x->closing && !x->processes)
			(void)pthread_cond_wait(&x->changed, &x->lock);
		else if (!x->closing)
			(void)pthread_cond_timedwait(&x->changed, &x->lock, &until);
	}
	must(pthread_mutex_unlock(&x->lock) == 0);
}

/* --- the start of one --- */

static status
start_child(struct node_executor *x, struct node_process *p, const char *temp, struct arena *a,
    struct err *e)
{
	const char *argv[] = { x->node, "--max-old-space-size=512", "--no-warnings",
		arena_fmt(a, "%s/executor.cjs", temp).p, p->address.sun_path,
		node_package_folder(p->package), NULL };
	struct child_opts o = { .argv = argv,
		.envp = child_environment(a, kept_variables),
		.folder = temp,
		.output = -1,
		.nice = NICE };
	int ends[2];
	status st;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return err_os(e, "socketpair", x->node);
	o.link = ends[1];
	st = child_start(&o, &p->pid, e);
	(void)close(ends[1]);
	if (st == ST_OK)
		p->control = ends[0];
	else
		(void)close(ends[0]);
	return st;
}

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

/* The variables go there, and it says that it listens. */
static status
await_ready(
    struct node_executor *x, struct node_process *p, const struct node_env *env, struct err *e)
{
	struct node_link l = { .fd = p->control };
	struct buf b;
	struct nframe f;
	bool good;

	buf_init(&l.in, NFRAME_HEADER_MAX);
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, "{\"t\":\"start\",\"variables\":");
	buf_add(&b, env->json);
	buf_addz(&b, "}");
	good = link_send(&l, buf_str(&b), STR_EMPTY, never, NULL) &&
	       link_wait(&l, &f, os_mono_ns(x->os) + NODE_START_NS, never, NULL) == LINK_FRAME;
	buf_clear(&b);
	buf_clear(&l.in);
	return good ? ST_OK : err_internal(e, "Node.js did not start");
}

static status
name_socket(struct sockaddr_un *ret, const char *temp, unsigned name, struct err *e)
{
	int n = snprintf(ret->sun_path, sizeof ret->sun_path, "%s/%u", temp, name);

	ret->sun_family = AF_UNIX;
	if ((size_t)n >= sizeof ret->sun_path)
		return err_internal(e, "the path of the folder %s is too long for a socket", temp);
	return ST_OK;
}

/* Without the lock: this takes tens of milliseconds. */
static status
process_start(struct node_executor *x, struct node_process *p, const struct node_env *env,
    unsigned name, struct err *e)
{
	struct arena *a = arena_new();
	const char *temp = NULL;
	status st;

	st = executor_temp(x, &temp, e);
	if (st == ST_OK)
		st = name_socket(&p->address, temp, name, e);
	if (st == ST_OK)
		st = start_child(x, p, temp, a, e);
	if (st == ST_OK)
		st = await_ready(x, p, env, e);
	if (st == ST_OK) {
		log_debug("node: process %d starts for package %.*s", (int)p->pid, 8,
		    node_package_name(p->package).p);
		metric_add(&processes_started, 1);
	}
	arena_free(a);
	return st;
}

/* --- acquire, release --- */

static struct node_process *
find(struct node_executor *x, const struct node_package *package, const struct node_env *env)
{
	for (struct node_process *p = x->processes; p; p = p->next)
		if (!p->retired && p->package == package &&
		    memcmp(p->env_hash, env->hash, sizeof env->hash) == 0)
			return p;
	return NULL;
}

static int
count_processes(const struct node_executor *x)
{
	int n = 0;

	for (const struct node_process *p = x->processes; p; p = p->next)
		n += p->running > 0 || p->starting;
	return n;
}

/* Too many that do nothing: old packages, old variables. */
static void
retire_surplus(struct node_executor *x)
{
	struct node_process *oldest;
	unsigned idle;

	do {
		oldest = NULL;
		idle = 0;
		for (struct node_process *p = x->processes; p; p = p->next) {
			if (p->starting || p->retired || p->running)
				continue;
			idle++;
			if (!oldest || p->idle_since_ns < oldest->idle_since_ns)
				oldest = p;
		}
		if (idle > IDLE_MAX)
			retire(oldest, "others are used more");
	} while (idle > IDLE_MAX);
}

static struct node_process *
add_process(struct node_executor *x, struct node_package *package, const struct node_env *env)
{
	struct node_process *p = MEM_NEW(struct node_process);

	retire_surplus(x);
	p->package = node_package_ref(package);
	memcpy(p->env_hash, env->hash, sizeof env->hash);
	p->starting = true;
	p->next = x->processes;
	x->processes = p;
	metric_add(&processes_now, 1);
	if (!x->keeper)
		x->keeper = thread_start("node", 0, keeper_main, x);
	return p;
}

/* Starts it with the lock released meanwhile. */
static status
start_locked(
    struct node_executor *x, struct node_process *p, const struct node_env *env, struct err *e)
{
	unsigned name = x->names++;
	status st;

	must(pthread_mutex_unlock(&x->lock) == 0);
	st = process_start(x, p, env, name, e);
	must(pthread_mutex_lock(&x->lock) == 0);
	p->starting = false;
	p->retired = st != ST_OK;
	must(pthread_cond_broadcast(&x->changed) == 0);
	return st;
}

status
process_acquire(struct node_executor *x, struct node_package *package, const struct node_env *env,
    struct node_process **ret, struct err *e)
{
	struct node_process *p;
	status st = ST_OK;

	TRY(node_executor_check(x, e));
	must(pthread_mutex_lock(&x->lock) == 0);
	while ((p = find(x, package, env)) != NULL && p->starting)
		must(pthread_cond_wait(&x->changed, &x->lock) == 0);
	if (p && has_news(p)) {
		retire(p, "it failed");
		p = NULL;
	}
	if (!p && count_processes(x) >= PROCESSES_MAX) {
		st = err_set(e, ST_OVERLOADED, "TooManyConcurrentRequests",
		    "Too many Node.js processes are busy (limit: %d). Try again later.",
		    PROCESSES_MAX);
	} else if (!p) {
		p = add_process(x, package, env);
		st = start_locked(x, p, env, e);
	}
	if (st == ST_OK) {
		p->running++;
		*ret = p;
	}
	must(pthread_mutex_unlock(&x->lock) == 0);
	end_finished(x, false);
	return st;
}

void
process_release(struct node_executor *x, struct node_process *p, bool poisoned)
{
	must(pthread_mutex_lock(&x->lock) == 0);
	if (poisoned && !p->retired) {
		retire(p, "it failed");
		metric_add(&processes_replaced, 1);
	}
	if (--p->running == 0)
		p->idle_since_ns = os_mono_ns(x->os);
	must(pthread_mutex_unlock(&x->lock) == 0);
	end_finished(x, false);
}

void
processes_end(struct node_executor *x)
{
	struct thread *keeper;

	must(pthread_mutex_lock(&x->lock) == 0);
	x->closing = true;
	keeper = x->keeper;
	must(pthread_cond_broadcast(&x->changed) == 0);
	must(pthread_mutex_unlock(&x->lock) == 0);
	if (keeper)
		thread_join_free(keeper);
	end_finished(x, true);
	must(!x->processes);
}

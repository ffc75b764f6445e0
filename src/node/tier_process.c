/* tier_process.c - the processes of the full-engine tier: started, kept, ended.
 *
 * A process has an empty environment, no descriptor but its socket, may not touch files nor start
 * anything (Node's permission model, as a second line of defence: js/tier hands no object of
 * Node's to functions), and cannot make code from strings.
 *
 * A process says after each run whether it can have another.  One that cannot is old: it keeps too
 * much of what it ran, and is replaced before somebody needs it.
 *
 * The keeper is a thread that ends and replaces idle processes; it lives as long as there has been
 * one.
 *
 * Thread: any; tier.lock.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "isolate/remote.h"
#include "node/child.h"
#include "node/nframe.h"
#include "node/tier_int.h"
#include "os/memory.h"
#include "runtime/metrics.h"

#define NS_PER_MS    1000000u
#define NS_PER_S     1000000000u
#define IDLE_NS      ((uint64_t)30 * NS_PER_S)
#define START_MS     15000 /* until a new process is ready, on a busy machine */
#define WRITE_MS     15000
#define WAIT_S       15    /* for one of the others' to become free */
#define READ_BYTES   65536u
#define FRAME_MAX    ((size_t)128 << 20)
#define NICE         1
#define LOOK_NS      ((uint64_t)20 * NS_PER_MS) /* until a process is ready for its next run */
#define STACK_NEEDED ((rlim_t)4 << 20)
#define ACTION_MEMORY ((size_t)128 << 20) /* that a process takes, as a rule at most */
#define ACTIONS_LEAST 4u
#define ACTIONS_MOST  64u

static struct metric processes_now = METRIC_GAUGE("fresnel_tier_processes",
    "Node.js processes that run functions of the default runtime");
static struct metric processes_started = METRIC_COUNTER("fresnel_tier_processes_started_total",
    "Node.js processes started for functions of the default runtime");
static struct metric processes_killed = METRIC_COUNTER("fresnel_tier_processes_killed_total",
    "Of these, ended together with a run");

/* --- talking --- */

enum tier_read
tier_process_read(struct tier_process *p, int ms)
{
	struct nframe f;
	size_t        size;

	for (;;) {
		struct pollfd w = { .fd = p->link, .events = POLLIN };
		char         *room;
		ssize_t       n;

		switch (nframe_next(buf_str(&p->in), &f, &size)) {
		case NFRAME_ONE:
			return TIER_FRAME;
		case NFRAME_BAD:
			return TIER_GONE;
		case NFRAME_MORE:
			break;
		}
		n = poll(&w, 1, ms);
		if (n == 0)
			return TIER_LATER;
		room = buf_reserve(&p->in, READ_BYTES);
		if (!room)
			return TIER_GONE;
		n = recv(p->link, room, READ_BYTES, MSG_DONTWAIT); /* poll() may be interrupted */
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			return TIER_GONE;
		if (n > 0)
			p->in.n += (size_t)n;
	}
}

static bool
write_all(struct tier_process *p, str s)
{
	while (s.n) {
		struct pollfd w = { .fd = p->link, .events = POLLOUT };
		ssize_t       n = send(p->link, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			s = str_from(s, (size_t)n);
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		else if (poll(&w, 1, WRITE_MS) == 0)
			return false;
	}
	return true;
}

bool
tier_process_write(struct tier_process *p, str header, str bytes)
{
	struct buf b;
	bool       good;

	buf_init(&b, BUF_MAX_DEFAULT);
	nframe_add(&b, header, bytes);
	good = buf_ok(&b) && write_all(p, buf_str(&b));
	buf_clear(&b);
	return good;
}

/* --- starting --- */

/* Deep recursion must meet V8's limit before the end of the stack. */
static const char *
stack_flag(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_STACK, &r) == 0 &&
	    (r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= STACK_NEEDED))
		return "--stack-size=1900";
	return "--stack-size=900";
}

static status
spawn(struct tier *t, int link, pid_t *ret, struct err *e)
{
	struct buf  main;
	const char *argv[] = { t->node, "--experimental-vm-modules", "--no-warnings",
		"--disallow-code-generation-from-strings", "--frozen-intrinsics",
		"--experimental-permission", "--max-old-space-size=112",
		"--max-semi-space-size=32", stack_flag(), "-e", NULL, NULL };
	const char *const envp[] = { "TZ=UTC", "LC_ALL=en_US.UTF-8", NULL };
	int               quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
	status            st;

	if (quiet < 0)
		return err_os(e, "open", "/dev/null");
	buf_init(&main, BUF_MAX_DEFAULT);
	buf_add(&main, str_of(tier_main_js, tier_main_js_len));
	buf_add_byte(&main, 0);
	argv[COUNT_OF(argv) - 2] = main.p;
	st = child_start(&(struct child_opts){ .argv = argv, .envp = envp, .folder = "/",
	    .link = link, .output = quiet, .nice = NICE }, ret, e);
	buf_clear(&main);
	(void)close(quiet);
	return st;
}

static void
process_free(struct tier_process *p)
{
	(void)close(p->link);
	buf_clear(&p->in);
	mem_free(p);
}

static status
process_start(struct tier *t, struct tier_process **ret, struct err *e)
{
	struct tier_process *p = MEM_NEW(struct tier_process);
	int                  ends[2];
	status               st;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
		mem_free(p);
		return err_os(e, "socketpair", "of the full engine");
	}
	p->link = ends[0];
	buf_init(&p->in, FRAME_MAX);
	st = spawn(t, ends[1], &p->pid, e);
	(void)close(ends[1]);
	if (st != ST_OK) {
		process_free(p);
		return st;
	}
	metric_add(&processes_now, 1);
	metric_add(&processes_started, 1);
	log_debug("full engine: process %d begins", (int)p->pid);
	*ret = p;
	return ST_OK;
}

static void
process_end(struct tier *t, struct tier_process *p)
{
	log_debug("full engine: process %d ends", (int)p->pid);
	child_end(p->pid);
	process_free(p);
	metric_add(&processes_now, -1);
	MUTEX_GUARD(&t->lock);
	t->alive--;
	must(pthread_cond_broadcast(&t->freed) == 0); /* the keeper waits there too */
}

/* Waits for "ready": a context with the prelude evaluated.  TIER_GONE: there will be none. */
static enum tier_read
hear_ready(struct tier_process *p, int ms)
{
	struct nframe  f;
	size_t         size;
	enum tier_read heard = p->ready ? TIER_FRAME : tier_process_read(p, ms);

	if (p->ready || heard != TIER_FRAME)
		return heard;
	must(nframe_next(buf_str(&p->in), &f, &size) == NFRAME_ONE);
	p->ready = str_eq(f.header, S("{\"t\":\"ready\"}")) &&
	    clock_getcpuclockid(p->pid, &p->cpu) == 0;
	p->old = str_eq(f.header, S("{\"t\":\"old\"}"));
	buf_drop_front(&p->in, size);
	return p->ready ? TIER_FRAME : TIER_GONE;
}

static bool
await_ready(struct tier_process *p)
{
	return hear_ready(p, START_MS) == TIER_FRAME;
}

/* --- the pool --- */

/* One that has been idle for too long, or is of no use, out of the list; or NULL.  *ret_look: some
 * are not ready yet. */
static struct tier_process *
take_stale(struct tier *t, uint64_t now, bool *ret_look)
{
	for (struct tier_process **at = &t->idle; *at; at = &(*at)->next) {
		struct tier_process *p = *at;
		enum tier_read       heard = hear_ready(p, 0);

		if (heard == TIER_LATER)
			*ret_look = true;
		if (!t->closing && heard != TIER_GONE && now - p->idle_since_ns < t->idle_ns)
			continue;
		*at = p->next;
		return p;
	}
	return NULL;
}

static void
keep_for_later(struct tier *t, struct tier_process *p)
{
	p->idle_since_ns = os_mono_ns(t->os);
	MUTEX_GUARD(&t->lock);
	p->next = t->idle;
	t->idle = p;
}

/* With the lock: something may have happened. */
static void
pause_keeper(struct tier *t, bool look)
{
	struct timespec until;
	uint64_t        pause = look ? LOOK_NS : t->idle_ns / 4 + NS_PER_MS;

	must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	until.tv_sec += (time_t)(pause / NS_PER_S);
	until.tv_nsec += (long)(pause % NS_PER_S);
	if (until.tv_nsec >= (long)NS_PER_S) {
		until.tv_sec++;
		until.tv_nsec -= (long)NS_PER_S;
	}
	(void)pthread_cond_timedwait(&t->freed, &t->lock, &until);
}

/* In the place of an old one. */
static void
replace(struct tier *t)
{
	struct tier_process *p;

	if (process_start(t, &p, NULL) != ST_OK)
		return; /* whoever needs one tries again */
	must(pthread_mutex_lock(&t->lock) == 0);
	t->alive++;
	must(pthread_mutex_unlock(&t->lock) == 0);
	if (write_all(p, buf_str(&t->hello)))
		keep_for_later(t, p);
	else
		process_end(t, p);
}

static void
keep(void *arg)
{
	struct tier *t = arg;

	for (;;) {
		struct tier_process *stale;
		bool                 old, look = false, over;

		must(pthread_mutex_lock(&t->lock) == 0);
		stale = take_stale(t, os_mono_ns(t->os), &look);
		over = !stale && t->closing;
		old = stale && stale->old && !t->closing;
		if (!stale && !over)
			pause_keeper(t, look);
		must(pthread_mutex_unlock(&t->lock) == 0);
		if (over)
			return;
		if (stale)
			process_end(t, stale);
		if (old)
			replace(t);
	}
}

/* An idle one, or leave to start one (*ret NULL); its place is taken. */
static status
wait_for_turn(struct tier *t, enum tier_kind kind, struct tier_process **ret, struct err *e)
{
	struct timespec until;

	must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	until.tv_sec += WAIT_S;
	MUTEX_GUARD(&t->lock);
	while (!t->why_not.p && t->busy[kind] >= t->max[kind]) {
		if (pthread_cond_timedwait(&t->freed, &t->lock, &until) == ETIMEDOUT &&
		    t->busy[kind] >= t->max[kind])
			return err_set(e, ST_OVERLOADED, "WorkerOverloaded",
			    "There are no available workers to process the request");
	}
	if (t->why_not.p)
		return err_set_str(e, ST_FEATURE_UNAVAILABLE, "FullEngineUnavailable", t->why_not);
	t->busy[kind]++;
	*ret = t->idle;
	if (t->idle)
		t->idle = t->idle->next;
	else
		t->alive++;
	if (!t->keeper)
		t->keeper = thread_start("tier", 0, keep, t);
	return ST_OK;
}

static void
end_turn(struct tier *t, enum tier_kind kind)
{
	MUTEX_GUARD(&t->lock);
	t->busy[kind]--;
	must(pthread_cond_broadcast(&t->freed) == 0); /* the keeper waits there too */
}

/* For good: what worked once is worth another try. */
static void
give_up(struct tier *t, const char *why)
{
	MUTEX_GUARD(&t->lock);
	if (t->why_not.p || t->proven)
		return;
	t->why_not = str_z(why);
	must(pthread_cond_broadcast(&t->freed) == 0);
}

static status
first_start(struct tier *t, struct tier_process **ret, struct err *e)
{
	status st = process_start(t, ret, e);

	if (st != ST_OK) {
		MUTEX_GUARD(&t->lock);
		t->alive--;
		must(pthread_cond_broadcast(&t->freed) == 0);
		return st;
	}
	if (write_all(*ret, buf_str(&t->hello)) && await_ready(*ret)) {
		MUTEX_GUARD(&t->lock);
		t->proven = true;
		return ST_OK;
	}
	process_end(t, *ret);
	give_up(t, "Node.js does not work, or is older than 20.18 or 22.8");
	tier_regret(t);
	return err_set(e, ST_FEATURE_UNAVAILABLE, "FullEngineUnavailable",
	    "the full engine did not start");
}

/* `p` is NULL, or was idle.  *ret NULL and no error: it died meanwhile. */
static status
take(struct tier *t, struct tier_process *p, struct tier_process **ret, struct err *e)
{
	*ret = NULL;
	if (!p)
		return first_start(t, ret, e);
	if (await_ready(p))
		*ret = p;
	else
		process_end(t, p);
	return ST_OK;
}

status
tier_process_take(struct tier *t, enum tier_kind kind, struct tier_process **ret, struct err *e)
{
	do {
		struct tier_process *p = NULL;
		status               st;

		TRY(wait_for_turn(t, kind, &p, e));
		st = take(t, p, ret, e);
		if (st != ST_OK || !*ret)
			end_turn(t, kind);
		TRY(st);
	} while (!*ret);
	(*ret)->kind = kind;
	return ST_OK;
}

void
tier_process_give(struct tier *t, struct tier_process *p, bool good)
{
	enum tier_kind kind = p->kind;

	if (good) {
		p->ready = false;
		keep_for_later(t, p);
	} else {
		metric_add(&processes_killed, 1);
		process_end(t, p);
	}
	end_turn(t, kind);
}

/* --- the tier --- */

static void
make_hello(struct tier *t)
{
	struct buf header, bytes;

	buf_init(&t->hello, BUF_MAX_DEFAULT);
	buf_init(&header, BUF_MAX_DEFAULT);
	buf_init(&bytes, BUF_MAX_DEFAULT);
	buf_fmt(&header, "{\"sizes\":[%zu],\"natives\":[", tier_context_js_len);
	remote_natives(&header);
	buf_addz(&header, "]}");
	buf_add(&bytes, str_of(tier_context_js, tier_context_js_len));
	buf_add(&bytes, remote_prelude());
	nframe_add(&t->hello, buf_str(&header), buf_str(&bytes));
	buf_clear(&header);
	buf_clear(&bytes);
}

static size_t
calls_max(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return (size_t)(processors > 0 ? processors : 1) + 2;
}

static size_t
actions_max(void)
{
	size_t n = memory_available() / 2 / ACTION_MEMORY;

	return n < ACTIONS_LEAST ? ACTIONS_LEAST : n > ACTIONS_MOST ? ACTIONS_MOST : n;
}

struct tier *
tier_new(const struct tier_opts *o)
{
	struct tier       *t = MEM_NEW(struct tier);
	pthread_condattr_t attr;

	t->arena = arena_new();
	t->os = o->os;
	t->node = o->node ? arena_str(t->arena, str_z(o->node)).p : child_find(t->arena, "node");
	if (!t->node)
		t->why_not = S("there is no Node.js (program \"node\") in PATH");
	t->max[TIER_CALL] = o->calls_max ? o->calls_max : calls_max();
	t->max[TIER_NESTED] = SIZE_MAX;
	t->max[TIER_ACTION] = o->actions_max ? o->actions_max : actions_max();
	t->idle_ns = o->idle_ns ? o->idle_ns : IDLE_NS;
	must(pthread_mutex_init(&t->lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&t->freed, &attr) == 0);
	pthread_condattr_destroy(&attr);
	make_hello(t);
	return t;
}

void
tier_free(struct tier *t)
{
	if (!t)
		return;
	must(pthread_mutex_lock(&t->lock) == 0);
	t->closing = true;
	must(pthread_cond_broadcast(&t->freed) == 0);
	must(pthread_mutex_unlock(&t->lock) == 0);
	if (t->keeper)
		thread_join_free(t->keeper);
	must(!t->idle && t->alive == 0);
	pthread_cond_destroy(&t->freed);
	pthread_mutex_destroy(&t->lock);
	buf_clear(&t->hello);
	arena_free(t->arena);
	mem_free(t);
}

bool
tier_available(struct tier *t)
{
	if (!t)
		return false;
	MUTEX_GUARD(&t->lock);
	return !t->why_not.p;
}

size_t
tier_processes(struct tier *t)
{
	MUTEX_GUARD(&t->lock);
	return t->alive;
}

void
tier_regret(struct tier *t)
{
	MUTEX_GUARD(&t->lock);
	if (!t->why_not.p || t->told)
		return;
	t->told = true;
	log_info("functions that compute much run slower than they could: %.*s",
	    STR_ARG(t->why_not));
}

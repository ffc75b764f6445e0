/* tier.c - one run in the full engine: frames there and back, and its limits.
 *
 * The CPU time of the process is the run's time, its threads for compiling and collecting included.
 * Whatever the function is doing, also inside of V8, the end of its time or memory is the end of
 * the process.
 *
 * Thread: the caller's.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>
#include <fcntl.h>

#include "base/log.h"
#include "isolate/remote.h"
#include "node/child.h"
#include "node/nframe.h"
#include "node/tier_int.h"
#include "runtime/metrics.h"

#define NS_PER_MS  1000000u
#define NS_PER_S   1000000000u
#define GRACE_S    2 /* of CPU, in which a run past its time is ended here */
#define LOOK_MS    10  /* between looks at a run's CPU time and memory */
#define MEMORY_MAX ((uint64_t)192 << 20) /* that a run may add to its process: heap and buffers */
#define WALL_NS    ((uint64_t)120000000000) /* a run that neither computes nor asks is stuck */

static struct metric runs = METRIC_COUNTER("fresnel_tier_runs_total",
    "runs of functions in V8");
static struct metric run_time = METRIC_HISTOGRAM("fresnel_tier_run_cpu_seconds",
    "CPU time of a function's run in V8");

/* A run on its way. */
struct going {
	struct tier_process   *p;
	struct remote         *r;
	const struct tier_run *run;
	uint64_t               cpu_start_ns, import_ns, memory_start, heard_ns, looked_ns;
	struct buf             header, bytes; /* of an answer */
	bool                   good;          /* the process can have another run */
};

/* --- limits --- */

static uint64_t
cpu_ns(const struct tier_process *p)
{
	struct timespec ts;

	if (clock_gettime(p->cpu, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t
used_ns(const struct going *g)
{
	uint64_t now = cpu_ns(g->p);

	return now > g->cpu_start_ns ? now - g->cpu_start_ns : 0;
}

static uint64_t
memory_of(const struct tier_process *p)
{
	char     path[64], text[128];
	uint64_t total, resident = 0;
	FILE    *f;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)p->pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(text, sizeof text, f) && sscanf(text, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	(void)fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* True if the run has to end; the outcome is there. */
static bool
past_limits(struct going *g)
{
	uint64_t now = os_mono_ns(os_real());

	if (now - g->looked_ns < LOOK_MS * (uint64_t)NS_PER_MS)
		return false;
	g->looked_ns = now;
	if (remote_spent(g->r, used_ns(g) + g->run->spent_ns))
		return true;
	if (memory_of(g->p) > g->memory_start + MEMORY_MAX)
		remote_fail_memory(g->r);
	else if (now - g->heard_ns > WALL_NS && g->run->kind != TIER_ACTION)
		remote_fail_time(g->r);
	else
		return remote_overdue(g->r);
	return true;
}

/* V8 ends the process when its heap is full. */
static void
take_death(struct going *g)
{
	siginfo_t how = { 0 };
	bool      died = waitid(P_PID, (id_t)g->p->pid, &how, WEXITED | WNOWAIT) == 0;

	if (died && (how.si_code == CLD_KILLED || how.si_code == CLD_DUMPED) &&
	    (how.si_status == SIGABRT || how.si_status == SIGTRAP || how.si_status == SIGILL))
		remote_fail_memory(g->r);
	else
		remote_fail(g->r, S("JavaScript execution failed inside the engine"));
}

/* --- frames --- */

static bool
answer(struct going *g)
{
	if (tier_process_write(g->p, buf_str(&g->header), buf_str(&g->bytes)))
		return true;
	take_death(g);
	return false;
}

/* False: the run is over. */
static bool
take_frame(struct going *g)
{
	struct nframe    f;
	size_t           size;
	enum remote_step step;

	must(nframe_next(buf_str(&g->p->in), &f, &size) == NFRAME_ONE);
	buf_reset(&g->header);
	buf_reset(&g->bytes);
	step = remote_take(g->r, f.header, f.bytes, &g->header, &g->bytes);
	buf_drop_front(&g->p->in, size);
	g->heard_ns = os_mono_ns(os_real());
	if (!g->import_ns && remote_executes(g->r))
		g->import_ns = used_ns(g);
	switch (step) {
	case REMOTE_ANSWER:
		return answer(g);
	case REMOTE_NOTHING:
		return true;
	case REMOTE_DONE:
		g->good = true;
		return false; /* even if it took too long: it made it */
	case REMOTE_BROKEN:
		break;
	}
	return false;
}

static void
converse(struct going *g)
{
	for (;;) {
		switch (tier_process_read(g->p, LOOK_MS)) {
		case TIER_FRAME:
			if (!take_frame(g) || past_limits(g))
				return;
			break;
		case TIER_LATER:
			if (past_limits(g))
				return;
			break;
		case TIER_GONE:
			take_death(g);
			return;
		}
	}
}

status
tier_run(struct tier *t, const struct tier_run *run, struct run_result *ret, struct err *e)
{
	struct going g = { .run = run };
	status       st = tier_process_take(t, run->kind, &g.p, e);

	if (st != ST_OK)
		return st;
	st = remote_begin(run->iso, run->req, ret, &g.r, e);
	if (st != ST_OK) {
		tier_process_give(t, g.p, false);
		return st;
	}
	buf_init(&g.header, BUF_MAX_DEFAULT);
	buf_init(&g.bytes, BUF_MAX_DEFAULT);
	child_limit_cpu(g.p->pid, remote_time_ns(g.r) / NS_PER_S + GRACE_S);
	g.cpu_start_ns = cpu_ns(g.p);
	g.memory_start = memory_of(g.p);
	g.heard_ns = os_mono_ns(os_real());
	remote_request(g.r, &g.header);
	if (answer(&g))
		converse(&g);
	ret->user_ns = used_ns(&g) + run->spent_ns;
	ret->import_ns = g.import_ns;
	metric_add(&runs, 1);
	metric_observe_ns(&run_time, used_ns(&g));
	tier_process_give(t, g.p, g.good);
	buf_clear(&g.header);
	buf_clear(&g.bytes);
	return remote_end(g.r, e);
}

/* scheduler.c - the core's side of scheduled functions and crons: see scheduler.h.
 *
 *   watch --changed--> ask --list--> launch --call--> mutation: done
 *                                      ^               action: begun, run, noted
 *                                      +---- retry after a conflict or a failure of the server
 *
 * Thread: the loop thread; the task on a worker.
 * Memory: the list in an arena that lives until the next list; flights malloced.
 */
#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "functions/scheduled_int.h"
#include "functions/scheduler.h"

#define PARALLEL_DEFAULT 64
#define AGAIN_NS         (1000ull * 1000000ull) /* after a list that could not be had */
#define OCC_FIRST_NS     (100ull * 1000000ull)  /* spec 05 section 2.3 */
#define OCC_MOST_NS      (60000ull * 1000000ull)
#define ERROR_FIRST_NS   (500ull * 1000000ull)
#define ERROR_MOST_NS    (7200000ull * 1000000ull)
#define CRON_MOST_NS     (15000ull * 1000000ull) /* section 3.3 */
#define KEEP_NS          (7ull * 24 * 3600 * 1000000000ull)
#define LOOK_NS          (60ull * 1000000000ull) /* at most: the wall clock may be set */
#define SWEEP_NS         (600ull * 1000000000ull)
#define SWEEP_MORE_NS    (10ull * 1000000000ull)
#define SWEEP_ROWS       1000

struct due {
	str      id, path, component;
	uint64_t next_ns; /* wall clock */
	bool     cron;
};

/* A job on its way. */
struct flight {
	struct scheduler *s;
	struct link       link;      /* in s->flights */
	str               id;        /* in the call's arena */
	struct fn_call   *call;      /* of the current step: one reference */
	struct fn_result *outcome;   /* of an action: one reference */
	struct pending_call *pending; /* the call that is out; NULL: none */
	unsigned          conflicts, failures;
	uint64_t          retry_ns;  /* monotonic; 0: not waiting */
	bool              noting;    /* the outcome waits to be written */
	bool              noted;
};

struct scheduler {
	struct scheduler_opts opts;
	struct live_watch    *watch;
	struct deferred       asking;
	bool                  asked, again, stopped;
	struct arena         *arena; /* of the list */
	VEC(struct due)       list;
	struct map           *by_id; /* job id -> struct flight */
	struct link           flights;
	size_t                nflights;
	uint64_t              wake_ns, sweep_ns; /* monotonic */
	bool                  sweeping;
	size_t                swept;
};

static void launch(struct scheduler *s);

/* --- the list --- */

static void
read_due(struct scheduler *s, const struct json *j)
{
	struct due d;
	str        next;

	if (!json_get_str(j, "id", &d.id) || !json_get_str(j, "path", &d.path) ||
	    !json_get_str(j, "component", &d.component) || !json_get_str(j, "next", &next) ||
	    !json_get_bool(j, "cron", &d.cron) || !str_to_u64(next, &d.next_ns))
		return;
	vec_push(&s->list, d);
}

static int
by_time(const void *a, const void *b)
{
	uint64_t x = ((const struct due *)a)->next_ns, y = ((const struct due *)b)->next_ns;

	return (x > y) - (x < y);
}

static void
on_list(void *arg, struct fn_result *res)
{
	struct scheduler *s = arg;
	struct json      *j;

	s->asked = false;
	arena_reset(s->arena);
	s->list.n = 0;
	if (res->st == ST_OK && res->ok &&
	    json_parse(s->arena, arena_str(s->arena, res->value_json), &j, NULL) == ST_OK) {
		for (size_t i = 0; i < j->n; i++)
			read_due(s, &j->items[i]);
		if (s->list.n > 0)
			qsort(s->list.v, s->list.n, sizeof s->list.v[0], by_time);
		launch(s);
	} else {
		s->wake_ns = os_mono_ns(s->opts.os) + AGAIN_NS;
		s->again = true;
	}
	if (s->again && res->st == ST_OK && res->ok) {
		s->again = false;
		runner_defer(s->opts.runner, &s->asking);
	}
}

static void
ask(void *arg)
{
	struct scheduler *s = arg;
	struct snapshot  *at;

	if (s->stopped)
		return;
	if (s->asked) {
		s->again = true;
		return;
	}
	s->asked = true;
	at = runner_snapshot(s->opts.runner);
	live_eval(s->watch, at, on_list, s);
	snapshot_unref(at);
}

static void
on_changed(void *arg)
{
	struct scheduler *s = arg;

	if (!s->stopped)
		runner_defer(s->opts.runner, &s->asking);
}

/* --- flights --- */

static void
flight_over(struct flight *f)
{
	struct scheduler *s = f->s;

	(void)map_del(s->by_id, f->id);
	link_leave(&f->link);
	s->nflights--;
	fn_call_unref(f->call);
	fn_result_unref(f->outcome);
	mem_free(f);
	on_changed(s); /* its place is free, and the list may be older than its end */
}

/* min(first * 2^n, most), times a random share. */
static uint64_t
backoff(const struct os *os, uint64_t first, uint64_t most, unsigned n)
{
	uint64_t span = n < 24 && first << n < most ? first << n : most;
	uint32_t dice;

	os_random(os, &dice, sizeof dice);
	return (uint64_t)((double)span * ((double)dice / 4294967296.0)) + 1;
}

static void
retry_later(struct flight *f, uint64_t wait_ns)
{
	struct scheduler *s = f->s;

	f->retry_ns = os_mono_ns(s->opts.os) + wait_ns;
	if (f->retry_ns < s->wake_ns)
		s->wake_ns = f->retry_ns;
}

/* Spec 05 section 2.3: conflicts are run again without end, failures of the server too. */
static void
flight_failed(struct flight *f, const struct fn_result *res)
{
	const struct os *os = f->s->opts.os;

	if (res->st == ST_OCC) {
		retry_later(f, backoff(os, OCC_FIRST_NS, OCC_MOST_NS, f->conflicts++));
		return;
	}
	log_warn("the scheduled function %.*s could not run and will be tried again: %.*s",
	    STR_ARG(f->call->path), STR_ARG(res->text));
	retry_later(f, backoff(os, ERROR_FIRST_NS,
	    f->call->cron_id.n ? CRON_MOST_NS : ERROR_MOST_NS, f->failures++));
}

/* --- the outcome of an action --- */

static ts_t
note_task(struct fn_worker *w, void *arg)
{
	struct flight *f = arg;
	ts_t           ts = 0;

	f->noted = (f->call->cron_id.n ? cron_note : scheduled_note)(w, f->id, f->outcome, &ts);
	return ts;
}

static void
note_done(void *arg)
{
	struct flight *f = arg;

	if (f->noted)
		flight_over(f);
	else
		retry_later(f, backoff(f->s->opts.os, OCC_FIRST_NS, OCC_MOST_NS, f->conflicts++));
}

static void
note(struct flight *f)
{
	f->noting = true;
	runner_task(f->s->opts.runner, note_task, note_done, f);
}

static void
on_action(void *arg, struct fn_result *res)
{
	struct flight *f = arg;

	f->pending = NULL;
	f->outcome = fn_result_ref(res);
	note(f);
}

/* The job is marked as running, durably: whatever happens now, it runs only once. */
static void
run_action(struct flight *f, const struct fn_result *begun)
{
	struct fn_call *c = fn_call_copy(f->call, f->call->identity, (str){ NULL, 0 });

	c->want = WANT_ACTION;
	c->args_json = arena_str(c->arena, begun->value_json);
	c->job_step = JOB_STEP_RUN;
	f->id = c->cron_id.n ? c->cron_id : c->job_id;
	fn_call_unref(f->call);
	f->call = c;
	f->pending = runner_call(f->s->opts.runner, c, on_action, f);
}

static void
on_called(void *arg, struct fn_result *res)
{
	struct flight *f = arg;

	f->pending = NULL;
	if (res->st != ST_OK)
		flight_failed(f, res);
	else if (res->job_begun)
		run_action(f, res);
	else
		flight_over(f);
}

static void
call(struct flight *f)
{
	f->retry_ns = 0;
	f->pending = runner_call(f->s->opts.runner, f->call, on_called, f);
}

static void
start(struct scheduler *s, const struct due *d)
{
	struct flight  *f = MEM_NEW(struct flight);
	struct fn_call *c = fn_call_new();

	c->want = WANT_ANY;
	c->path = arena_str(c->arena, d->path);
	c->component = arena_str(c->arena, d->component);
	c->args_json = S("[]"); /* the worker reads them with the job */
	c->identity = identity_none();
	c->caller = d->cron ? CALLER_CRON : CALLER_SCHEDULER;
	c->internal_ok = true;
	c->request_id = fn_request_id(c->arena, s->opts.os);
	*(d->cron ? &c->cron_id : &c->job_id) = f->id = arena_str(c->arena, d->id);
	c->job_step = JOB_STEP_TAKE;
	f->s = s;
	f->call = c;
	link_before(&s->flights, &f->link);
	(void)map_put(s->by_id, f->id, f);
	s->nflights++;
	call(f);
}

/* Starts what is due and has room; the time of what comes next. */
static void
launch(struct scheduler *s)
{
	uint64_t now = os_now_ns(s->opts.os), mono = os_mono_ns(s->opts.os);

	for (size_t i = 0; i < s->list.n && !s->stopped; i++) {
		const struct due *d = &s->list.v[i];

		if (map_get(s->by_id, d->id))
			continue;
		if (d->next_ns > now) {
			uint64_t wait = d->next_ns - now, at;

			at = mono + (wait < LOOK_NS ? wait : LOOK_NS);
			s->wake_ns = at < s->wake_ns ? at : s->wake_ns;
			break;
		}
		if (s->nflights >= s->opts.parallel)
			break;
		start(s, d);
	}
}

/* --- old jobs --- */

static ts_t
sweep_task(struct fn_worker *w, void *arg)
{
	struct scheduler *s = arg;
	ts_t              ts = 0;

	s->swept = scheduled_sweep(w, os_now_ns(s->opts.os) - KEEP_NS, SWEEP_ROWS, &ts);
	return ts;
}

static void
sweep_done(void *arg)
{
	struct scheduler *s = arg;

	s->sweeping = false;
	s->sweep_ns =
	    os_mono_ns(s->opts.os) + (s->swept == SWEEP_ROWS ? SWEEP_MORE_NS : SWEEP_NS);
}

/* --- time --- */

static void
retry_due(struct scheduler *s, uint64_t mono_ns)
{
	for (struct link *l = s->flights.next, *next; l != &s->flights; l = next) {
		struct flight *f = LINK_OWNER(l, struct flight, link);

		next = l->next;
		if (f->retry_ns == 0)
			continue;
		if (f->retry_ns > mono_ns) {
			s->wake_ns = f->retry_ns < s->wake_ns ? f->retry_ns : s->wake_ns;
		} else if (f->noting) {
			f->retry_ns = 0;
			note(f);
		} else {
			call(f);
		}
	}
}

uint64_t
scheduler_tick(struct scheduler *s, uint64_t mono_ns)
{
	if (s->stopped)
		return UINT64_MAX;
	if (!s->sweeping && mono_ns >= s->sweep_ns) {
		s->sweeping = true;
		runner_task(s->opts.runner, sweep_task, sweep_done, s);
	}
	if (mono_ns >= s->wake_ns) {
		s->wake_ns = UINT64_MAX;
		if (s->again && !s->asked) {
			s->again = false;
			ask(s);
		}
		retry_due(s, mono_ns);
		launch(s);
	}
	return s->wake_ns < s->sweep_ns || s->sweeping ? s->wake_ns : s->sweep_ns;
}

/* --- life --- */

static struct fn_call *
due_call(size_t limit)
{
	struct fn_call *c = fn_call_new();

	c->want = WANT_QUERY;
	c->path = S(SCHEDULER_DUE_PATH);
	c->args_json = arena_fmt(c->arena, "[{\"limit\":%zu}]", limit);
	c->identity = identity_system();
	c->caller = CALLER_SCHEDULER;
	c->internal_ok = true;
	return c;
}

struct scheduler *
scheduler_new(const struct scheduler_opts *opts)
{
	struct scheduler *s = MEM_NEW(struct scheduler);
	struct fn_call   *c;

	s->opts = *opts;
	if (s->opts.parallel == 0)
		s->opts.parallel = PARALLEL_DEFAULT;
	s->arena = arena_new();
	s->by_id = map_new();
	link_init(&s->flights);
	s->wake_ns = UINT64_MAX;
	s->sweep_ns = os_mono_ns(opts->os) + SWEEP_MORE_NS;
	s->asking = (struct deferred){ .fn = ask, .arg = s };
	c = due_call(2 * s->opts.parallel); /* those that run are at the front */
	s->watch = live_watch(opts->runner, c, on_changed, s);
	fn_call_unref(c);
	on_changed(s);
	return s;
}

void
scheduler_stop(struct scheduler *s)
{
	s->stopped = true;
}

size_t
scheduler_busy(const struct scheduler *s)
{
	return s->nflights;
}

void
scheduler_free(struct scheduler *s)
{
	if (!s)
		return;
	live_unwatch(s->watch);
	runner_undefer(&s->asking);
	while (link_joined(&s->flights)) {
		struct flight *f = LINK_OWNER(s->flights.next, struct flight, link);

		link_leave(&f->link);
		if (f->pending)
			runner_abandon(f->pending);
		fn_call_unref(f->call);
		fn_result_unref(f->outcome);
		mem_free(f);
	}
	vec_clear(&s->list);
	map_free(s->by_id);
	arena_free(s->arena);
	mem_free(s);
}

/* action_test.c - threads of actions, and what an action's thread waits for. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/json.h"
#include "functions/action_int.h"
#include "functions/actions.h"
#include "runtime/thread.h"

#define SECOND ((uint64_t)1000000000)

/* --- a core of one's own --- */

struct core {
	struct native_fn native;
	struct db *db;
	struct functions *functions;
	struct runner *runner;
	struct actions *actions;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	VEC(struct job *) done;    /* have run */
	size_t inside;             /* actions that wait to be let go */
	bool open;                 /* they may go */
	VEC(struct job *) refused; /* the test's thread only */
	size_t ok, failed;
	struct arena *arena;
	str code, text; /* of the last failure */
};

/* Waits until the test opens the door. */
static status
app_wait(const struct native_call *c, struct val *ret, struct err *e)
{
	struct core *k = c->arg;

	(void)e;
	must(pthread_mutex_lock(&k->lock) == 0);
	k->inside++;
	must(pthread_cond_broadcast(&k->changed) == 0);
	while (!k->open)
		must(pthread_cond_wait(&k->changed, &k->lock) == 0);
	k->inside--;
	must(pthread_mutex_unlock(&k->lock) == 0);
	*ret = val_true;
	return ST_OK;
}

static void
submit(void *arg, struct job *j)
{
	actions_submit(((struct core *)arg)->actions, j);
}

static void
on_done(void *arg, struct job *j)
{
	struct core *k = arg;

	must(pthread_mutex_lock(&k->lock) == 0);
	vec_push(&k->done, j);
	must(pthread_cond_broadcast(&k->changed) == 0);
	must(pthread_mutex_unlock(&k->lock) == 0);
}

static void
on_refused(void *arg, struct job *j)
{
	struct core *k = arg;

	vec_push(&k->refused, j);
}

static void
post(void *arg, struct gate_post *p)
{
	(void)arg, (void)p;
	fail_msg("nothing goes to the core here");
}

static void
core_open(struct core *k, size_t max)
{
	struct db_opts dbo = { .os = os_real(), .instance_name = S("test") };

	memset(k, 0, sizeof *k);
	k->native = (struct native_fn){ "acts.js:wait", UDF_ACTION, app_wait, k };
	must(pthread_mutex_init(&k->lock, NULL) == 0);
	must(pthread_cond_init(&k->changed, NULL) == 0);
	k->arena = arena_new();
	store_open_memory(&dbo.store);
	CHECK_EQ(db_open(&dbo, &k->db, NULL), ST_OK);
	k->functions = functions_new(&(struct functions_opts){
	    .db = k->db, .natives = &k->native, .nnatives = 1, .instance_name = S("test") });
	functions_set_services(k->functions,
	    &(struct action_services){ .gate = { k, post }, .timeout_ns = 600 * SECOND });
	k->runner = runner_new(&(struct runner_opts){
	    .functions = k->functions, .executor = { k, submit }, .os = os_real() });
	k->actions = actions_new(&(struct actions_opts){ .functions = k->functions,
	    .isolate = isolate_new(&(struct isolate_opts){ .os = os_real() }),
	    .max = max,
	    .done = on_done,
	    .refused = on_refused,
	    .done_arg = k });
}

static void
core_close(struct core *k)
{
	actions_free(k->actions);
	runner_free(k->runner);
	functions_free(k->functions);
	db_close(k->db);
	vec_clear(&k->done);
	vec_clear(&k->refused);
	arena_free(k->arena);
	must(pthread_mutex_destroy(&k->lock) == 0);
	must(pthread_cond_destroy(&k->changed) == 0);
}

static void
on_result(void *arg, struct fn_result *r)
{
	struct core *k = arg;

	if (r->st == ST_OK && r->ok) {
		k->ok++;
		return;
	}
	k->failed++;
	k->code = arena_str(k->arena, r->code);
	k->text = arena_str(k->arena, r->text);
}

static struct fn_call *
call_new(enum fn_caller caller)
{
	struct fn_call *c = fn_call_new();

	c->want = WANT_ACTION;
	CHECK_EQ(fn_path_parse(c->arena, S("acts:wait"), &c->path, NULL), ST_OK);
	c->args_json = S("[{}]");
	c->identity = identity_none();
	c->caller = caller;
	return c;
}

static void
begin(struct core *k, enum fn_caller caller)
{
	struct fn_call *c = call_new(caller);

	(void)runner_call(k->runner, c, on_result, k);
	fn_call_unref(c);
}

/* Until so many actions are inside and so many calls are answered. */
static void
settle(struct core *k, size_t inside, size_t answered)
{
	must(pthread_mutex_lock(&k->lock) == 0);
	while (k->inside != inside || k->ok + k->failed < answered) {
		if (k->done.n == 0) {
			must(pthread_cond_wait(&k->changed, &k->lock) == 0);
			continue;
		}
		runner_job_done(k->runner, k->done.v[--k->done.n]);
	}
	must(pthread_mutex_unlock(&k->lock) == 0);
}

static void
let_go(struct core *k, bool open)
{
	must(pthread_mutex_lock(&k->lock) == 0);
	k->open = open;
	must(pthread_cond_broadcast(&k->changed) == 0);
	must(pthread_mutex_unlock(&k->lock) == 0);
}

static void
tick(struct core *k, uint64_t after_ns)
{
	(void)actions_tick(k->actions, os_mono_ns(os_real()) + after_ns);
	for (size_t i = 0; i < k->refused.n; i++)
		runner_job_done(k->runner, k->refused.v[i]);
	k->refused.n = 0;
}

/* Spec 04 section 5.4: so many run, the others wait in line, at most ten seconds; those that the
 * scheduler started wait as long as it takes. */
TEST(a_full_house)
{
	struct core k;

	core_open(&k, 2);
	for (int i = 0; i < 3; i++)
		begin(&k, CALLER_HTTP_API);
	begin(&k, CALLER_SCHEDULER);
	settle(&k, 2, 0);
	CHECK_EQ(actions_stats(k.actions).running, 2);
	CHECK_EQ(actions_stats(k.actions).waiting, 2);
	tick(&k, 9 * SECOND);
	CHECK_EQ(k.failed, 0);
	tick(&k, 11 * SECOND);
	CHECK_EQ(k.failed, 1);
	CHECK_STRZ(k.code, "TooManyConcurrentRequests");
	CHECK_STRZ(k.text, "Too many concurrent requests. Your backend is limited to 2 concurrent "
			   "actions. If you need more resources, please contact support.");
	CHECK_EQ(actions_tick(k.actions, os_mono_ns(os_real())), UINT64_MAX);
	CHECK_EQ(actions_stats(k.actions).waiting, 1);
	let_go(&k, true);
	settle(&k, 0, 4);
	CHECK_EQ(k.ok, 3);
	let_go(&k, false);
	begin(&k, CALLER_HTTP_API); /* by a thread that was there already */
	settle(&k, 1, 4);
	CHECK_EQ(actions_stats(k.actions).threads, 2);
	let_go(&k, true);
	settle(&k, 0, 5);
	CHECK_EQ(runner_busy(k.runner), 0);
	core_close(&k);
}

/* --- what an action waits for --- */

struct waiting {
	struct core k;
	struct fn_call *c;
	struct action_state *a;
	struct action_host h;
	atomic_bool stop;
	uint32_t id;
};

static void
waiting_open(struct waiting *w)
{
	core_open(&w->k, 1);
	atomic_init(&w->stop, false);
	w->c = call_new(CALLER_HTTP_API);
	w->a = action_state_new(w->k.functions, w->c, S("0123456789abcdef"), &w->stop);
	w->h = action_host_of(w->a);
	w->id = 0;
}

static void
waiting_close(struct waiting *w)
{
	action_state_end(w->a);
	action_state_unref(w->a);
	fn_call_unref(w->c);
	core_close(&w->k);
}

static uint32_t
start(struct waiting *w, enum op_kind kind, const char *name, str json)
{
	struct async_op *op = async_op_new(++w->id, kind);

	op->name = arena_str(op->arena, str_z(name));
	op->json = arena_str(op->arena, json);
	w->h.start(w->h.arg, op);
	return w->id;
}

static struct async_op *
next(struct waiting *w, uint64_t ns)
{
	return w->h.wait(w->h.arg, os_mono_ns(os_real()) + ns, -1);
}

/* The number of the next completion within a second, 0: none. */
static uint32_t
next_id(struct waiting *w)
{
	struct async_op *op = next(w, SECOND);
	uint32_t id = op ? op->id : 0;

	async_op_free(op);
	return id;
}

/* Timers come when they are due, the others when they are done; what is cancelled never. */
TEST(order_of_completions)
{
	struct waiting w;
	uint32_t late, early, cancelled, answer;

	waiting_open(&w);
	late = start(&w, OP_SLEEP, "", S("{\"ms\":40}"));
	cancelled = start(&w, OP_SLEEP, "", S("{\"ms\":5}"));
	early = start(&w, OP_SLEEP, "", S("{\"ms\":20}"));
	answer = start(&w, OP_SYSCALL, "1.0/getUserIdentity", S("{}"));
	w.h.cancel(w.h.arg, cancelled);
	CHECK_EQ(next_id(&w), answer);
	CHECK_EQ(next_id(&w), early);
	CHECK_EQ(next_id(&w), late);
	answer = start(&w, OP_SYSCALL, "1.0/getUserIdentity", S("{}"));
	early = start(&w, OP_SYSCALL, "1.0/getUserIdentity", S("{}"));
	w.h.cancel(w.h.arg, answer); /* it is done already */
	CHECK_EQ(next_id(&w), early);
	CHECK(!next(&w, SECOND / 100));
	waiting_close(&w);
}

/* The server stops, or somebody else's turn has come. */
TEST(waiting_ends)
{
	struct waiting w;
	int fd[2];

	waiting_open(&w);
	CHECK_EQ(pipe(fd), 0);
	CHECK_EQ(write(fd[1], "x", 1), 1);
	CHECK(!w.h.wait(w.h.arg, os_mono_ns(os_real()) + 60 * SECOND, fd[0]));
	CHECK(!w.h.cancelled(w.h.arg));
	(void)start(&w, OP_SLEEP, "", S("{\"ms\":60000}"));
	atomic_store(&w.stop, true);
	CHECK(!next(&w, 60 * SECOND));
	CHECK(w.h.cancelled(w.h.arg));
	CHECK_EQ(close(fd[0]) + close(fd[1]), 0);
	waiting_close(&w);
}

static str
answer_of(struct waiting *w)
{
	struct async_op *op = next(w, SECOND);
	str ret;

	CHECK(op != NULL);
	ret = op->st != ST_OK ? arena_fmt(w->k.arena, "! %.*s", STR_ARG(op->err.text))
	      : op->has_bytes ? arena_fmt(w->k.arena, "%.*s %.*s", STR_ARG(op->ret_json),
				    STR_ARG(buf_str(&op->ret_bytes)))
			      : arena_str(w->k.arena, op->ret_json);
	async_op_free(op);
	return ret;
}

/* 04 checklist 2: names of section 1.7 that need nobody else, and one that there is not. */
TEST(syscalls_of_actions)
{
	static const struct {
		const char *name, *args, *want;
	} cases[] = {
		{ "1.0/getUserIdentity", "{}", "null" },
		{ "1.0/getFunctionMetadata", "{}",
		    "{\"name\":\"acts:wait\",\"componentPath\":\"\"}" },
		{ "1.0/getDeploymentMetadata", "{}",
		    "{\"name\":\"test\",\"region\":null,\"class\":\"s16\"}" },
		{ "1.0/getRequestMetadata", "{}",
		    "{\"ip\":null,\"userAgent\":null,\"requestId\":"
		    "\"0123456789abcdef\",\"scheduledFunctionId\":null,\"authToken\":null}" },
		{ "1.0/auditLog", "{}", "! Audit logging is not yet supported in actions" },
		{ "1.0/createFunctionHandle", "{\"name\":\"a:b\"}", "! Function handle not found" },
		{ "1.0/createFunctionHandle", "{\"functionHandle\":\"function://x\"}",
		    "\"function://x\"" },
		{ "1.0/actions/query", "{}", "! Missing required argument 'name'" },
		{ "1.0/actions/query", "{\"functionHandle\":\"function://x\"}",
		    "! Function handle not found" },
		{ "1.0/actions/query", "{\"reference\":\"_reference/childComponent/x/y\"}",
		    "! Couldn't resolve _reference/childComponent/x/y" },
		{ "1.0/actions/query", "not json", "! Received invalid json" },
		{ "1.0/get", "{}", "! Unknown async operation 1.0/get" },
	};
	struct waiting w;

	waiting_open(&w);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		(void)start(&w, OP_SYSCALL, cases[i].name, str_z(cases[i].args));
		CHECK_STRZ(answer_of(&w), cases[i].want);
	}
	waiting_close(&w);
}

static void
write_later(void *stream)
{
	struct stream *s = stream;

	usleep(20000);
	(void)stream_write(s, S("more"));
	stream_end(s);
	stream_unref(s);
}

/* Chunks come as they are written, by whatever thread; then the end. */
TEST(streams)
{
	struct waiting w;
	struct stream *s = stream_new();
	uint64_t id;
	str read;
	struct thread *t;

	waiting_open(&w);
	id = action_stream_add(w.a, stream_ref(s));
	read = arena_fmt(w.k.arena, "{\"streamId\":\"%d\"}", (int)id);
	(void)stream_write(s, S("one"));
	(void)start(&w, OP_READ, "", read);
	CHECK_STRZ(answer_of(&w), "{\"done\":false} one");
	(void)start(&w, OP_READ, "", read);
	CHECK(!next(&w, SECOND / 100));
	t = thread_start("writer", 0, write_later, s);
	CHECK_STRZ(answer_of(&w), "{\"done\":false} more");
	(void)start(&w, OP_READ, "", read);
	CHECK_STRZ(answer_of(&w), "{\"done\":true}");
	(void)start(&w, OP_READ, "", S("{\"streamId\":\"77\"}")); /* there is none */
	CHECK_STRZ(answer_of(&w), "{\"done\":true}");
	thread_join_free(t);
	waiting_close(&w);
}

/* Who writes more than somebody reads waits for room; a reader that leaves is no reason to. */
TEST(room_to_write)
{
	static char        piece[1 << 20];
	struct action_host h;
	struct waiting     w;
	struct buf         b;
	struct stream     *s;
	uint64_t           id;
	str                which;

	waiting_open(&w);
	h = action_host_of(w.a);
	id = h.stream_new(h.arg);
	s = action_stream(w.a, id);
	which = arena_fmt(w.k.arena, "{\"streamId\":\"%d\"}", (int)id);
	for (int i = 0; i < 32; i++)
		CHECK(h.stream_write(h.arg, id, str_of(piece, sizeof piece), false, (str){ 0 }));
	(void)start(&w, OP_ROOM, "", which);
	CHECK_STRZ(answer_of(&w), "{}");
	CHECK(h.stream_write(h.arg, id, S("x"), false, (str){ 0 }));
	(void)start(&w, OP_ROOM, "", which);
	CHECK(!next(&w, SECOND / 100));
	buf_init(&b, 100);
	CHECK_EQ(stream_read(s, &b, 10), STREAM_DATA);
	CHECK_STRZ(answer_of(&w), "{}");
	CHECK(h.stream_write(h.arg, id, S("0123456789"), false, (str){ 0 }));
	(void)start(&w, OP_ROOM, "", which);
	CHECK(!next(&w, SECOND / 100));
	stream_close(s);
	CHECK_STRZ(answer_of(&w), "{}");
	(void)start(&w, OP_ROOM, "", S("{\"streamId\":\"77\"}")); /* there is none */
	CHECK_STRZ(answer_of(&w), "{}");
	buf_clear(&b);
	waiting_close(&w);
}

static void
complete_late(void *arg)
{
	struct waiting *w = arg;

	usleep(20000);
	action_answer(w->a, async_op_new(99, OP_SYSCALL), S("1"));
}

/* What comes after the end has nobody to go to, and is gone (the sanitizer says so). */
TEST(late_completions)
{
	struct waiting w;
	struct thread *t;

	waiting_open(&w);
	(void)action_state_ref(w.a); /* the operation's */
	t = thread_start("late", 0, complete_late, &w);
	(void)start(&w, OP_SLEEP, "", S("{\"ms\":1000}"));
	(void)start(&w, OP_READ, "", S("{\"streamId\":\"1\"}"));
	(void)start(&w, OP_SYSCALL, "1.0/getUserIdentity", S("{}"));
	action_state_end(w.a);
	thread_join_free(t);
	action_state_unref(w.a);
	fn_call_unref(w.c);
	core_close(&w.k);
}

TEST_RUN(T(a_full_house), T(order_of_completions), T(waiting_ends), T(syscalls_of_actions),
    T(streams), T(room_to_write), T(late_completions))

/* sync_session_fuzz.c - whatever a client sends, the session answers or ends.
 *
 * The input's lines are messages to one session over a runner and a database in memory, whose
 * jobs and disk writes happen in between; a line that begins with '!' lets time pass, '~' lets
 * a transition leave.  Nothing may crash, and after its end a session must stay silent.
 */
#include <stdint.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/vec.h"
#include "sync/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
	uint64_t          now_ns, dice;
	struct db        *db;
	struct runner    *runner;
	struct fn_worker *worker;
	VEC(struct job *) jobs;
	bool              closed;
	size_t            unsent;
};

static uint64_t
now(void *arg)
{
	return ((struct bench *)arg)->now_ns += 1000;
}

static void
dice(void *arg, void *ret, size_t n)
{
	struct bench *b = arg;

	for (size_t i = 0; i < n; i++) {
		b->dice = b->dice * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)ret)[i] = (uint8_t)(b->dice >> 56);
	}
}

static void
submit(void *arg, struct job *j)
{
	vec_push(&((struct bench *)arg)->jobs, j);
}

static void
on_send(void *arg, struct blob *message, bool transition)
{
	struct bench *b = arg;

	must(!b->closed);
	b->unsent += transition;
	must(b->unsent <= 2);
	blob_unref(message);
}

static void
on_close(void *arg, int code, str reason)
{
	struct bench *b = arg;

	must(!b->closed && code >= 0 && reason.n <= 123);
	b->closed = true;
}

static status
run_echo(const struct native_call *c, struct val *ret, struct err *e)
{
	(void)e;
	*ret = c->args;
	return ST_OK;
}

static status
run_insert(const struct native_call *c, struct val *ret, struct err *e)
{
	struct docid id;

	*ret = val_null;
	return txn_insert(c->txn, S("t"), c->args, &id, e);
}

static const struct native_fn natives[] = {
	{ "a.js:q", UDF_QUERY, run_echo, NULL },
	{ "a.js:m", UDF_MUTATION, run_insert, NULL },
};

static void
settle(struct bench *b)
{
	struct pending_batch *batch;

	do {
		runner_commits(b->runner);
		while (b->jobs.n) {
			struct job *j = b->jobs.v[--b->jobs.n];

			job_run(j, b->worker);
			runner_job_done(b->runner, j);
		}
		batch = db_take_batch(b->db, 100);
		if (batch)
			must(db_write_batch(b->db, batch, NULL) == ST_OK);
		runner_durable(b->runner);
	} while (batch || b->jobs.n);
}

static void
line(struct bench *b, struct session *s, str text)
{
	if (str_starts(text, S("!"))) {
		b->now_ns += 4000000000u;
		(void)session_tick(s, b->now_ns);
	} else if (str_starts(text, S("~"))) {
		settle(b);
		if (b->unsent && !b->closed) {
			b->unsent--;
			session_sent(s);
		}
	} else {
		session_message(s, text);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bench        b = { .now_ns = 1754500000000000000u };
	const struct os     os = { &b, now, now, dice };
	struct db_opts      dbo = { .os = &os, .instance_name = S("fuzz") };
	struct functions   *f;
	struct runner_opts  ro = { 0 };
	struct session_opts so = { 0 };
	struct session     *s;

	store_open_memory(&dbo.store);
	must(db_open(&dbo, &b.db, NULL) == ST_OK);
	f = functions_new(&(struct functions_opts){
	    .db = b.db, .natives = natives, .nnatives = COUNT_OF(natives) });
	b.worker = fn_worker_new(f, NULL);
	ro.functions = f;
	ro.executor = (struct executor){ &b, submit };
	ro.os = &os;
	b.runner = runner_new(&ro);
	so.runner = b.runner;
	so.auth =
	    auth_new(&(struct auth_opts){ .instance_name = S("fuzz"), .db = b.db, .os = &os });
	so.os = &os;
	so.io = (struct session_io){ &b, on_send, on_close };
	so.client = S("npm-1.48.0");
	s = session_new(&so);
	for (size_t at = 0; at < size;) {
		str    rest = str_of((const char *)data + at, size - at);
		size_t n = rest.n;

		(void)str_find_char(rest, '\n', &n);
		line(&b, s, str_head(rest, n));
		at += n + 1;
	}
	session_free(s);
	settle(&b);
	must(runner_busy(b.runner) == 0);
	runner_free(b.runner);
	fn_worker_free(b.worker);
	functions_free(f);
	auth_free(so.auth);
	db_close(b.db);
	vec_clear(&b.jobs);
	return 0;
}

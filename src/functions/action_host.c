/* action_host.c - what an action waits for: the host of isolate/async.h.
 *
 * Operations go to their performers; completions come from any thread into a list, and the
 * action's thread is woken by an eventfd, so that it can wait for a process's socket as well.
 * Timers and streams it looks after itself.
 *
 * Thread: the action's, but for action_complete() and the notices of streams.
 * Memory: struct action_state; operations belong to whoever holds them.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/json.h"
#include "fetch/fetch.h"
#include "functions/action_int.h"

#define READ_MAX    ((size_t)256 << 10) /* bytes that one READ brings */
#define WRITTEN_MAX ((size_t)256 << 20) /* by JavaScript, and not yet read */
#define ROOM_MAX    ((size_t)32 << 20)  /* the same of one stream, before its writer waits */

/* --- life --- */

struct action_state *
action_state_new(struct functions *f, struct fn_call *c, str request_id, atomic_bool *stop)
{
	struct action_state *a = MEM_NEW(struct action_state);

	atomic_init(&a->refs, 1);
	atomic_init(&a->over, false);
	a->f = f;
	a->os = db_os(f->db);
	a->stop = stop;
	a->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(a->event >= 0);
	a->call = fn_call_ref(c);
	a->request_id = request_id;
	a->identity = a->identity_error = (str){ NULL, 0 };
	if (c->identity->attributes)
		a->identity = blob_str(c->identity->attributes);
	if (c->identity->error)
		a->identity_error = blob_str(c->identity->error);
	must(pthread_mutex_init(&a->lock, NULL) == 0);
	a->done_end = &a->done;
	return a;
}

struct action_state *
action_state_ref(struct action_state *a)
{
	atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	return a;
}

void
action_state_unref(struct action_state *a)
{
	if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
		return;
	close(a->event);
	fn_call_unref(a->call);
	must(pthread_mutex_destroy(&a->lock) == 0);
	mem_free(a);
}

/* --- requests --- */

void
action_transfer_add(struct action_state *a, uint32_t op, struct transfer *t)
{
	struct outgoing o = { op, t };

	vec_push(&a->outgoing, o);
}

/* The response has begun, or is not wanted any more. */
static void
transfer_over(struct action_state *a, uint32_t op, bool cancel)
{
	for (size_t i = 0; i < a->outgoing.n; i++) {
		struct transfer *t = a->outgoing.v[i].t;

		if (a->outgoing.v[i].id != op)
			continue;
		a->outgoing.v[i] = a->outgoing.v[--a->outgoing.n];
		if (cancel)
			fetch_cancel(t);
		fetch_release(t);
		return;
	}
}

/* --- the end --- */

static void
free_list(struct async_op *op)
{
	for (struct async_op *next; op; op = next) {
		next = op->next;
		async_op_free(op);
	}
}

void
action_state_end(struct action_state *a)
{
	struct async_op *left;

	must(pthread_mutex_lock(&a->lock) == 0);
	atomic_store(&a->over, true);
	left = a->done;
	a->done = NULL;
	must(pthread_mutex_unlock(&a->lock) == 0);
	action_calls_end(a);
	free_list(left);
	for (size_t i = 0; i < a->sleepers.n; i++)
		async_op_free(a->sleepers.v[i]);
	for (size_t i = 0; i < a->readers.n; i++)
		async_op_free(a->readers.v[i]);
	for (size_t i = 0; i < a->streams.n; i++) {
		struct stream *s = a->streams.v[i].s;

		if (a->streams.v[i].written) {
			stream_when_room(s, 0, NULL, NULL);
			stream_fail(s, S("the action has ended")); /* if it did not finish */
		} else {
			stream_close(s);
		}
		stream_unref(s);
	}
	while (a->outgoing.n > 0)
		transfer_over(a, a->outgoing.v[0].id, true);
	vec_clear(&a->outgoing);
	vec_clear(&a->sleepers);
	vec_clear(&a->readers);
	vec_clear(&a->streams);
	vec_clear(&a->cancelled);
}

/* --- completions --- */

static void
wake(void *arg)
{
	struct action_state *a = arg;
	uint64_t             one = 1;

	while (write(a->event, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void
action_complete(struct action_state *a, struct async_op *op)
{
	op->when_ns = os_mono_ns(a->os);
	must(pthread_mutex_lock(&a->lock) == 0);
	if (!atomic_load(&a->over)) {
		op->next = NULL;
		*a->done_end = op;
		a->done_end = &op->next;
		op = NULL;
		wake(a);
	}
	must(pthread_mutex_unlock(&a->lock) == 0);
	async_op_free(op);
	action_state_unref(a);
}

void
action_fail_err(struct action_state *a, struct async_op *op, const struct err *e)
{
	op->st = e->st;
	err_set_str(&op->err, e->st, "OperationFailed", arena_str(op->arena, e->text));
	op->err.data = e->data.p ? arena_str(op->arena, e->data) : e->data;
	action_complete(a, op);
}

void
action_fail(struct action_state *a, struct async_op *op, const char *code, const char *fmt, ...)
{
	char    text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	op->st = err_set_str(&op->err, ST_BAD_REQUEST, code, arena_str(op->arena, str_z(text)));
	action_complete(a, op);
}

void
action_answer(struct action_state *a, struct async_op *op, str json)
{
	op->ret_json = arena_str(op->arena, json);
	action_complete(a, op);
}

/* --- streams --- */

uint64_t
action_stream_add(struct action_state *a, struct stream *s)
{
	struct numbered_stream n = { ++a->next_stream, s, false, false };

	vec_push(&a->streams, n);
	return n.id;
}

static struct numbered_stream *
find_stream(struct action_state *a, uint64_t id)
{
	for (size_t i = 0; i < a->streams.n; i++)
		if (a->streams.v[i].id == id)
			return &a->streams.v[i];
	return NULL;
}

struct stream *
action_stream(struct action_state *a, uint64_t id)
{
	struct numbered_stream *n = find_stream(a, id);

	return n ? n->s : NULL;
}

/* op->number: the stream that it is about; 0: none. */
static void
read_stream_id(struct async_op *op)
{
	struct json *j;
	str          text;

	if (json_parse(op->arena, op->json, &j, NULL) == ST_OK &&
	    json_get_str(j, "streamId", &text))
		(void)str_to_u64(text, &op->number);
}

static void
read_chunk(struct stream *s, struct async_op *op)
{
	op->ret_bytes.max = READ_MAX;
	switch (stream_read(s, &op->ret_bytes, READ_MAX)) {
	case STREAM_DATA:
		op->has_bytes = true;
		op->ret_json = S("{\"done\":false}");
		break;
	case STREAM_END:
	case STREAM_EMPTY:
		op->ret_json = S("{\"done\":true}");
		break;
	case STREAM_FAILED:
		op->st = err_set_str(&op->err, ST_BAD_REQUEST, "StreamFailed",
		    arena_str(op->arena, stream_error(s)));
	}
}

static bool
has_come(const struct async_op *op, struct stream *s)
{
	if (op->kind == OP_ROOM)
		return stream_held(s) <= ROOM_MAX || stream_closed(s) || stream_over(s);
	return stream_peek(s) != STREAM_EMPTY;
}

/* True if the operation can be answered now. */
static bool
try_read(struct action_state *a, struct async_op *op)
{
	struct stream *s = action_stream(a, op->number);

	if (!s) {
		op->ret_json = op->kind == OP_READ ? S("{\"done\":true}") : S("{}");
		return true;
	}
	if (!has_come(op, s))
		return false;
	if (op->kind == OP_READ)
		read_chunk(s, op);
	else
		op->ret_json = S("{}");
	return true;
}

static void
drop_at(struct async_op **v, size_t *n, size_t i)
{
	*n -= 1;
	memmove(&v[i], &v[i + 1], (*n - i) * sizeof *v);
}

static void
watch_stream(struct action_state *a, const struct async_op *op)
{
	struct stream *s = action_stream(a, op->number);

	if (op->kind == OP_ROOM)
		stream_when_room(s, ROOM_MAX, wake, a);
	else
		stream_when_ready(s, wake, a);
}

static struct async_op *
take_reader(struct action_state *a)
{
	for (size_t i = 0; i < a->readers.n; i++) {
		struct async_op *op = a->readers.v[i];

		if (!try_read(a, op)) {
			watch_stream(a, op);
			continue;
		}
		drop_at(a->readers.v, &a->readers.n, i);
		return op;
	}
	return NULL;
}

static uint64_t
host_stream_new(void *arg)
{
	struct action_state *a = arg;
	uint64_t             id = action_stream_add(a, stream_new());

	a->streams.v[a->streams.n - 1].written = true;
	return id;
}

/* Whoever reads may be slow, and JavaScript does not wait: what it wrote and nobody has read yet is
 * bounded over all streams. */
static bool
has_room(struct action_state *a, struct stream *s, size_t n)
{
	size_t held = 0;

	a->unchecked += n;
	if (a->unchecked < WRITTEN_MAX / 16)
		return true;
	a->unchecked = 0;
	for (size_t i = 0; i < a->streams.n; i++)
		if (a->streams.v[i].written)
			held += stream_held(a->streams.v[i].s);
	if (held <= WRITTEN_MAX)
		return true;
	stream_fail(s, S("More than 256 MiB were written to streams that are not read"));
	return false;
}

static bool
host_stream_write(void *arg, uint64_t id, str bytes, bool done, str why)
{
	struct action_state    *a = arg;
	struct numbered_stream *n = find_stream(a, id);
	struct stream          *s = n ? n->s : NULL;

	if (!n || (bytes.p && !has_room(a, s, bytes.n)))
		return false;
	if (bytes.p && !(a->call->http && !n->claimed ? http_write(a, s, bytes)
						      : stream_write(s, bytes)))
		return false;
	if (why.p)
		stream_fail(s, why);
	else if (done)
		stream_end(s);
	return true;
}

static void
host_stream_drop(void *arg, uint64_t id)
{
	struct action_state *a = arg;

	for (size_t i = 0; i < a->streams.n; i++) {
		if (a->streams.v[i].id != id)
			continue;
		stream_close(a->streams.v[i].s);
		stream_unref(a->streams.v[i].s);
		a->streams.v[i] = a->streams.v[--a->streams.n];
		return;
	}
}

/* --- timers --- */

static void
sleep_start(struct action_state *a, struct async_op *op)
{
	struct json   *j;
	double         ms = 0;

	op->when_ns = os_mono_ns(a->os);
	if (json_parse(op->arena, op->json, &j, NULL) == ST_OK && json_get_num(j, "ms", &ms) &&
	    ms > 0)
		op->when_ns += ms < 1e12 ? (uint64_t)(ms * 1e6) : (uint64_t)1e18;
	op->ret_json = S("{}");
	vec_push(&a->sleepers, op);
}

/* The one that is due first; NULL: nobody sleeps. */
static struct async_op *
first_sleeper(const struct action_state *a, size_t *ret_i)
{
	struct async_op *first = NULL;

	for (size_t i = 0; i < a->sleepers.n; i++) {
		if (first && a->sleepers.v[i]->when_ns >= first->when_ns)
			continue;
		first = a->sleepers.v[i];
		*ret_i = i;
	}
	return first;
}

/* --- waiting --- */

static bool
is_cancelled(struct action_state *a, uint32_t id)
{
	for (size_t i = 0; i < a->cancelled.n; i++) {
		if (a->cancelled.v[i] != id)
			continue;
		a->cancelled.v[i] = a->cancelled.v[--a->cancelled.n];
		return true;
	}
	return false;
}

/* The next of the list, which was complete before then. */
static struct async_op *
take_done(struct action_state *a, uint64_t before_ns)
{
	struct async_op *op;

	for (;;) {
		must(pthread_mutex_lock(&a->lock) == 0);
		op = a->done && a->done->when_ns <= before_ns ? a->done : NULL;
		if (op) {
			a->done = op->next;
			if (!a->done)
				a->done_end = &a->done;
		}
		must(pthread_mutex_unlock(&a->lock) == 0);
		if (op && op->counted)
			action_call_over(a);
		if (!op || !is_cancelled(a, op->id))
			return op;
		async_op_free(op);
	}
}

/* Completions and timers in the order of their times, neither held up by the other. */
static struct async_op *
take_timed(struct action_state *a, uint64_t now, uint64_t *ret_due)
{
	size_t           i = 0;
	struct async_op *timer = first_sleeper(a, &i), *op;

	*ret_due = timer ? timer->when_ns : UINT64_MAX;
	if ((op = take_done(a, *ret_due)) != NULL || *ret_due > now)
		return op;
	drop_at(a->sleepers.v, &a->sleepers.n, i);
	return timer;
}

/* What is there to take.  Streams and the rest come first in turns. */
static struct async_op *
take(struct action_state *a, uint64_t now, uint64_t *ret_due)
{
	struct async_op *op = NULL;

	a->streams_first = !a->streams_first;
	if (a->streams_first)
		op = take_reader(a);
	if (!op)
		op = take_timed(a, now, ret_due);
	if (!op && !a->streams_first)
		op = take_reader(a);
	return op;
}

static bool
host_cancelled(void *arg)
{
	struct action_state *a = arg;

	return atomic_load_explicit(a->stop, memory_order_relaxed) || call_unwanted(a->call) ||
	    (a->call->http && http_abandoned(a));
}

#define LOOK_NS 200000000ull /* between looks at the stop flag */

/* True if `fd` has something to say. */
static bool
sleep_until(struct action_state *a, uint64_t now, uint64_t until, int fd)
{
	uint64_t        ns = until > now ? until - now : 0, count;
	struct timespec t;
	struct pollfd   p[2] = { { .fd = a->event, .events = POLLIN },
		  { .fd = fd, .events = POLLIN } };

	if (ns > LOOK_NS)
		ns = LOOK_NS;
	t = (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	if (ppoll(p, fd >= 0 ? 2 : 1, &t, NULL) <= 0)
		return false;
	if (p[0].revents)
		(void)!read(a->event, &count, sizeof count);
	return fd >= 0 && p[1].revents;
}

/* What only this thread may do with a completion. */
static struct async_op *
finish(struct action_state *a, struct async_op *op)
{
	if (op->kind == OP_FETCH)
		transfer_over(a, op->id, false);
	if (!op->stream)
		return op;
	op->ret_json = arena_fmt(op->arena, "%.*s\"%llu\"}", STR_ARG(op->ret_json),
	    (unsigned long long)action_stream_add(a, op->stream));
	op->stream = NULL;
	return op;
}

static struct async_op *
host_wait(void *arg, uint64_t until_mono_ns, int fd)
{
	struct action_state *a = arg;

	action_tell_lines(a);
	for (;;) {
		uint64_t         now = os_mono_ns(a->os), due;
		struct async_op *op;

		if (host_cancelled(a))
			return NULL;
		if ((op = take(a, now, &due)) != NULL)
			return finish(a, op);
		if (now >= until_mono_ns)
			return NULL;
		if (sleep_until(a, now, due < until_mono_ns ? due : until_mono_ns, fd))
			return NULL;
	}
}

/* --- starting and cancelling --- */

/* The stream that an operation sends is its own. */
static void
claim_stream(struct action_state *a, struct async_op *op)
{
	struct numbered_stream *n;

	read_stream_id(op);
	n = find_stream(a, op->number);
	if (n)
		n->claimed = true;
}

static void
host_start(void *arg, struct async_op *op)
{
	struct action_state *a = arg;

	if (op->kind != OP_SLEEP && op->kind != OP_CLOSED)
		a->may_leave = false;
	switch (op->kind) {
	case OP_SLEEP:
		sleep_start(a, op);
		break;
	case OP_READ:
	case OP_CLOSED:
	case OP_ROOM:
		read_stream_id(op);
		vec_push(&a->readers, op);
		break;
	case OP_FETCH:
		claim_stream(a, op);
		action_op_fetch(action_state_ref(a), op);
		break;
	case OP_STORAGE_STORE:
		claim_stream(a, op);
		action_op_store(action_state_ref(a), op);
		break;
	case OP_STORAGE_GET:
		action_op_load(action_state_ref(a), op);
		break;
	case OP_SYSCALL:
		action_op_syscall(action_state_ref(a), op);
	}
}

static void
host_cancel(void *arg, uint32_t id)
{
	struct action_state *a = arg;

	for (size_t i = 0; i < a->sleepers.n; i++) {
		if (a->sleepers.v[i]->id != id)
			continue;
		async_op_free(a->sleepers.v[i]);
		a->sleepers.v[i] = a->sleepers.v[--a->sleepers.n];
		return;
	}
	for (size_t i = 0; i < a->readers.n; i++) {
		if (a->readers.v[i]->id != id)
			continue;
		async_op_free(a->readers.v[i]);
		a->readers.v[i] = a->readers.v[--a->readers.n];
		return;
	}
	if (action_call_cancel(a, id))
		return;
	transfer_over(a, id, true);
	vec_push(&a->cancelled, id); /* it comes, and goes */
}

struct action_host
action_host_of(struct action_state *a)
{
	return (struct action_host){ .arg = a, .start = host_start, .cancel = host_cancel,
		.wait = host_wait, .cancelled = host_cancelled, .stream_new = host_stream_new,
		.stream_write = host_stream_write, .stream_drop = host_stream_drop };
}

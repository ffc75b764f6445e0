/* fetch.c - the HTTP client's thread: see fetch.h.
 *
 * Whoever wants something of the thread puts the transfer on a list and wakes libcurl: a new
 * transfer, one that is cancelled, one whose streams have news.  The thread alone touches libcurl's
 * handles.
 *
 * Lock order: a stream's lock, then the client's (streams call transfer_poke() with theirs held);
 * so nothing here touches a stream under the client's lock.
 *
 * Thread: the fetch thread, except where fetch.h says "any".
 * Memory: a transfer is its starter's and the thread's.
 */
#include "base/mem.h"
#include "fetch/fetch_int.h"
#include "runtime/metrics.h"
#include "runtime/thread.h"

#define POLL_MS     60000
#define IDLE_CONNS  64L   /* connections kept for the next request */
#define STACK_BYTES ((size_t)512 << 10)

static struct metric m_running = METRIC_GAUGE("fresnel_fetches", "outgoing HTTP requests going on");
static struct metric m_total =
    METRIC_COUNTER("fresnel_fetches_total", "outgoing HTTP requests started");

static const char *
option(struct arena *a, const char *z)
{
	return z ? arena_z(a, str_z(z)) : NULL;
}

struct fetch *
fetch_new(const struct fetch_opts *opts)
{
	const struct fetch_opts none = { 0 };
	struct fetch           *f = MEM_NEW(struct fetch);

	if (!opts)
		opts = &none;
	atomic_init(&f->refs, 1);
	must(pthread_mutex_init(&f->lock, NULL) == 0);
	f->poked_end = &f->poked;
	f->arena = arena_new();
	f->user_agent = option(f->arena, opts->user_agent ? opts->user_agent : "Convex/1.0");
	f->proxy = option(f->arena, opts->proxy);
	f->ca_file = option(f->arena, opts->ca_file);
	return f;
}

static void
fetch_unref(struct fetch *f)
{
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	must(pthread_mutex_destroy(&f->lock) == 0);
	arena_free(f->arena);
	mem_free(f);
}

void
transfer_unref(struct transfer *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	fetch_unref(t->f);
	arena_free(t->arena); /* t lives in it */
}

/* --- from any thread --- */

/* The list has a reference to what is on it. */
static void
poke_locked(struct transfer *t)
{
	struct fetch *f = t->f;

	if (t->poked || f->stopping)
		return;
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	t->poked = true;
	t->next_poked = NULL;
	*f->poked_end = t;
	f->poked_end = &t->next_poked;
	if (f->multi)
		curl_multi_wakeup(f->multi);
}

void
transfer_poke(void *transfer)
{
	struct transfer *t = transfer;

	MUTEX_GUARD(&t->f->lock);
	poke_locked(t);
}

void
fetch_cancel(struct transfer *t)
{
	atomic_store(&t->cancelled, true);
	transfer_poke(t);
}

void
fetch_release(struct transfer *t)
{
	transfer_unref(t);
}

static void
copy_request(struct transfer *t, const struct fetch_request *r)
{
	struct fetch_request *to = &t->request;
	struct fetch_header  *headers = ARENA_ARRAY(t->arena, struct fetch_header, r->nheaders);

	*to = *r;
	to->url = arena_str(t->arena, r->url);
	to->method = arena_str(t->arena, r->method);
	for (size_t i = 0; i < r->nheaders; i++)
		headers[i] = (struct fetch_header){ arena_str(t->arena, r->headers[i].name),
			arena_str(t->arena, r->headers[i].value) };
	to->headers = headers;
	if (r->body.p)
		to->body = arena_str(t->arena, r->body);
	if (r->stream)
		to->stream = stream_ref(r->stream);
}

/* --- the thread --- */

static void
leave(struct fetch *f, struct transfer *t, CURLcode code)
{
	if (t->prev)
		t->prev->next = t->next;
	else
		f->all = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->phase = TRANSFER_OVER;
	metric_add(&m_running, -1);
	transfer_finish(t, code);
	transfer_unref(t);
}

static void
enter(struct fetch *f, struct transfer *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed); /* of f->all */
	t->phase = TRANSFER_RUNS;
	t->next = f->all;
	if (t->next)
		t->next->prev = t;
	f->all = t;
	metric_add(&m_running, 1);
	if (transfer_begin(t) != ST_OK)
		leave(f, t, CURLE_OK);
}

static struct transfer *
next_poked(struct fetch *f)
{
	struct transfer *t;

	MUTEX_GUARD(&f->lock);
	t = f->poked;
	if (!t)
		return NULL;
	t->poked = false;
	f->poked = t->next_poked;
	if (!f->poked)
		f->poked_end = &f->poked;
	return t;
}

static void
run_poked(struct fetch *f)
{
	struct transfer *t;

	while ((t = next_poked(f)) != NULL) {
		if (t->phase == TRANSFER_NEW)
			enter(f, t);
		else if (t->phase == TRANSFER_RUNS && !transfer_resume(t))
			leave(f, t, CURLE_OK);
		transfer_unref(t);
	}
}

/* What libcurl is done with. */
static void
reap(struct fetch *f)
{
	CURLMsg *m;
	int      left;

	while ((m = curl_multi_info_read(f->multi, &left)) != NULL) {
		CURLcode         code = m->data.result; /* m dies with its handle */
		struct transfer *t;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		if (!transfer_received(t, code))
			leave(f, t, code);
	}
}

static bool
stopping(struct fetch *f)
{
	MUTEX_GUARD(&f->lock);
	return f->stopping;
}

static void
fetch_main(void *arg)
{
	struct fetch *f = arg;
	int           running;

	while (!stopping(f)) {
		run_poked(f);
		curl_multi_perform(f->multi, &running);
		reap(f);
		curl_multi_poll(f->multi, NULL, 0, POLL_MS, NULL);
	}
	run_poked(f); /* those that nobody has seen hear of it too */
	while (f->all) {
		atomic_store(&f->all->cancelled, true);
		leave(f, f->all, CURLE_OK);
	}
}

/* --- life --- */

static void
init_library(void)
{
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static void
start_thread(struct fetch *f)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (f->thread)
		return;
	pthread_once(&once, init_library);
	f->multi = curl_multi_init();
	must(f->multi != NULL);
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNS);
	f->thread = thread_start("fetch", STACK_BYTES, fetch_main, f);
}

struct transfer *
fetch_start(struct fetch *f, const struct fetch_request *r, fetch_done done, void *arg)
{
	struct arena    *a = arena_new();
	struct transfer *t = ARENA_NEW(a, struct transfer);

	atomic_init(&t->refs, 1);
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	t->f = f;
	t->arena = a;
	t->done = done;
	t->arg = arg;
	t->error = err_in(a);
	t->body = stream_new();
	copy_request(t, r);
	metric_add(&m_total, 1);

	MUTEX_GUARD(&f->lock);
	must(!f->stopping);
	start_thread(f);
	poke_locked(t);
	return t;
}

void
fetch_free(struct fetch *f)
{
	if (!f)
		return;
	{
		MUTEX_GUARD(&f->lock);
		f->stopping = true;
		if (f->multi)
			curl_multi_wakeup(f->multi);
	}
	if (f->thread) {
		thread_join_free(f->thread);
		curl_multi_cleanup(f->multi);
		f->multi = NULL;
	}
	fetch_unref(f);
}

/* fetch_all.c - a whole response for a caller that waits.
 *
 * Thread: any but the fetch thread.  Memory: the caller's arena.
 */
#include "base/mem.h"
#include "fetch/fetch_int.h"
#include "runtime/thread.h"

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t  cond;
	bool            told, ready;
	struct err     *e;
	status          st;
	int             http;
	struct stream  *body; /* one reference */
};

static void
on_done(void *arg, const struct fetch_response *r, const struct err *e)
{
	struct waiter *w = arg;

	MUTEX_GUARD(&w->lock);
	w->told = true;
	if (r) {
		w->http = r->status;
		w->body = stream_ref(r->body);
	} else {
		w->st = err_set_str(w->e, ST_OPERATIONAL, "FetchFailed", e->text);
	}
	pthread_cond_signal(&w->cond);
}

static void
on_ready(void *arg)
{
	struct waiter *w = arg;

	MUTEX_GUARD(&w->lock);
	w->ready = true;
	pthread_cond_signal(&w->cond);
}

static void
wait_for(struct waiter *w, const bool *flag)
{
	MUTEX_GUARD(&w->lock);
	while (!*flag)
		pthread_cond_wait(&w->cond, &w->lock);
}

static status
read_body(struct waiter *w, struct buf *out, size_t max)
{
	for (;;) {
		enum stream_state st = stream_read(w->body, out, BODY_HIGH);
		str               why;

		if (out->n > max)
			return err_set(w->e, ST_OPERATIONAL, "FetchFailed",
			    "the response is larger than %zu bytes", max);
		switch (st) {
		case STREAM_DATA:
			continue;
		case STREAM_END:
			return ST_OK;
		case STREAM_FAILED:
			why = stream_error(w->body);
			return err_set_str(w->e, ST_OPERATIONAL, "FetchFailed", why);
		case STREAM_EMPTY:
			w->ready = false; /* nobody else looks: no notice is out */
			stream_when_ready(w->body, on_ready, w);
			wait_for(w, &w->ready);
		}
	}
}

status
fetch_all(struct fetch *f, const struct fetch_request *r, size_t max, struct arena *a,
    int *ret_status, str *ret_body, struct err *e)
{
	struct waiter    w = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER,
		   .e = e };
	struct transfer *t = fetch_start(f, r, on_done, &w);
	struct buf       body;

	buf_init(&body, max + BODY_HIGH);
	wait_for(&w, &w.told);
	if (w.st == ST_OK)
		w.st = read_body(&w, &body, max);
	if (w.st == ST_OK) {
		*ret_status = w.http;
		*ret_body = arena_str(a, buf_str(&body));
	}
	if (w.body)
		stream_close(w.body); /* stops what is left of it */
	stream_unref(w.body);
	fetch_release(t);
	buf_clear(&body);
	return w.st;
}

/* pump.c - the files thread: bytes between streams and objects.
 *
 * A pump moves a piece, and when its stream has nothing (or no room) it asks to be told and
 * leaves the thread to the next one.  The stream's notice puts it back on the list.
 *
 * Thread: pump_* on the files thread; notices on anybody's.
 * Memory: one piece per pump while it moves.
 */
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "files/files_int.h"

#define PIECE     ((size_t)256 << 10)
#define LOW_WATER ((size_t)128 << 10)
#define STACK     ((size_t)256 << 10)

struct pump {
	struct pump   *next_ready;
	struct pump   *prev, *next; /* of files.all */
	struct files  *f;
	struct stream *s;           /* one reference */
	bool           queued;      /* on the list of those that can go on */
	/* into an object */
	files_done       done;      /* NULL: the other direction */
	void            *arg;
	struct file_sink sink;
	/* out of one */
	int      fd;
	uint64_t at, left;
};

/* --- the list --- */

void
pumps_init(struct files *f)
{
	must(pthread_mutex_init(&f->lock, NULL) == 0);
	must(pthread_cond_init(&f->work, NULL) == 0);
	f->ready_end = &f->ready;
}

/* A stream's notice: see stream.h for what it may do. */
static void
wake(void *arg)
{
	struct pump  *p = arg;
	struct files *f = p->f;

	MUTEX_GUARD(&f->lock);
	if (p->queued)
		return;
	p->queued = true;
	p->next_ready = NULL;
	*f->ready_end = p;
	f->ready_end = &p->next_ready;
	must(pthread_cond_signal(&f->work) == 0);
}

/* The next pump that can go on; NULL: the end. */
static struct pump *
next(struct files *f)
{
	MUTEX_GUARD(&f->lock);
	struct pump *p;

	while (!f->ready && !f->stop)
		must(pthread_cond_wait(&f->work, &f->lock) == 0);
	if (f->stop)
		return NULL;
	p = f->ready;
	f->ready = p->next_ready;
	if (!f->ready)
		f->ready_end = &f->ready;
	p->queued = false;
	return p;
}

static void
forget(struct pump *p)
{
	struct files *f = p->f;

	stream_when_ready(p->s, NULL, NULL);
	stream_when_room(p->s, 0, NULL, NULL);
	MUTEX_GUARD(&f->lock);
	if (p->prev)
		p->prev->next = p->next;
	else
		f->all = p->next;
	if (p->next)
		p->next->prev = p->prev;
}

/* --- into an object --- */

static void
put_over(struct pump *p, const struct err *e)
{
	if (e && e->st != ST_OK)
		file_sink_abort(p->f, &p->sink);
	stream_close(p->s);
	forget(p);
	p->done(p->arg, e && e->st != ST_OK ? NULL : &p->sink.info, e);
	stream_unref(p->s);
	mem_free(p);
}

static void
put_end(struct pump *p, enum stream_state state)
{
	struct err e = err_in(NULL);

	if (state == STREAM_FAILED)
		err_set(&e, ST_BAD_REQUEST, "BodyIncomplete", "The file did not arrive: %.*s",
		    STR_ARG(stream_error(p->s)));
	else
		e.st = file_sink_finish(p->f, &p->sink, &e);
	put_over(p, &e);
}

static void
put_step(struct pump *p)
{
	struct err        e = err_in(NULL);
	struct buf        b;
	enum stream_state state;

	buf_init(&b, PIECE);
	state = stream_read(p->s, &b, PIECE);
	if (state == STREAM_DATA && file_sink_write(&p->sink, buf_str(&b), &e) != ST_OK)
		put_over(p, &e);
	else if (state == STREAM_DATA || state == STREAM_EMPTY)
		stream_when_ready(p->s, wake, p);
	else
		put_end(p, state);
	buf_clear(&b);
}

/* --- out of one --- */

static void
get_over(struct pump *p, const char *why)
{
	if (why)
		stream_fail(p->s, str_z(why));
	else
		stream_end(p->s);
	forget(p);
	if (p->fd >= 0)
		close(p->fd);
	stream_unref(p->s);
	mem_free(p);
}

static void
get_step(struct pump *p)
{
	struct buf b;
	size_t     n = p->left < PIECE ? (size_t)p->left : PIECE;
	ssize_t    got = 0;

	if (p->fd < 0) {
		get_over(p, "the file is missing");
		return;
	}
	buf_init(&b, PIECE);
	if (n > 0)
		got = pread(p->fd, buf_reserve(&b, n), n, (off_t)p->at);
	if (got > 0) {
		p->at += (uint64_t)got;
		p->left -= (uint64_t)got;
		b.n = (size_t)got;
	}
	if (n > 0 && got <= 0 && !(got < 0 && errno == EINTR))
		get_over(p, "the file cannot be read");
	else if (!stream_write(p->s, buf_str(&b)) || p->left == 0)
		get_over(p, NULL);
	else
		stream_when_room(p->s, LOW_WATER, wake, p);
	buf_clear(&b);
}

/* --- the thread --- */

static void
pump_main(void *arg)
{
	struct files *f = arg;
	struct pump  *p;

	while ((p = next(f)) != NULL) {
		if (p->done)
			put_step(p);
		else
			get_step(p);
	}
}

static struct pump *
pump_new(struct files *f, struct stream *s)
{
	struct pump *p = MEM_NEW(struct pump);

	p->f = f;
	p->s = stream_ref(s);
	p->fd = -1;
	p->sink.fd = -1;
	MUTEX_GUARD(&f->lock);
	p->next = f->all;
	if (f->all)
		f->all->prev = p;
	f->all = p;
	if (!f->thread)
		f->thread = thread_start("files", STACK, pump_main, f);
	return p;
}

void
files_put(struct files *f, struct stream *from, files_done done, void *arg)
{
	struct pump *p = pump_new(f, from);
	struct err   e = err_in(NULL);

	p->done = done;
	p->arg = arg;
	if (file_sink_open(f, &p->sink, &e) != ST_OK)
		put_over(p, &e);
	else
		wake(p);
}

void
files_get(struct files *f, str key, uint64_t at, uint64_t n, struct stream *to)
{
	struct pump *p = pump_new(f, to);

	p->fd = files_open_object(f, key);
	p->at = at;
	p->left = n;
	wake(p);
}

void
pumps_stop(struct files *f)
{
	struct err e = err_in(NULL);

	must(pthread_mutex_lock(&f->lock) == 0);
	f->stop = true;
	must(pthread_cond_signal(&f->work) == 0);
	must(pthread_mutex_unlock(&f->lock) == 0);
	if (f->thread)
		thread_join_free(f->thread);
	f->thread = NULL;
	err_set(&e, ST_OPERATIONAL, "Stopping", "the server is stopping");
	for (struct pump *p; (p = f->all) != NULL;) {
		if (p->done)
			put_over(p, &e);
		else
			get_over(p, "the server is stopping");
	}
}

void
pumps_clear(struct files *f)
{
	must(pthread_cond_destroy(&f->work) == 0);
	must(pthread_mutex_destroy(&f->lock) == 0);
}

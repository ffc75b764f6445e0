/* logged_space.c - a full disk as a state of the logged store.
 *
 * A commit is accepted only if the log has room for it in segments that exist (store_reserve), so
 * what was accepted can always be made durable.  The filler thread makes segments ahead of the
 * writers.  When the disk is full it cannot, and once the room is used up commits are refused;
 * when SQLite cannot apply, what is logged waits.  Both are tried again every second, and
 * writes are accepted again when there is space.  Reads need none.
 *
 * Thread: reserve any; the filler its own.  Memory: none.
 */
#include <time.h>

#include "base/log.h"
#include "store/logged_int.h"

enum { RETRY_MS = 1000 };

static struct metric disk_full = METRIC_GAUGE("fresnel_store_disk_full",
    "1 while the disk has no space for the commit log, 2 for SQLite, 3 for both");
static struct metric refused = METRIC_COUNTER("fresnel_store_refused_commits_total",
    "commits refused because the disk is full");

void
logged_deadline(struct timespec *ret, uint64_t from_now_ns)
{
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC, ret);
	ns = (uint64_t)ret->tv_nsec + from_now_ns;
	ret->tv_sec += (time_t)(ns / 1000000000);
	ret->tv_nsec = (long)(ns % 1000000000);
}

void
logged_note_full(struct logged_store *s, unsigned who, bool full)
{
	unsigned before, after;
	MUTEX_GUARD(&s->lock);

	before = atomic_load(&s->full);
	after = full ? before | who : before & ~who;
	if (after == before)
		return;
	atomic_store(&s->full, after);
	metric_set(&disk_full, (int64_t)after);
	if (after == 0)
		log_info("the disk that holds '%s' has space again", s->sql->path);
	else if (before == 0)
		log_warn("the disk that holds '%s' is full: writes are refused when the commit log "
			 "has no room left; reads go on",
		    s->sql->path);
	must(pthread_cond_broadcast(&s->space) == 0);
	must(pthread_cond_broadcast(&s->applied) == 0);
	/* It may be that SQLite only has to make durable what it has: nothing else need wake the
	 * applier, for what is refused is not written. */
	if (after & ~before & FULL_LOG) {
		s->want_checkpoint = true;
		must(pthread_cond_signal(&s->work) == 0);
	}
}

status
logged_reserve(void *self, size_t bytes, struct err *e)
{
	struct logged_store *s = self;
	status               st;

	must(s->magic == LOGGED_MAGIC);
	/* While the disk is known to be full nobody tries to make a segment for himself. */
	st = commitlog_reserve(s->log, bytes, (atomic_load(&s->full) & FULL_LOG) == 0, e);
	if (st == ST_OVERLOADED) {
		metric_add(&refused, 1);
		logged_note_full(s, FULL_LOG, true);
	}
	return st;
}

void
logged_release(void *self, size_t bytes)
{
	struct logged_store *s = self;

	must(s->magic == LOGGED_MAGIC);
	commitlog_release(s->log, bytes);
}

void
logged_wake_filler(struct logged_store *s)
{
	MUTEX_GUARD(&s->lock);

	s->fill = true;
	must(pthread_cond_signal(&s->space) == 0);
}

/* Makes the segments that are wanted; says whether there is space for them. */
void
logged_fill(struct logged_store *s)
{
	status st = ST_OK;

	while (st == ST_OK && commitlog_wants_segment(s->log))
		st = commitlog_prepare(s->log, NULL);
	if (st == ST_OK || st == ST_OVERLOADED)
		logged_note_full(s, FULL_LOG, st == ST_OVERLOADED);
}

/* Until it is called, or, as long as something failed, a second has passed; false: time to end. */
static bool
wait_for_call(struct logged_store *s)
{
	struct timespec until;
	MUTEX_GUARD(&s->lock);

	logged_deadline(&until, RETRY_MS * 1000000ull);
	while (!s->fill && !s->stopping) {
		if (!commitlog_wants_segment(s->log) && !(atomic_load(&s->full) & FULL_LOG))
			must(pthread_cond_wait(&s->space, &s->lock) == 0);
		else if (pthread_cond_timedwait(&s->space, &s->lock, &until) != 0)
			break;
	}
	s->fill = false;
	return !s->stopping;
}

void
logged_fill_thread(void *arg)
{
	struct logged_store *s = arg;

	do
		logged_fill(s);
	while (wait_for_call(s));
}

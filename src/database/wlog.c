/* wlog.c - see wlog.h.
 *
 * The records stand in an array that is used as a queue: new ones at the end, forgotten ones
 * leave `first` behind, and the array is moved down when half of it is empty.
 *
 * Thread, memory: see wlog.h.
 */
#include "database/wlog.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/vec.h"

#define SECOND      ((ts_t)1000000000)
#define KEEP_ALWAYS (30 * SECOND)
#define KEEP_AT_MOST (300 * SECOND)

struct wlog {
	VEC(struct wlog_record *) log;
	size_t first; /* of those still kept */
	size_t bytes;
	size_t max_bytes;
	ts_t   floor;
};

struct wlog_record *
wlog_record_new(str writer, size_t nwrites, size_t nkeys, size_t key_bytes, char **ret_room)
{
	struct wlog_record *r;
	size_t              bytes = sizeof *r + nwrites * sizeof *r->writes +
	    nkeys * sizeof *r->keys + key_bytes + writer.n;
	char               *p;

	r = mem_alloc(bytes);
	memset(r, 0, sizeof *r);
	r->refs = 1;
	r->bytes = mem_chunk(bytes) + sizeof r; /* and its place in the log */
	r->nwrites = nwrites;
	r->nkeys = nkeys;
	r->keys = (struct wlog_key *)(r + 1);
	r->writes = (struct wlog_write *)(r->keys + nkeys);
	p = (char *)(r->writes + nwrites);
	if (writer.n)
		memcpy(p, writer.p, writer.n);
	r->writer = str_of(p, writer.n);
	*ret_room = p + writer.n;
	return r;
}

struct wlog_record *
wlog_record_ref(struct wlog_record *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void
wlog_record_unref(struct wlog_record *r)
{
	if (r && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
		mem_free(r);
}

const struct wlog_key *
wlog_record_hit(const struct wlog_record *r, const struct readset *reads)
{
	for (size_t i = 0; i < r->nkeys; i++)
		if (readset_has(reads, r->keys[i].key))
			return &r->keys[i];
	return NULL;
}

struct wlog *
wlog_new(size_t max_bytes, ts_t floor)
{
	struct wlog *w = MEM_NEW(struct wlog);

	w->max_bytes = max_bytes;
	w->floor = floor;
	return w;
}

void
wlog_free(struct wlog *w)
{
	if (!w)
		return;
	for (size_t i = w->first; i < w->log.n; i++)
		wlog_record_unref(w->log.v[i]);
	vec_clear(&w->log);
	mem_free(w);
}

static void
forget(struct wlog *w, ts_t now)
{
	while (w->first < w->log.n) {
		struct wlog_record *r = w->log.v[w->first];
		ts_t                age = now - r->ts;

		if (w->bytes <= w->max_bytes &&
		    (age < KEEP_ALWAYS || (age < KEEP_AT_MOST && w->bytes <= w->max_bytes / 4)))
			break;
		w->floor = r->ts;
		w->bytes -= r->bytes;
		wlog_record_unref(r);
		w->first++;
	}
	if (w->first > 64 && w->first > w->log.n / 2) {
		w->log.n -= w->first;
		memmove(w->log.v, w->log.v + w->first, w->log.n * sizeof *w->log.v);
		w->first = 0;
	}
}

void
wlog_append_take(struct wlog *w, struct wlog_record *r, ts_t ts)
{
	must(ts > w->floor && (w->first == w->log.n || ts > w->log.v[w->log.n - 1]->ts));
	r->ts = ts;
	w->bytes += r->bytes;
	vec_push(&w->log, r);
	forget(w, ts);
}

ts_t
wlog_floor(const struct wlog *w)
{
	return w->floor;
}

/* Position of the first record after `after`. */
static size_t
position(const struct wlog *w, ts_t after)
{
	size_t lo = w->first, hi = w->log.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (w->log.v[mid]->ts <= after)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t
wlog_count_after(const struct wlog *w, ts_t after)
{
	return w->log.n - position(w, after);
}

void
wlog_slice_take(struct wlog *w, ts_t after, struct wlog_slice *ret)
{
	size_t i = position(w, after);

	for (ret->n = 0; ret->n < WLOG_SLICE && i < w->log.n; i++)
		ret->v[ret->n++] = wlog_record_ref(w->log.v[i]);
}

void
wlog_slice_clear(struct wlog_slice *s)
{
	for (size_t i = 0; i < s->n; i++)
		wlog_record_unref(s->v[i]);
	s->n = 0;
}

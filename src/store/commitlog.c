/* commitlog.c - see commitlog.h.
 *
 * An append is one write of whole pages (never a page of an earlier record: an acknowledged
 * record is not written again) and one fdatasync.  When the tail is full the next record goes to
 * the beginning of a segment that may be overwritten; one is kept ready by the other thread, so
 * that an append creates a file only if it was outrun.
 *
 * A failed sync is final (the kernel may have dropped the pages and would call the next sync a
 * success): the log refuses all further appends.
 *
 * Thread: commitlog.h.  Memory: segments.
 */
#include <stdatomic.h>

#include "base/hash.h"
#include "runtime/metrics.h"
#include "runtime/thread.h"
#include "store/commitlog_int.h"

#define MAGIC "FRESNLOG"

static struct metric syncs =
    METRIC_COUNTER("fresnel_log_syncs_total", "syncs of the commit log");
static struct metric written =
    METRIC_COUNTER("fresnel_log_bytes_total", "bytes written to the commit log");

/* --- the record's head --- */

static void
put_u32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> 8 * i);
}

static void
put_u64(char *p, uint64_t v)
{
	put_u32(p, (uint32_t)v);
	put_u32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t
get_u32(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v |= (uint32_t)(uint8_t)p[i] << 8 * i;
	return v;
}

static uint64_t
get_u64(const char *p)
{
	return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

status
commitlog_decode(str bytes, struct commitlog_record *ret, struct head_sums *ret_sums)
{
	const char *p = bytes.p;
	size_t      n;

	memset(ret, 0, sizeof *ret);
	if (bytes.n < COMMITLOG_HEAD || memcmp(p, MAGIC, 8) != 0 ||
	    crc32c(0, str_of(p, 60)) != get_u32(p + 60))
		return ST_NOT_FOUND;
	n = get_u32(p + 12);
	*ret_sums = (struct head_sums){ get_u64(p + 16), get_u32(p + 60), get_u32(p + 52) };
	*ret = (struct commitlog_record){ .sequence = get_u64(p + 24),
		.first_ts = get_u64(p + 32),
		.last_ts = get_u64(p + 40),
		.disk_bytes = commitlog_padded(n) };
	if (get_u32(p + 8) > COMMITLOG_FORMAT_VERSION)
		return ST_FEATURE_UNAVAILABLE;
	if (ret->disk_bytes > bytes.n ||
	    crc32c(0, str_of(p + COMMITLOG_HEAD, n)) != get_u32(p + 48))
		return ST_NOT_FOUND;
	ret->payload = str_of(p + COMMITLOG_HEAD, n);
	return ST_OK;
}

void
commitlog_begin(struct buf *record)
{
	must(record->n == 0 && buf_reserve(record, COMMITLOG_HEAD));
	memset(record->p, 0, COMMITLOG_HEAD);
	record->n = COMMITLOG_HEAD;
}

/* Fills in the head and pads the record. */
static void
finish_record(const struct commitlog *l, struct buf *record, const struct commitlog_record *r)
{
	char  *p = record->p;
	size_t pad = r->disk_bytes - record->n;

	memcpy(p, MAGIC, 8);
	put_u32(p + 8, COMMITLOG_FORMAT_VERSION);
	put_u32(p + 12, (uint32_t)r->payload.n);
	put_u64(p + 16, l->id);
	put_u64(p + 24, r->sequence);
	put_u64(p + 32, r->first_ts);
	put_u64(p + 40, r->last_ts);
	put_u32(p + 48, crc32c(0, r->payload));
	put_u32(p + 52, l->check);
	put_u32(p + 56, 0);
	put_u32(p + 60, crc32c(0, str_of(p, 60)));
	must(buf_reserve(record, pad));
	memset(record->p + record->n, 0, pad);
	record->n += pad;
}

/* --- appending --- */

static status
append(struct commitlog *l, struct buf *record, const struct commitlog_record *r, struct err *e)
{
	struct segment *s = l->tail;

	TRY(commitlog_write_all(l, s, buf_str(record), l->at, e));
	TRY(commitlog_sync(l, s, e));
	metric_add(&syncs, 1);
	metric_add(&written, (int64_t)r->disk_bytes);
	l->sequence = r->sequence;
	l->check = get_u32(record->p + 60);
	MUTEX_GUARD(&l->lock);
	l->at += r->disk_bytes;
	s->last = r->sequence;
	commitlog_count_room(l);
	return ST_OK;
}

status
commitlog_append(struct commitlog *l, struct buf *record, ts_t first_ts, ts_t last_ts,
    struct commitlog_record *ret, struct err *e)
{
	size_t                  n = record->n - COMMITLOG_HEAD;
	struct commitlog_record r = { .sequence = l->sequence + 1, .first_ts = first_ts,
		.last_ts = last_ts, .disk_bytes = commitlog_padded(n) };
	status                  st;

	must(l->magic == COMMITLOG_MAGIC && record->n >= COMMITLOG_HEAD);
	if (l->failed)
		return err_internal(e, "the commit log of '%s' has failed before", l->path);
	if (!buf_ok(record) || n > UINT32_MAX)
		return err_internal(e, "a batch is too large for the commit log: %zu bytes", n);
	/* Reserved first: the payload must not move once r points at it. */
	must(buf_reserve(record, r.disk_bytes - record->n));
	/* What fails here for lack of space has written nothing. */
	if (!l->tail || l->tail->bytes - l->at < r.disk_bytes)
		TRY(commitlog_change_tail(l, r.disk_bytes, e));
	r.payload = str_of(record->p + COMMITLOG_HEAD, n);
	finish_record(l, record, &r);
	st = append(l, record, &r, e);
	if (st != ST_OK) {
		l->failed = true;
		return st == ST_OVERLOADED ? ST_INTERNAL : st;
	}
	*ret = r;
	return ST_OK;
}

/* --- life --- */

struct commitlog *
commitlog_new(const struct commitlog_opts *opts)
{
	struct commitlog *l = MEM_NEW(struct commitlog);
	size_t            n = strlen(opts->path) + 1;

	l->magic = COMMITLOG_MAGIC;
	l->path = mem_alloc(n);
	memcpy(l->path, opts->path, n);
	l->id = opts->id;
	l->segment_bytes = opts->segment_bytes ? opts->segment_bytes : COMMITLOG_SEGMENT;
	l->next_number = 1;
	l->disk = opts->disk ? opts->disk : disk_real();
	must(l->segment_bytes % COMMITLOG_ALIGN == 0);
	must(pthread_mutex_init(&l->lock, NULL) == 0);
	must(pthread_mutex_init(&l->grow_lock, NULL) == 0);
	return l;
}

status
commitlog_create(const struct commitlog_opts *opts, struct commitlog **ret, struct err *e)
{
	struct commitlog *l = commitlog_new(opts);
	status            st;

	commitlog_delete(l->disk, opts->path);
	st = commitlog_add_segment(l, l->segment_bytes, e);
	if (st != ST_OK) {
		commitlog_close(l);
		return st;
	}
	*ret = l;
	return ST_OK;
}

void
commitlog_close(struct commitlog *l)
{
	if (!l)
		return;
	must(l->magic == COMMITLOG_MAGIC);
	for (size_t i = 0; i < l->segments.n; i++)
		commitlog_segment_free(l, l->segments.v[i]);
	vec_clear(&l->segments);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->grow_lock);
	mem_free(l->path);
	l->magic = 0;
	mem_free(l);
}

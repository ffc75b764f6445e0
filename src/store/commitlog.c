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
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/hash.h"
#include "runtime/metrics.h"
#include "runtime/thread.h"
#include "store/commitlog_int.h"

enum { ZEROS = 1 << 20, SPARE_SEGMENTS_MAX = 12 };

#define MAGIC "FRESNLOG"

static struct metric syncs =
    METRIC_COUNTER("fresnel_log_syncs_total", "syncs of the commit log");
static struct metric written =
    METRIC_COUNTER("fresnel_log_bytes_total", "bytes written to the commit log");

static const struct commitlog_io system_io = { pwrite, fdatasync };

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

static size_t
padded(size_t payload)
{
	return (COMMITLOG_HEAD + payload + COMMITLOG_ALIGN - 1) / COMMITLOG_ALIGN * COMMITLOG_ALIGN;
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
		.disk_bytes = padded(n) };
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

/* --- segments --- */

static status
write_all(struct commitlog *l, const struct segment *s, str bytes, size_t at, struct err *e)
{
	while (bytes.n > 0) {
		ssize_t n = l->io->pwrite(s->fd, bytes.p, bytes.n, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return err_os(e, "write the commit log", s->path);
		bytes = str_from(bytes, (size_t)n);
		at += (size_t)n;
	}
	return ST_OK;
}

static status
sync_segment(struct commitlog *l, const struct segment *s, struct err *e)
{
	/* Not repeated, not even after EINTR: only a sync that succeeds at once says anything. */
	if (l->io->fdatasync(s->fd) != 0)
		return err_os(e, "sync the commit log", s->path);
	return ST_OK;
}

status
commitlog_sync_dir(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t      n = slash ? (size_t)(slash - path) + 1 : 0;
	char       *dir = mem_alloc(n + 2);
	int         fd;
	status      st = ST_OK;

	memcpy(dir, slash ? path : ".", slash ? n : 1);
	dir[slash ? n : 1] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		st = err_os(e, "sync the directory of the commit log", dir);
	if (fd >= 0)
		close(fd);
	mem_free(dir);
	return st;
}

static status
fill_with_zeros(struct commitlog *l, const struct segment *s, struct err *e)
{
	char  *zeros = mem_zalloc(ZEROS);
	status st = ST_OK;

	/* First the space in one piece, as far as the file system can. */
	if (fallocate(s->fd, 0, 0, (off_t)s->bytes) != 0 && errno == ENOSPC)
		st = err_os(e, "allocate the commit log", s->path);
	for (size_t at = 0; at < s->bytes && st == ST_OK; at += ZEROS) {
		size_t left = s->bytes - at;

		st = write_all(l, s, str_of(zeros, left < ZEROS ? left : ZEROS), at, e);
	}
	if (st == ST_OK)
		st = sync_segment(l, s, e);
	mem_free(zeros);
	return st;
}

void
commitlog_segment_free(struct segment *s)
{
	if (s->fd >= 0)
		close(s->fd);
	mem_free(s->path);
	mem_free(s);
}

static unsigned
next_number(struct commitlog *l)
{
	MUTEX_GUARD(&l->lock);

	return l->next_number++;
}

status
commitlog_add_segment(struct commitlog *l, size_t need, struct segment **ret, struct err *e)
{
	struct segment *s = MEM_NEW(struct segment);
	size_t          room = strlen(l->path) + 20;
	status          st;

	s->bytes = need > l->segment_bytes ? need : l->segment_bytes;
	s->path = mem_alloc(room);
	snprintf(s->path, room, "%s.log.%u", l->path, next_number(l));
	s->fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	st = s->fd < 0 ? err_os(e, "create the commit log", s->path) : fill_with_zeros(l, s, e);
	if (st == ST_OK)
		st = commitlog_sync_dir(s->path, e);
	if (st != ST_OK) {
		if (s->fd >= 0)
			unlink(s->path);
		commitlog_segment_free(s);
		return st;
	}
	mutex_lock_(&l->lock);
	vec_push(&l->segments, s);
	must(pthread_mutex_unlock(&l->lock) == 0);
	*ret = s;
	return ST_OK;
}

/* A segment of at least `need` bytes that holds nothing of worth.  The caller has the lock. */
static struct segment *
find_spare(struct commitlog *l, size_t need)
{
	for (size_t i = 0; i < l->segments.n; i++) {
		struct segment *s = l->segments.v[i];

		if (s != l->tail && s->last == 0 && s->bytes >= need)
			return s;
	}
	return NULL;
}

/* The tail has no room for `need` bytes: goes on in another segment. */
static status
change_tail(struct commitlog *l, size_t need, struct err *e)
{
	struct segment *s;

	for (;;) {
		mutex_lock_(&l->lock);
		s = find_spare(l, need);
		if (s)
			l->tail = s;
		must(pthread_mutex_unlock(&l->lock) == 0);
		if (s)
			break;
		TRY(commitlog_add_segment(l, need, &s, e));
	}
	l->at = 0;
	return ST_OK;
}

static status
append(struct commitlog *l, struct buf *record, const struct commitlog_record *r, struct err *e)
{
	if (!l->tail || l->tail->bytes - l->at < r->disk_bytes)
		TRY(change_tail(l, r->disk_bytes, e));
	TRY(write_all(l, l->tail, buf_str(record), l->at, e));
	TRY(sync_segment(l, l->tail, e));
	metric_add(&syncs, 1);
	metric_add(&written, (int64_t)r->disk_bytes);
	l->at += r->disk_bytes;
	l->sequence = r->sequence;
	l->check = get_u32(record->p + 60);
	mutex_lock_(&l->lock);
	l->tail->last = r->sequence;
	must(pthread_mutex_unlock(&l->lock) == 0);
	return ST_OK;
}

status
commitlog_append(struct commitlog *l, struct buf *record, ts_t first_ts, ts_t last_ts,
    struct commitlog_record *ret, struct err *e)
{
	size_t                  n = record->n - COMMITLOG_HEAD;
	struct commitlog_record r = { l->sequence + 1, first_ts, last_ts, STR_EMPTY, padded(n) };
	status                  st;

	must(l->magic == COMMITLOG_MAGIC && record->n >= COMMITLOG_HEAD);
	if (l->failed)
		return err_internal(e, "the commit log of '%s' has failed before", l->path);
	if (!buf_ok(record) || n > UINT32_MAX)
		return err_internal(e, "a batch is too large for the commit log: %zu bytes", n);
	/* Reserved first: the payload must not move once r points at it. */
	must(buf_reserve(record, r.disk_bytes - record->n));
	r.payload = str_of(record->p + COMMITLOG_HEAD, n);
	finish_record(l, record, &r);
	st = append(l, record, &r, e);
	if (st == ST_OK)
		*ret = r;
	else
		l->failed = true;
	return st;
}

void
commitlog_forget(struct commitlog *l, uint64_t sequence)
{
	size_t spares = 0, kept = 0;
	MUTEX_GUARD(&l->lock);

	for (size_t i = 0; i < l->segments.n; i++) {
		struct segment *s = l->segments.v[i];

		if (s != l->tail && s->last <= sequence)
			s->last = 0;
		spares += s != l->tail && s->last == 0;
		/* Outsized segments, and more than a burst needs, go back to the file system. */
		if (s != l->tail && s->last == 0 &&
		    (s->bytes > l->segment_bytes || spares > SPARE_SEGMENTS_MAX)) {
			unlink(s->path);
			commitlog_segment_free(s);
			spares--;
		} else {
			l->segments.v[kept++] = s;
		}
	}
	l->segments.n = kept;
}

status
commitlog_prepare(struct commitlog *l, struct err *e)
{
	struct segment *s;

	mutex_lock_(&l->lock);
	s = find_spare(l, l->segment_bytes);
	must(pthread_mutex_unlock(&l->lock) == 0);
	return s ? ST_OK : commitlog_add_segment(l, l->segment_bytes, &s, e);
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
	l->io = opts->io ? opts->io : &system_io;
	must(l->segment_bytes % COMMITLOG_ALIGN == 0);
	must(pthread_mutex_init(&l->lock, NULL) == 0);
	return l;
}

status
commitlog_create(const struct commitlog_opts *opts, struct commitlog **ret, struct err *e)
{
	struct commitlog *l = commitlog_new(opts);
	struct segment   *s;
	status            st;

	commitlog_delete(opts->path);
	st = commitlog_add_segment(l, l->segment_bytes, &s, e);
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
		commitlog_segment_free(l->segments.v[i]);
	vec_clear(&l->segments);
	pthread_mutex_destroy(&l->lock);
	mem_free(l->path);
	l->magic = 0;
	mem_free(l);
}

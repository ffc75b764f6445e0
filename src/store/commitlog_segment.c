/* commitlog_segment.c - the commit log's files: making them ahead, using them again.
 *
 * Space is found before anybody depends on it.  A segment is allocated, written with zeros, synced
 * and named durably; only then it counts as room, and only room is promised (commitlog_reserve).
 * A segment is counted without its last eighth: that is how much a record that does not fit any
 * more may leave unused, so that what was promised fits whatever way the records are cut.
 *
 * Thread: commitlog.h.  Memory: segments.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>

#include "runtime/thread.h"
#include "store/commitlog_int.h"

enum { ZEROS = 1 << 20, SPARE_SEGMENTS_MAX = 12, WASTE_SHARE = 8 };

status
commitlog_fail(struct err *e, const char *what, const char *path)
{
	return errno == ENOSPC || errno == EDQUOT ? store_full(e) : err_os(e, what, path);
}

status
commitlog_write_all(struct commitlog *l, const struct segment *s, str bytes, size_t at,
    struct err *e)
{
	while (bytes.n > 0) {
		ssize_t n = l->disk->pwrite(l->disk->arg, s->fd, bytes.p, bytes.n, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return commitlog_fail(e, "write the commit log", s->path);
		bytes = str_from(bytes, (size_t)n);
		at += (size_t)n;
	}
	return ST_OK;
}

status
commitlog_sync(struct commitlog *l, const struct segment *s, struct err *e)
{
	/* Not repeated, not even after EINTR: only a sync that succeeds at once says anything. */
	if (l->disk->fdatasync(l->disk->arg, s->fd) != 0)
		return commitlog_fail(e, "sync the commit log", s->path);
	return ST_OK;
}

/* --- making segments --- */

status
commitlog_sync_dir(struct commitlog *l, struct err *e)
{
	const char *path = l->path;
	const char *slash = strrchr(path, '/');
	size_t      n = slash ? (size_t)(slash - path) + 1 : 0;
	char       *dir = mem_alloc(n + 2);
	status      st = ST_OK;

	memcpy(dir, slash ? path : ".", slash ? n : 1);
	dir[slash ? n : 1] = '\0';
	if (l->disk->sync_dir(l->disk->arg, dir) != 0)
		st = commitlog_fail(e, "sync the directory of the commit log", dir);
	mem_free(dir);
	return st;
}

static status
fill_with_zeros(struct commitlog *l, const struct segment *s, struct err *e)
{
	char  *zeros = mem_zalloc(ZEROS);
	status st = ST_OK;

	/* First the space in one piece, as far as the file system can. */
	if (l->disk->fallocate(l->disk->arg, s->fd, (off_t)s->bytes) != 0 && errno == ENOSPC)
		st = commitlog_fail(e, "allocate the commit log", s->path);
	for (size_t at = 0; at < s->bytes && st == ST_OK; at += ZEROS) {
		size_t left = s->bytes - at;

		st = commitlog_write_all(l, s, str_of(zeros, left < ZEROS ? left : ZEROS), at, e);
	}
	if (st == ST_OK)
		st = commitlog_sync(l, s, e);
	mem_free(zeros);
	return st;
}

void
commitlog_segment_free(struct commitlog *l, struct segment *s)
{
	if (s->fd >= 0)
		l->disk->close(l->disk->arg, s->fd);
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
commitlog_add_segment(struct commitlog *l, size_t need, struct err *e)
{
	struct segment *s = MEM_NEW(struct segment);
	size_t          room = strlen(l->path) + 20;
	status          st;

	need = (need + COMMITLOG_ALIGN - 1) / COMMITLOG_ALIGN * COMMITLOG_ALIGN;
	s->bytes = need > l->segment_bytes ? need : l->segment_bytes;
	s->path = mem_alloc(room);
	snprintf(s->path, room, "%s.log.%u", l->path, next_number(l));
	s->fd = l->disk->open(l->disk->arg, s->path, O_RDWR | O_CREAT | O_EXCL);
	st = s->fd < 0 ? commitlog_fail(e, "create the commit log", s->path)
		       : fill_with_zeros(l, s, e);
	if (st == ST_OK)
		st = commitlog_sync_dir(l, e);
	if (st != ST_OK) {
		if (s->fd >= 0)
			l->disk->unlink(l->disk->arg, s->path);
		commitlog_segment_free(l, s);
		return st;
	}
	MUTEX_GUARD(&l->lock);
	vec_push(&l->segments, s);
	commitlog_count_room(l);
	return ST_OK;
}

/* --- choosing and recycling them --- */

static bool
is_spare(const struct commitlog *l, const struct segment *s)
{
	return s != l->tail && s->last == 0;
}

/* The smallest segment of at least `need` bytes that holds nothing of worth.  The caller has the
 * lock. */
static struct segment *
find_spare(const struct commitlog *l, size_t need)
{
	struct segment *best = NULL;

	for (size_t i = 0; i < l->segments.n; i++) {
		struct segment *s = l->segments.v[i];

		if (is_spare(l, s) && s->bytes >= need && (!best || s->bytes < best->bytes))
			best = s;
	}
	return best;
}

static bool
take_spare(struct commitlog *l, size_t need)
{
	struct segment *s;
	MUTEX_GUARD(&l->lock);

	s = find_spare(l, need);
	if (!s)
		return false;
	l->tail = s;
	l->at = 0;
	commitlog_count_room(l);
	return true;
}

status
commitlog_change_tail(struct commitlog *l, size_t need, struct err *e)
{
	while (!take_spare(l, need)) {
		MUTEX_GUARD(&l->grow_lock);

		TRY(commitlog_add_segment(l, need, e));
	}
	return ST_OK;
}

uint64_t
commitlog_bytes(struct commitlog *l)
{
	uint64_t bytes = 0;
	MUTEX_GUARD(&l->lock);

	for (size_t i = 0; i < l->segments.n; i++)
		bytes += l->segments.v[i]->bytes;
	return bytes;
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
		spares += is_spare(l, s);
		/* Odd sizes, and more than a burst needs, go back to the file system. */
		if (is_spare(l, s) &&
		    (s->bytes != l->segment_bytes || spares > SPARE_SEGMENTS_MAX)) {
			l->disk->unlink(l->disk->arg, s->path);
			commitlog_segment_free(l, s);
			spares--;
		} else {
			l->segments.v[kept++] = s;
		}
	}
	l->segments.n = kept;
	commitlog_count_room(l);
}

/* --- room --- */

void
commitlog_count_room(struct commitlog *l)
{
	size_t room = 0;

	for (size_t i = 0; i < l->segments.n; i++) {
		const struct segment *s = l->segments.v[i];
		size_t waste = l->segment_bytes / WASTE_SHARE, used = s == l->tail ? l->at : 0;

		if ((s == l->tail || s->last == 0) && s->bytes > used + waste)
			room += s->bytes - used - waste;
	}
	atomic_store(&l->room, room);
}

/* Without what is promised there shall be room for as much as most of a segment holds. */
bool
commitlog_wants_segment(const struct commitlog *l)
{
	return atomic_load(&l->room) < atomic_load(&l->reserved) + l->segment_bytes / 2;
}

status
commitlog_prepare(struct commitlog *l, struct err *e)
{
	MUTEX_GUARD(&l->grow_lock);

	return commitlog_wants_segment(l) ? commitlog_add_segment(l, l->segment_bytes, e) : ST_OK;
}

status
commitlog_reserve(struct commitlog *l, size_t bytes, bool grow, struct err *e)
{
	size_t need = commitlog_padded(bytes);
	status st = ST_OK;

	if (LIKELY(atomic_fetch_add(&l->reserved, need) + need <= atomic_load(&l->room)))
		return ST_OK;
	mutex_lock_(&l->grow_lock);
	while (st == ST_OK && atomic_load(&l->reserved) > atomic_load(&l->room))
		st = grow ? commitlog_add_segment(l, need + l->segment_bytes / WASTE_SHARE, e)
			  : store_full(e);
	must(pthread_mutex_unlock(&l->grow_lock) == 0);
	if (st != ST_OK)
		atomic_fetch_sub(&l->reserved, need);
	return st;
}

void
commitlog_release(struct commitlog *l, size_t bytes)
{
	size_t need = commitlog_padded(bytes);

	must(atomic_fetch_sub(&l->reserved, need) >= need);
}

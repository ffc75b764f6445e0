/* commitlog_recover.c - what a crash left of the commit log.
 *
 * Segments do not say where they belong; the sequence number of their first record does.  They
 * are read in that order.  One whose successor begins at or below what is wanted is skipped; a
 * hole between two of them, or an intact record behind one that does not check, means that
 * something acknowledged is lost, and that is for the operator to decide.
 *
 * What is read need not be on the disk: if the process stopped because a sync failed, or while
 * one was going on, the file system may show pages that a power failure would still take away.
 * So every record that is delivered is written again as it is, and synced, before the log goes
 * on.  (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.)
 * Likewise the segments whose records SQLite has stay as they are until commitlog_forget() says
 * that it has them durably: after kill -9 it need not.
 *
 * Thread: the one that opens.  Memory: one segment's bytes at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "runtime/thread.h"
#include "store/commitlog_int.h"

struct source {
	struct segment *segment;
	uint64_t        first; /* sequence number of its first record; 0: none that checks */
};

struct recovery {
	struct commitlog *l;
	uint64_t          next; /* the sequence number that is wanted */
	bool              chained;
	uint32_t          check; /* head checksum of record next - 1, if `chained` */
	status (*fn)(void *arg, const struct commitlog_record *r, struct err *e);
	void *arg;
	VEC(struct source) sources;
	struct buf bytes; /* of the segment that is looked at */
};

/* --- files --- */

/* The number of a segment's file name; 0: it is none. */
static unsigned
number_of(str file, str stem)
{
	uint64_t number;

	if (!str_starts(file, stem) || !str_to_u64(str_from(file, stem.n), &number) ||
	    number > 1000000000)
		return 0;
	return (unsigned)number;
}

struct listing {
	struct arena      *arena;
	const char        *path; /* of the database */
	str                stem;
	VEC(const char *)  files;
	VEC(unsigned)      numbers;
};

static void
on_name(void *arg, const char *name)
{
	struct listing *list = arg;
	unsigned        n = number_of(str_z(name), list->stem);

	if (!n)
		return;
	vec_push(&list->files, arena_fmt(list->arena, "%s.log.%u", list->path, n).p);
	vec_push(&list->numbers, n);
}

static status
list_files(const struct disk *disk, const char *path, struct listing *list, struct err *e)
{
	str         whole = str_z(path), dir = S("."), name = whole;
	size_t      slash;
	const char *dir_z;

	*list = (struct listing){ .arena = arena_new(), .path = path };
	if (str_rfind_char(whole, '/', &slash)) {
		dir = str_head(whole, slash ? slash : 1);
		name = str_from(whole, slash + 1);
	}
	list->stem = arena_fmt(list->arena, "%.*s.log.", STR_ARG(name));
	dir_z = arena_z(list->arena, dir);
	return disk->list(disk->arg, dir_z, on_name, list) == 0 ? ST_OK : err_os(e, "open", dir_z);
}

static void
listing_clear(struct listing *list)
{
	vec_clear(&list->files);
	vec_clear(&list->numbers);
	arena_free(list->arena);
}

static status
add_file(struct commitlog *l, const char *file, unsigned number, struct err *e)
{
	struct segment *s = MEM_NEW(struct segment);
	size_t          n = strlen(file) + 1;
	off_t           size = -1;

	s->path = mem_alloc(n);
	memcpy(s->path, file, n);
	vec_push(&l->segments, s);
	if (number >= l->next_number)
		l->next_number = number + 1;
	s->fd = l->disk->open(l->disk->arg, file, O_RDWR);
	if (s->fd >= 0)
		size = l->disk->size(l->disk->arg, s->fd);
	if (size < 0)
		return err_os(e, "open the commit log", file);
	s->bytes = (size_t)size / COMMITLOG_ALIGN * COMMITLOG_ALIGN;
	return ST_OK;
}

status
commitlog_find_segments(struct commitlog *l, struct err *e)
{
	struct listing list;
	status         st = list_files(l->disk, l->path, &list, e);

	for (size_t i = 0; i < list.files.n && st == ST_OK; i++)
		st = add_file(l, list.files.v[i], list.numbers.v[i], e);
	listing_clear(&list);
	return st;
}

size_t
commitlog_delete(const struct disk *disk, const char *path)
{
	struct listing list;
	size_t         count = 0;

	if (list_files(disk, path, &list, NULL) == ST_OK)
		for (size_t i = 0; i < list.files.n; i++)
			count += disk->unlink(disk->arg, list.files.v[i]) == 0;
	listing_clear(&list);
	return count;
}

/* --- reading --- */

static status
damaged(struct err *e, const struct segment *s, const char *what)
{
	return err_set(e, ST_OPERATIONAL, "CommitLogDamaged",
	    "the commit log '%s' is damaged: %s; acknowledged transactions would be lost. "
	    "Restore the file, or drop the table fresnel_log to give them up",
	    s->path, what);
}

/* Reads up to n bytes of the file; fewer at its end. */
static status
load(struct recovery *rec, const struct segment *s, size_t n, struct err *e)
{
	buf_reset(&rec->bytes);
	must(buf_reserve(&rec->bytes, n));
	while (rec->bytes.n < n) {
		const struct disk *disk = rec->l->disk;
		ssize_t got = disk->pread(disk->arg, s->fd, rec->bytes.p + rec->bytes.n,
		    n - rec->bytes.n, (off_t)rec->bytes.n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_os(e, "read the commit log", s->path);
		if (got == 0)
			break;
		rec->bytes.n += (size_t)got;
	}
	return ST_OK;
}

/* The record at `at` of the loaded bytes; false: none of this log that checks.  What lies behind
 * a segment's valid records may be an old payload, hence anything a client wrote: only the log's
 * id, which no client knows, makes it a record. */
static bool
look(const struct recovery *rec, size_t at, struct commitlog_record *ret, struct head_sums *sums,
    bool *ret_newer)
{
	status st = commitlog_decode(str_from(buf_str(&rec->bytes), at), ret, sums);

	*ret_newer = st == ST_FEATURE_UNAVAILABLE && sums->id == rec->l->id;
	return st == ST_OK && sums->id == rec->l->id;
}

static status
too_new(struct err *e, const struct segment *s)
{
	return err_set(e, ST_OPERATIONAL, "CommitLogTooNew",
	    "the commit log '%s' was written in a newer format than version %d, which this "
	    "program knows: use the newer program that wrote it",
	    s->path, COMMITLOG_FORMAT_VERSION);
}

/* Fills in what the segment begins with.  That is never a payload: another log's record there
 * means another log's file. */
static status
read_first(struct recovery *rec, struct source *src, struct err *e)
{
	const struct segment   *s = src->segment;
	struct commitlog_record r;
	struct head_sums        sums;
	status                  st;

	TRY(load(rec, s, COMMITLOG_ALIGN, e));
	st = commitlog_decode(buf_str(&rec->bytes), &r, &sums);
	if (st == ST_NOT_FOUND && r.disk_bytes > rec->bytes.n && r.disk_bytes <= s->bytes) {
		TRY(load(rec, s, r.disk_bytes, e));
		st = commitlog_decode(buf_str(&rec->bytes), &r, &sums);
	}
	src->first = st == ST_OK ? r.sequence : 0;
	if (st != ST_NOT_FOUND && sums.id != rec->l->id)
		return err_set(e, ST_OPERATIONAL, "CommitLogForeign",
		    "the commit log '%s' belongs to another database file than '%s'", s->path,
		    rec->l->path);
	return st == ST_FEATURE_UNAVAILABLE ? too_new(e, s) : ST_OK;
}

/* Refuses intact records from `at` on that have not been delivered. */
static status
check_rest(struct recovery *rec, const struct segment *s, size_t at, struct err *e)
{
	for (; at < rec->bytes.n; at += COMMITLOG_ALIGN) {
		struct commitlog_record r;
		struct head_sums        sums;
		bool                    newer;

		if (look(rec, at, &r, &sums, &newer) && r.sequence >= rec->next)
			return damaged(e, s, "a record does not check, but a later one does");
	}
	return ST_OK;
}

/* Makes sure of the bytes from `from` to `to` of the loaded segment. */
static status
harden(struct recovery *rec, const struct segment *s, size_t from, size_t to, struct err *e)
{
	str bytes = str_of(rec->bytes.p + from, to - from);

	if (from == to)
		return ST_OK;
	TRY(commitlog_write_all(rec->l, s, bytes, from, e));
	return commitlog_sync(rec->l, s, e);
}

/* Delivers the records of a segment; *ret_end is where they end, *ret_last the last one's
 * number. */
static status
read_segment(struct recovery *rec, const struct source *src, size_t *ret_end, uint64_t *ret_last,
    struct err *e)
{
	const struct segment *s = src->segment;
	uint64_t              sequence = src->first;
	uint32_t              before = 0;
	size_t                at = 0, fresh = SIZE_MAX; /* where the delivered ones begin */

	TRY(load(rec, s, s->bytes, e));
	while (at < rec->bytes.n) {
		struct commitlog_record r;
		struct head_sums        sums;
		bool                    newer, ok = look(rec, at, &r, &sums, &newer);

		if (newer && r.sequence == sequence)
			return too_new(e, s);
		if (!ok || r.sequence != sequence || (at > 0 && sums.previous != before))
			break;
		if (r.sequence == rec->next) {
			if (rec->chained && sums.previous != rec->check)
				return damaged(e, s, "two segments do not fit together");
			TRY(rec->fn(rec->arg, &r, e));
			rec->next++;
			fresh = fresh < at ? fresh : at;
		}
		rec->chained = r.sequence + 1 == rec->next;
		rec->check = before = sums.check;
		sequence++;
		at += r.disk_bytes;
	}
	*ret_end = at;
	*ret_last = sequence - 1;
	TRY(harden(rec, s, fresh < at ? fresh : at, at, e));
	return check_rest(rec, s, at, e);
}

static int
by_first(const void *x, const void *y)
{
	const struct source *a = x, *b = y;

	return (a->first > b->first) - (a->first < b->first);
}

static status
read_all(struct recovery *rec, struct err *e)
{
	struct commitlog *l = rec->l;
	size_t            n = rec->sources.n;

	for (size_t i = 0; i < n; i++) {
		struct source *src = &rec->sources.v[i];
		size_t         end = 0;
		uint64_t       last = 0;

		if (src->first == 0)
			continue;
		if (i + 1 < n && src[1].first <= rec->next) {
			src->segment->last = src[1].first - 1;
			continue;
		}
		if (src->first > rec->next)
			return damaged(e, src->segment, "records before it are missing");
		TRY(read_segment(rec, src, &end, &last, e));
		src->segment->last = last;
		if (last + 1 == rec->next) {
			l->tail = src->segment;
			l->at = end;
			l->check = rec->check;
		}
	}
	/* A segment that begins with rubbish was never reached by an append, or was torn by the
	 * last one; an intact record in it says otherwise. */
	for (size_t i = 0; i < n && rec->sources.v[i].first == 0; i++) {
		TRY(load(rec, rec->sources.v[i].segment, rec->sources.v[i].segment->bytes, e));
		TRY(check_rest(rec, rec->sources.v[i].segment, 0, e));
	}
	l->sequence = rec->next - 1;
	MUTEX_GUARD(&l->lock);
	commitlog_count_room(l);
	return ST_OK;
}

static status
recover(struct recovery *rec, struct err *e)
{
	struct commitlog *l = rec->l;

	TRY(commitlog_find_segments(l, e));
	if (l->segments.n == 0)
		return err_set(e, ST_OPERATIONAL, "CommitLogMissing",
		    "the database '%s' was not closed and its commit log, '%s.log.*', is missing: "
		    "put the files back, or drop the table fresnel_log to go on without them",
		    l->path, l->path);
	for (size_t i = 0; i < l->segments.n; i++) {
		struct source src = { l->segments.v[i], 0 };

		TRY(read_first(rec, &src, e));
		vec_push(&rec->sources, src);
	}
	/* A segment may have been left there before its name was durable. */
	TRY(commitlog_sync_dir(l, e));
	qsort(rec->sources.v, rec->sources.n, sizeof *rec->sources.v, by_first);
	return read_all(rec, e);
}

status
commitlog_open(const struct commitlog_opts *opts, uint64_t applied,
    status (*fn)(void *arg, const struct commitlog_record *r, struct err *e), void *arg,
    struct commitlog **ret, struct err *e)
{
	struct recovery rec = {
		.l = commitlog_new(opts), .next = applied + 1, .fn = fn, .arg = arg
	};
	status st;

	buf_init(&rec.bytes, SIZE_MAX);
	st = recover(&rec, e);
	vec_clear(&rec.sources);
	buf_clear(&rec.bytes);
	if (st != ST_OK) {
		commitlog_close(rec.l);
		return st;
	}
	*ret = rec.l;
	return ST_OK;
}

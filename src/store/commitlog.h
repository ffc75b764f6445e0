/* commitlog.h - records that are durable when the append returns.
 *
 * The log lies in segments, "<database>.log.N", whose space is allocated and written with zeros
 * before it is used: an append overwrites it in place, so that its sync has no metadata to
 * journal.  A segment whose records are no longer needed is overwritten again (commitlog_forget).
 *
 * A record starts on a border of COMMITLOG_ALIGN bytes with a head (little-endian):
 *
 *     0  magic "FRESNLOG"   8  format version u32    12 payload bytes u32
 *     16 log id u64         24 sequence number u64   32 first, 40 last timestamp u64
 *     48 CRC-32C of the payload u32                  52 head checksum of the record before u32
 *     56 zero u32           60 CRC-32C of bytes 0..59 u32
 *
 * and is followed by its payload and zeros up to the next border.  The head covers the payload's
 * checksum, and names the head before it: a record proves all records before it.  What recycled
 * segments still hold is told apart by its lower sequence numbers.
 *
 * Recovery delivers records until the first one that does not check: the torn end of the append
 * that the crash interrupted.  If an intact record with a higher number is found behind it, or a
 * number is missing between two segments, the log is damaged: opening it fails.
 *
 * A full disk is met before a record is accepted and not when it is written: commitlog_reserve()
 * promises room in segments that exist.  Records of up to an eighth of a segment keep that
 * promise exactly; larger ones may have to wait for the disk (see commitlog_append).
 *
 * Thread: append on one; forget on one other; reserve, release and prepare on any.
 * Memory: descriptors and names of the segments.
 */
#ifndef STORE_COMMITLOG_H
#define STORE_COMMITLOG_H

#include "os/disk.h"
#include "store/store.h"

enum { COMMITLOG_FORMAT_VERSION = 1, COMMITLOG_HEAD = 64, COMMITLOG_ALIGN = 4096 };

struct commitlog_opts {
	const char        *path; /* of the database; borrowed for the call */
	uint64_t           id;   /* of the log: segments of other logs are refused */
	size_t             segment_bytes; /* 0: COMMITLOG_SEGMENT */
	const struct disk *disk;          /* NULL: the real one */
};

#define COMMITLOG_SEGMENT ((size_t)8 << 20)

struct commitlog_record {
	uint64_t sequence;
	ts_t     first_ts, last_ts;
	str      payload;    /* borrowed for the call */
	size_t   disk_bytes; /* with head and padding */
};

struct commitlog;

/* A new log with one empty segment.  Leftovers of another one are deleted. */
NODISCARD status commitlog_create(const struct commitlog_opts *opts, struct commitlog **ret,
    struct err *e);
/* Opens what is there and calls fn for each record above `applied`, in order.  Texts for the
 * operator: ST_OPERATIONAL CommitLogDamaged, CommitLogTooNew, CommitLogMissing,
 * CommitLogForeign; or what fn returned. */
NODISCARD status commitlog_open(const struct commitlog_opts *opts, uint64_t applied,
    status (*fn)(void *arg, const struct commitlog_record *r, struct err *e), void *arg,
    struct commitlog **ret, struct err *e);

/* Makes room for the head at the beginning of an empty buffer; the payload is put behind it. */
void commitlog_begin(struct buf *record);
/* Writes and syncs the record that commitlog_begin() began.  OVERLOADED DatabaseFull: no segment
 * has room for it and none can be made; nothing was written, it may be tried again.  After any
 * other failure nothing is known of the record, and every later append fails. */
NODISCARD status commitlog_append(struct commitlog *l, struct buf *record, ts_t first_ts,
    ts_t last_ts, struct commitlog_record *ret, struct err *e);

/* Records up to `sequence` are durable elsewhere: their segments may be overwritten. */
void commitlog_forget(struct commitlog *l, uint64_t sequence);
/* Sees to it that an append that fills its segment finds another one ready.  OVERLOADED
 * DatabaseFull: there is no space for one. */
NODISCARD status commitlog_prepare(struct commitlog *l, struct err *e);
/* True if commitlog_prepare() would make a segment. */
bool commitlog_wants_segment(const struct commitlog *l);

/* Promises room for a record with a payload of that size.  If there is none it makes a segment
 * (some milliseconds), or, without `grow`, refuses at once.  Once the record is written or given
 * up, the same size goes to commitlog_release().  OVERLOADED DatabaseFull: nothing is promised. */
NODISCARD status commitlog_reserve(struct commitlog *l, size_t bytes, bool grow, struct err *e);
void             commitlog_release(struct commitlog *l, size_t bytes);

/* What the segments take on disk.  Any thread. */
uint64_t commitlog_bytes(struct commitlog *l);

void commitlog_close(struct commitlog *l); /* NULL is fine; the files stay */
/* Deletes all segments of the database at `path`; returns how many there were. */
size_t commitlog_delete(const struct disk *disk, const char *path);

/* What a head says beside its record. */
struct head_sums {
	uint64_t id;
	uint32_t check, previous; /* its own checksum, that of the head before */
};

/* The record at the beginning of `bytes`, whatever its log and sequence number.
 * OK
 * NOT_FOUND            none that checks; ret->disk_bytes: what it would take, 0: no head at all
 * FEATURE_UNAVAILABLE  the head is of a newer format; all but the payload is filled in */
status commitlog_decode(str bytes, struct commitlog_record *ret, struct head_sums *ret_sums);

#endif

/* commitlog_test.c - the commit log by itself: torn tails, damages, recycling, failing disks. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_fixture.h"

#include "base/hash.h"
#include "os/file.h"
#include "store/commitlog.h"

enum { SEGMENT = 32 << 10, ID = 77 };

static char dir[64];
static char path[128];

/* Disks that fail: the n-th call from now does. */
static int fail_write_in, fail_sync_in, fail_errno;
static bool short_writes;

static ssize_t
bad_pwrite(void *arg, int fd, const void *p, size_t n, off_t at)
{
	(void)arg;
	if (fail_write_in > 0 && --fail_write_in == 0) {
		errno = fail_errno;
		return -1;
	}
	return pwrite(fd, p, short_writes && n > 1000 ? 1000 : n, at);
}

static int
no_sync(void *arg, int fd)
{
	(void)arg;
	(void)fd; /* what these tests look at does not depend on the disk */
	if (fail_sync_in > 0 && --fail_sync_in == 0) {
		errno = fail_errno;
		return -1;
	}
	return 0;
}

static struct disk test_disk;

static int
make_dir(void **state)
{
	(void)state;
	test_disk = *disk_real();
	test_disk.pwrite = bad_pwrite;
	test_disk.fdatasync = no_sync;
	snprintf(dir, sizeof dir, "/tmp/fresnel-log-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/db", dir);
	return 0;
}

static int
drop_dir(void **state)
{
	(void)state;
	commitlog_delete(disk_real(), path);
	return rmdir(dir);
}

static struct commitlog_opts
options(void)
{
	return (struct commitlog_opts){
		.path = path, .id = ID, .segment_bytes = SEGMENT, .disk = &test_disk
	};
}

/* A record of so many bytes of the alphabet. */
static status
append(struct commitlog *l, size_t bytes, uint64_t *ret_sequence)
{
	struct commitlog_record r;
	struct buf              b;
	status                  st;

	buf_init(&b, BUF_MAX_DEFAULT);
	commitlog_begin(&b);
	for (size_t i = 0; i < bytes; i++)
		buf_add_byte(&b, (uint8_t)('a' + i % 26));
	st = commitlog_append(l, &b, 5, 6, &r, NULL);
	if (st == ST_OK && ret_sequence)
		*ret_sequence = r.sequence;
	buf_clear(&b);
	return st;
}

struct found {
	uint64_t first, last, count;
	size_t   bytes;
};

static status
on_record(void *arg, const struct commitlog_record *r, struct err *e)
{
	struct found *f = arg;

	(void)e;
	if (f->count++ == 0)
		f->first = r->sequence;
	else
		CHECK_EQ(r->sequence, f->last + 1);
	f->last = r->sequence;
	f->bytes = r->payload.n;
	CHECK_EQ(r->first_ts, 5);
	CHECK_EQ(r->last_ts, 6);
	for (size_t i = 0; i < r->payload.n; i++)
		CHECK_EQ(r->payload.p[i], 'a' + i % 26);
	return ST_OK;
}

/* Opens and closes; what was delivered. */
static status
try_recover(uint64_t applied, struct found *ret, struct err *e)
{
	struct commitlog_opts o = options();
	struct commitlog     *l;
	status                st;

	*ret = (struct found){ 0 };
	st = commitlog_open(&o, applied, on_record, ret, &l, e);
	if (st == ST_OK)
		commitlog_close(l);
	return st;
}

static void
check_found(uint64_t applied, uint64_t first, uint64_t last)
{
	struct found f;

	CHECK_EQ(try_recover(applied, &f, NULL), ST_OK);
	CHECK_EQ(f.count, last + 1 - first);
	if (f.count > 0) {
		CHECK_EQ(f.first, first);
		CHECK_EQ(f.last, last);
	}
}

static void
check_refused(uint64_t applied, const char *code)
{
	struct err   e = err_in(NULL);
	struct found f;

	CHECK_EQ(try_recover(applied, &f, &e), ST_OPERATIONAL);
	CHECK_STRZ(e.code, code);
}

static struct commitlog *
create(void)
{
	struct commitlog_opts o = options();
	struct commitlog     *l;

	CHECK_EQ(commitlog_create(&o, &l, NULL), ST_OK);
	return l;
}

static struct commitlog *
reopen(uint64_t applied)
{
	struct commitlog_opts o = options();
	struct commitlog     *l;
	struct found          f = { 0 };

	CHECK_EQ(commitlog_open(&o, applied, on_record, &f, &l, NULL), ST_OK);
	return l;
}

/* Segment n of the log, as a file. */
static int
open_segment(unsigned n, const char **ret_name)
{
	static char name[200];
	int         fd;

	snprintf(name, sizeof name, "%s.log.%u", path, n);
	if (ret_name)
		*ret_name = name;
	fd = open(name, O_RDWR);
	CHECK(fd >= 0);
	return fd;
}

static void
flip(int fd, size_t at)
{
	char c;

	CHECK_EQ(pread(fd, &c, 1, (off_t)at), 1);
	c ^= 0x10;
	CHECK_EQ(pwrite(fd, &c, 1, (off_t)at), 1);
}

/* Records come back in order from the wanted one on, over segments, also those that are larger
 * than a segment; appending goes on behind them. */
TEST(records_come_back)
{
	const size_t      sizes[] = { 0, 1, 4032, 4033, 10000, 9000, 30000, 100000, 20, 31000 };
	struct commitlog *l = create();
	uint64_t          sequence;

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		CHECK_EQ(append(l, sizes[i], &sequence), ST_OK);
		CHECK_EQ(sequence, i + 1);
		commitlog_close(l);
		for (uint64_t applied = 0; applied <= i + 1; applied++)
			check_found(applied, applied + 1, i + 1);
		l = reopen(0);
	}
	commitlog_close(l);
}

/* A last record that is torn at any byte, cut off or changed, is not there; all before it are.
 * Afterwards the log goes on as if it had never been begun. */
TEST(torn_tail_at_every_byte)
{
	struct commitlog *l = create();
	const size_t      at = 2 * COMMITLOG_ALIGN, n = 5000, size = COMMITLOG_HEAD + n;
	static char       tail[8192];
	int               fd;

	CHECK_EQ(append(l, 100, NULL), ST_OK);
	CHECK_EQ(append(l, 200, NULL), ST_OK);
	CHECK_EQ(append(l, n, NULL), ST_OK);
	commitlog_close(l);
	fd = open_segment(1, NULL);
	check_found(0, 1, 3);
	CHECK_EQ(pread(fd, tail, size, (off_t)at), size);
	for (size_t i = 0; i < size; i++) {
		if (i >= 56 && i < 60)
			continue; /* reserved */
		flip(fd, at + i);
		check_found(0, 1, 2);
		flip(fd, at + i);
	}
	for (size_t i = 0; i < size; i += 3) { /* the rest was never written */
		CHECK_EQ(ftruncate(fd, (off_t)(at + i)), 0);
		CHECK_EQ(ftruncate(fd, SEGMENT), 0);
		check_found(0, 1, 2);
		CHECK_EQ(pwrite(fd, tail, size, (off_t)at), size);
	}
	check_found(0, 1, 3);
	for (size_t i = 0; i < size; i += 61) { /* the file ends */
		CHECK_EQ(ftruncate(fd, (off_t)(at + i)), 0);
		check_found(0, 1, 2);
	}
	CHECK_EQ(ftruncate(fd, SEGMENT), 0);
	l = reopen(1);
	CHECK_EQ(append(l, 10, NULL), ST_OK);
	CHECK_EQ(append(l, 20, NULL), ST_OK);
	commitlog_close(l);
	check_found(0, 1, 4);
	close(fd);
}

/* Damage anywhere before intact later records is not a torn tail: the log is refused. */
TEST(damage_in_the_middle_is_refused)
{
	struct commitlog *l = create();
	int               fd;

	for (int i = 0; i < 3; i++)
		CHECK_EQ(append(l, 300, NULL), ST_OK);
	commitlog_close(l);
	fd = open_segment(1, NULL);
	for (size_t record = 0; record < 2; record++)
		for (size_t i = 0; i < COMMITLOG_HEAD + 300; i++) {
			flip(fd, record * COMMITLOG_ALIGN + i);
			check_refused(0, "CommitLogDamaged");
			flip(fd, record * COMMITLOG_ALIGN + i);
		}
	check_found(0, 1, 3);
	/* What SQLite has already is of no interest. */
	flip(fd, 100);
	check_found(3, 4, 3);
	close(fd);
}

/* A segment that is missing or wiped between others is damage; so is a missing log. */
TEST(missing_segments_are_refused)
{
	struct commitlog *l = create();
	const char       *name;
	int               fd;

	for (int i = 0; i < 3; i++)
		CHECK_EQ(append(l, 30000, NULL), ST_OK);
	commitlog_close(l);
	check_found(0, 1, 3);
	fd = open_segment(2, &name);
	flip(fd, 70);
	check_refused(0, "CommitLogDamaged");
	check_refused(1, "CommitLogDamaged");
	check_found(2, 3, 3);
	close(fd);
	CHECK_EQ(unlink(name), 0);
	check_refused(0, "CommitLogDamaged");
	check_found(2, 3, 3);
	commitlog_delete(disk_real(), path);
	check_refused(0, "CommitLogMissing");
}

/* Other logs' records and newer formats are refused, with words of their own. */
TEST(foreign_and_newer_logs_are_refused)
{
	struct commitlog *l = create();
	static char       head[60];
	uint32_t          sum;
	int               fd;

	CHECK_EQ(append(l, 300, NULL), ST_OK);
	CHECK_EQ(append(l, 300, NULL), ST_OK);
	commitlog_close(l);
	fd = open_segment(1, NULL);
	for (off_t at = COMMITLOG_ALIGN; at >= 0; at -= COMMITLOG_ALIGN) {
		CHECK_EQ(pread(fd, head, 60, at), 60);
		head[8] = COMMITLOG_FORMAT_VERSION + 1;
		sum = crc32c(0, str_of(head, 60));
		CHECK_EQ(pwrite(fd, head, 60, at), 60);
		CHECK_EQ(pwrite(fd, &sum, 4, at + 60), 4);
		check_refused(0, "CommitLogTooNew");
	}
	head[8] = COMMITLOG_FORMAT_VERSION;
	head[16]++;
	sum = crc32c(0, str_of(head, 60));
	CHECK_EQ(pwrite(fd, head, 60, 0), 60);
	CHECK_EQ(pwrite(fd, &sum, 4, 60), 4);
	check_refused(0, "CommitLogForeign");
	close(fd);
}

/* Forgotten segments are overwritten, and what is left in them of old rounds is never taken for
 * a record; the log does not grow. */
TEST(segments_are_recycled)
{
	struct commitlog *l = create();
	unsigned          files = 0;
	uint64_t          sequence = 0, applied = 0;

	for (int i = 0; i < 400; i++) {
		if (i % 7 == 0) {
			applied = sequence > 3 ? sequence - 3 : 0;
			commitlog_forget(l, applied);
			CHECK_EQ(commitlog_prepare(l, NULL), ST_OK);
		}
		CHECK_EQ(append(l, (size_t)i * 977 % 9000, &sequence), ST_OK);
		if (i % 5 == 0) {
			commitlog_close(l);
			check_found(applied, applied + 1, sequence);
			l = reopen(applied);
		}
	}
	commitlog_close(l);
	for (unsigned n = 1; n < 100; n++) {
		char name[200];

		snprintf(name, sizeof name, "%s.log.%u", path, n);
		files += file_exists(name);
	}
	CHECK(files >= 2 && files <= 14);
}

/* Bytes that a client wrote cannot pose as a record: they do not know the log's id. */
TEST(payloads_do_not_pose_as_records)
{
	struct commitlog_opts   other = options();
	struct commitlog       *l;
	struct commitlog_record r;
	struct buf              b;
	static char             page[COMMITLOG_ALIGN];
	int                     fd;

	other.id = ID + 1;
	CHECK_EQ(commitlog_create(&other, &l, NULL), ST_OK);
	for (int i = 0; i < 9; i++)
		CHECK_EQ(append(l, 10, NULL), ST_OK);
	commitlog_close(l);
	fd = open_segment(1, NULL);
	CHECK_EQ(pread(fd, page, sizeof page, 7 * COMMITLOG_ALIGN), sizeof page);
	close(fd);

	l = create();
	buf_init(&b, BUF_MAX_DEFAULT);
	commitlog_begin(&b);
	while (b.n < COMMITLOG_ALIGN)
		buf_add_byte(&b, 'x');
	buf_add(&b, str_of(page, sizeof page));
	CHECK_EQ(append(l, 10, NULL), ST_OK);
	CHECK_EQ(commitlog_append(l, &b, 5, 6, &r, NULL), ST_OK);
	commitlog_close(l);
	fd = open_segment(1, NULL);
	flip(fd, COMMITLOG_ALIGN + 100); /* the record that carries it is torn */
	check_found(0, 1, 1);
	close(fd);
	buf_clear(&b);
}

/* A record that does not continue the one before it is no part of this log, however intact it is:
 * another history of the same log left it there. */
TEST(records_are_chained)
{
	struct commitlog *l = create();
	static char       page[COMMITLOG_ALIGN];
	int               fd;

	for (int i = 0; i < 3; i++)
		CHECK_EQ(append(l, 10, NULL), ST_OK);
	commitlog_close(l);
	fd = open_segment(1, NULL);
	CHECK_EQ(pread(fd, page, sizeof page, 2 * COMMITLOG_ALIGN), sizeof page);
	close(fd);

	l = create();
	CHECK_EQ(append(l, 10, NULL), ST_OK);
	CHECK_EQ(append(l, 11, NULL), ST_OK);
	commitlog_close(l);
	fd = open_segment(1, NULL);
	CHECK_EQ(pwrite(fd, page, sizeof page, 2 * COMMITLOG_ALIGN), sizeof page);
	check_refused(0, "CommitLogDamaged");
	close(fd);
}

/* A write or sync that fails fails the append and all after it; what was acknowledged before is
 * there.  Short writes are continued. */
TEST(failing_disks)
{
	const struct {
		const char *why;
		int         write_in, sync_in, code;
	} rows[] = {
		{ "no space", 1, 0, ENOSPC },
		{ "an error while writing", 1, 0, EIO },
		{ "an error after a part", 2, 0, EIO },
		{ "an error of the sync", 0, 1, EIO },
		{ "an interrupted sync", 0, 1, EINTR },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct commitlog *l = create();
		struct found      f;

		print_message("  %s\n", rows[i].why);
		short_writes = true;
		CHECK_EQ(append(l, 9000, NULL), ST_OK);
		fail_write_in = rows[i].write_in;
		fail_sync_in = rows[i].sync_in;
		fail_errno = rows[i].code;
		CHECK_EQ(append(l, 9000, NULL), ST_INTERNAL);
		CHECK_EQ(append(l, 10, NULL), ST_INTERNAL);
		fail_write_in = fail_sync_in = 0;
		short_writes = false;
		commitlog_close(l);
		CHECK_EQ(try_recover(0, &f, NULL), ST_OK);
		CHECK(f.last == 1 || (f.last == 2 && rows[i].sync_in));
	}
}

/* A segment for which there is no space leaves no file behind, and the append that needs it has
 * written nothing: it may be repeated. */
TEST(no_space_for_a_segment)
{
	struct commitlog *l = create();
	char              name[200];

	CHECK_EQ(append(l, 30000, NULL), ST_OK);
	fail_write_in = 1;
	fail_errno = ENOSPC;
	CHECK_EQ(commitlog_prepare(l, NULL), ST_OVERLOADED);
	snprintf(name, sizeof name, "%s.log.2", path);
	CHECK(!file_exists(name));
	CHECK_EQ(append(l, 30000, NULL), ST_OK);
	fail_write_in = 1;
	CHECK_EQ(append(l, 30000, NULL), ST_OVERLOADED);
	CHECK_EQ(append(l, 30000, NULL), ST_OK);
	commitlog_close(l);
	check_found(0, 1, 3);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(records_come_back),
		IN_DIR(torn_tail_at_every_byte),
		IN_DIR(damage_in_the_middle_is_refused),
		IN_DIR(missing_segments_are_refused),
		IN_DIR(foreign_and_newer_logs_are_refused),
		IN_DIR(segments_are_recycled),
		IN_DIR(payloads_do_not_pose_as_records),
		IN_DIR(records_are_chained),
		IN_DIR(failing_disks),
		IN_DIR(no_space_for_a_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* file_test.c - whole files, directories and locks, in a directory of its own. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#include "os/file.h"

static char dir[] = "/tmp/fresnel-file-XXXXXX";

static const char *
in_dir(const char *name)
{
	static char paths[4][200];
	static int  turn;
	char       *path = paths[turn++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", dir, name);
	return path;
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
drop_dir(void **state)
{
	static const char *const names[] = { "a", "lock", "big", "x/y/z", "x/y", "x", "" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		remove(in_dir(names[i]));
	return 0;
}

/* What was written is what is read, whatever the bytes and the size. */
TEST(written_files_read_back)
{
	static char big[300000];
	const str   contents[] = { S(""), S("one\0two\n"), { big, sizeof big } };
	struct buf  b;

	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 7);
	buf_init(&b, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < COUNT_OF(contents); i++) {
		buf_reset(&b);
		CHECK_EQ(file_write_atomic(in_dir("a"), contents[i], NULL), ST_OK);
		CHECK_EQ(file_read(in_dir("a"), &b, NULL), ST_OK);
		CHECK_STR(buf_str(&b), contents[i]);
		CHECK(!file_exists(in_dir("a.tmp")));
	}
	buf_clear(&b);
}

/* Reading appends; a file beyond the buffer's maximum is refused and appends nothing. */
TEST(reading_respects_the_buffer)
{
	struct buf b;

	buf_init(&b, 100000);
	buf_addz(&b, "kept ");
	CHECK_EQ(file_write_atomic(in_dir("a"), S("text"), NULL), ST_OK);
	CHECK_EQ(file_read(in_dir("a"), &b, NULL), ST_OK);
	CHECK_STR(buf_str(&b), S("kept text"));
	CHECK_EQ(file_write_atomic(in_dir("big"), S(""), NULL), ST_OK);
	CHECK_EQ(truncate(in_dir("big"), 100000 - 8), 0);
	CHECK_EQ(file_read(in_dir("big"), &b, NULL), ST_OPERATIONAL);
	CHECK_STR(buf_str(&b), S("kept text"));
	CHECK_EQ(truncate(in_dir("big"), 100000 - 9), 0);
	CHECK_EQ(file_read(in_dir("big"), &b, NULL), ST_OK);
	CHECK_EQ(b.n, 100000);
	buf_clear(&b);
}

/* Absence is told apart from failure. */
TEST(missing_files_are_not_found)
{
	struct buf b;
	struct err e = err_in(NULL);

	buf_init(&b, 100);
	CHECK_EQ(file_read(in_dir("none"), &b, &e), ST_NOT_FOUND);
	CHECK_EQ(file_read(in_dir("none/deeper"), &b, &e), ST_NOT_FOUND);
	CHECK_EQ(file_read(dir, &b, &e), ST_INTERNAL);
	CHECK(!file_exists(in_dir("none")));
	CHECK_EQ(file_write_atomic(in_dir("none/a"), S("x"), &e), ST_INTERNAL);
	buf_clear(&b);
}

/* All missing levels are created; existing ones are fine; a file in the way is not. */
TEST(directories_are_made_in_depth)
{
	struct stat sb;

	CHECK_EQ(file_mkdirs(in_dir("x/y/z"), NULL), ST_OK);
	CHECK_EQ(file_mkdirs(in_dir("x/y/z/"), NULL), ST_OK);
	CHECK(stat(in_dir("x/y/z"), &sb) == 0 && S_ISDIR(sb.st_mode));
	CHECK_EQ(file_write_atomic(in_dir("a"), S("x"), NULL), ST_OK);
	CHECK_EQ(file_mkdirs(in_dir("a/b"), NULL), ST_INTERNAL);
}

/* One holder at a time, in this process and in others; the lock goes with its holder. */
TEST(locks_exclude_each_other)
{
	int        fd = -1, other = -1, wstatus;
	struct err e = err_in(NULL);
	pid_t      pid;

	CHECK_EQ(file_lock(in_dir("lock"), &fd, NULL), ST_OK);
	CHECK_EQ(file_lock(in_dir("lock"), &other, &e), ST_CONFLICT);
	CHECK_STR(e.code, S("FileLocked"));
	CHECK_EQ(other, -1);
	file_unlock(fd);

	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(file_lock(in_dir("lock"), &fd, NULL) == ST_OK ? 0 : 1);
	CHECK_EQ(waitpid(pid, &wstatus, 0), pid);
	CHECK_EQ(wstatus, 0);
	CHECK_EQ(file_lock(in_dir("lock"), &fd, NULL), ST_OK);
	file_unlock(fd);
}

/* A lock that cannot be made is the operator's affair, who is told which file and why. */
TEST(a_lock_that_cannot_be_written)
{
	struct err e = err_in(NULL);
	int        fd = -1;

	CHECK_EQ(file_lock(in_dir("nowhere/lock"), &fd, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("FileNotLockable"));
	CHECK_EQ(fd, -1);
}

/* A link and what it leads to are one file with one name; what does not exist keeps its own. */
TEST(links_resolve)
{
	struct arena *a = arena_new();
	char          real[PATH_MAX];

	CHECK_EQ(file_write_atomic(in_dir("real"), S("x"), NULL), ST_OK);
	CHECK(realpath(in_dir("real"), real) != NULL);
	CHECK_EQ(symlink("real", in_dir("link")), 0);
	CHECK_STR(str_z(file_resolve(in_dir("link"), a)), str_z(real));
	CHECK_STR(str_z(file_resolve("/nowhere/at/all", a)), S("/nowhere/at/all"));
	arena_free(a);
}

/* The file that was used longest ago goes first, and only as much as must. */
TEST(a_swept_folder_keeps_what_was_used_last)
{
	static const char *const names[] = { "cache/a", "cache/b", "cache/c" };

	CHECK_EQ(file_mkdirs(in_dir("cache/sub"), NULL), ST_OK);
	for (size_t i = 0; i < 3; i++) {
		struct timespec times[2] = { { .tv_sec = 1000 + (time_t)i },
			{ .tv_sec = 1000 + (time_t)i } };

		CHECK_EQ(file_write_atomic(in_dir(names[i]), S("0123456789"), NULL), ST_OK);
		CHECK_EQ(utimensat(AT_FDCWD, in_dir(names[i]), times, 0), 0);
	}
	CHECK_EQ(file_sweep(in_dir("cache"), 30, NULL), ST_OK);
	CHECK(file_exists(in_dir("cache/a")));
	file_touch(in_dir("cache/a"));
	CHECK_EQ(file_sweep(in_dir("cache"), 29, NULL), ST_OK);
	CHECK(file_exists(in_dir("cache/a")) && !file_exists(in_dir("cache/b")) &&
	    file_exists(in_dir("cache/c")));
	CHECK_EQ(file_sweep(in_dir("cache"), 0, NULL), ST_OK);
	CHECK(!file_exists(in_dir("cache/a")) && file_exists(in_dir("cache/sub")));
	CHECK(file_sweep(in_dir("nowhere"), 0, NULL) != ST_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(written_files_read_back),
		T(reading_respects_the_buffer),
		T(missing_files_are_not_found),
		T(directories_are_made_in_depth),
		T(locks_exclude_each_other),
		T(a_lock_that_cannot_be_written),
		T(links_resolve),
		T(a_swept_folder_keeps_what_was_used_last),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}

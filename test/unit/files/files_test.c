/* files_test.c - objects: whole or absent, streamed in and out (spec 05 sections 1.3 to 1.5). */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/enc.h"
#include "files/files.h"
#include "test.h"
#include "unit/files/scratch.h"

static char dir[] = "/tmp/fresnel-files-XXXXXX";

/* What a transfer left, with a lock to wait on. */
struct outcome {
	pthread_mutex_t  lock;
	pthread_cond_t   come;
	bool             over;
	status           st;
	struct file_info info;
};

#define OUTCOME { .lock = PTHREAD_MUTEX_INITIALIZER, .come = PTHREAD_COND_INITIALIZER }

static void
on_put(void *arg, const struct file_info *put, const struct err *e)
{
	struct outcome *o = arg;

	pthread_mutex_lock(&o->lock);
	o->over = true;
	o->st = put ? ST_OK : e->st;
	if (put)
		o->info = *put;
	pthread_cond_signal(&o->come);
	pthread_mutex_unlock(&o->lock);
}

static void
wait_for(struct outcome *o)
{
	pthread_mutex_lock(&o->lock);
	while (!o->over)
		pthread_cond_wait(&o->come, &o->lock);
	pthread_mutex_unlock(&o->lock);
}

static struct files *
open_files(void)
{
	struct files *f;

	CHECK_EQ(files_open(dir, os_real(), &f, NULL), ST_OK);
	return f;
}

static size_t
count_names(const char *suffix)
{
	DIR           *d = opendir(dir);
	struct dirent *x;
	size_t         n = 0;

	while ((x = readdir(d)) != NULL)
		n += str_ends(str_z(x->d_name), str_z(suffix));
	closedir(d);
	return n;
}

/* Reads a stream to its end; the state it ended in. */
static enum stream_state
drain(struct stream *s, struct buf *ret)
{
	enum stream_state st;

	while ((st = stream_read(s, ret, 1 << 16)) == STREAM_DATA || st == STREAM_EMPTY)
		if (st == STREAM_EMPTY)
			usleep(200);
	return st;
}

static void
get_range(struct files *f, const char *key, uint64_t at, uint64_t n, str want)
{
	struct stream *s = stream_new();
	struct buf     b;

	buf_init(&b, 1 << 26);
	files_get(f, str_z(key), at, n, s);
	CHECK_EQ(drain(s, &b), STREAM_END);
	CHECK_STR(buf_str(&b), want);
	buf_clear(&b);
	stream_unref(s);
}

/* Bytes go in at once or in pieces, and come out whole or in ranges, empty ones included. */
TEST(round_trips)
{
	struct files    *f = open_files();
	struct outcome   o = OUTCOME;
	struct stream   *s = stream_new();
	struct file_info info;
	struct buf       b;

	CHECK_EQ(files_put_now(f, S("hello"), &info, NULL), ST_OK);
	buf_init(&b, 1 << 20);
	enc_base64(&b, str_of((const char *)info.sha256, 32));
	CHECK_STRZ(buf_str(&b), "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
	buf_reset(&b);
	CHECK_EQ(files_get_now(f, str_z(info.key), &b, NULL), ST_OK);
	CHECK_STRZ(buf_str(&b), "hello");
	buf_clear(&b);
	get_range(f, info.key, 0, 5, S("hello"));
	get_range(f, info.key, 1, 3, S("ell"));
	get_range(f, info.key, 5, 0, S(""));

	files_put(f, s, on_put, &o);
	for (int i = 0; i < 1000; i++)
		CHECK(stream_write(s, S("0123456789")));
	stream_end(s);
	wait_for(&o);
	CHECK_EQ(o.st, ST_OK);
	CHECK_EQ(o.info.size, 10000);
	get_range(f, o.info.key, 9995, 5, S("56789"));
	stream_unref(s);
	files_close(f);
}

/* A large object passes through a reader that stops for a while: no more than the high water is
 * held in memory. */
TEST(slow_reader)
{
	struct files    *f = open_files();
	struct file_info info;
	struct stream   *s = stream_new();
	size_t           n = (size_t)8 << 20;
	char            *bytes = malloc(n);
	struct buf       b;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 31 >> 3);
	CHECK_EQ(files_put_now(f, str_of(bytes, n), &info, NULL), ST_OK);
	files_get(f, str_z(info.key), 0, n, s);
	usleep(50000);
	CHECK(stream_held(s) > 0 && stream_held(s) <= (size_t)512 << 10);
	buf_init(&b, n);
	CHECK_EQ(drain(s, &b), STREAM_END);
	CHECK(str_eq(buf_str(&b), str_of(bytes, n)));
	buf_clear(&b);
	stream_unref(s);
	free(bytes);
	files_close(f);
}

/* What breaks on the way leaves nothing behind; a reader that leaves ends the transfer. */
TEST(nothing_half)
{
	struct files    *f = open_files();
	struct outcome   o = OUTCOME;
	struct stream   *s = stream_new(), *r = stream_new(), *gone = stream_new();
	struct file_info info;
	struct buf       b;
	size_t           before = count_names(".blob");

	files_put(f, s, on_put, &o);
	CHECK(stream_write(s, S("part of it")));
	stream_fail(s, S("connection lost"));
	wait_for(&o);
	CHECK_EQ(o.st, ST_BAD_REQUEST);
	CHECK_EQ(count_names(".blob"), before);
	CHECK_EQ(count_names(".tmp"), 0);

	buf_init(&b, 64);
	files_get(f, S("01234567-89ab-4def-8123-456789abcdef"), 0, 5, r);
	CHECK_EQ(drain(r, &b), STREAM_FAILED);
	files_get(f, S("../../../../../../etc/passwd/xxxxxxx"), 0, 5, gone);
	CHECK_EQ(drain(gone, &b), STREAM_FAILED);
	CHECK_EQ(files_get_now(f, S("../secret"), &b, NULL), ST_NOT_FOUND);

	CHECK_EQ(files_put_now(f, S("x"), &info, NULL), ST_OK);
	files_remove(f, str_z(info.key));
	CHECK_EQ(files_get_now(f, str_z(info.key), &b, NULL), ST_NOT_FOUND);
	buf_clear(&b);
	stream_unref(s);
	stream_unref(r);
	stream_unref(gone);
	files_close(f);
}

/* Closing ends what is on its way, and the next start removes what a crash left unfinished. */
TEST(closing_and_crashes)
{
	struct files  *f = open_files();
	struct outcome o = OUTCOME;
	struct stream *s = stream_new();
	char           tmp[256];
	int            fd;

	files_put(f, s, on_put, &o);
	CHECK(stream_write(s, S("never ends")));
	files_close(f);
	CHECK(o.over);
	CHECK_EQ(o.st, ST_OPERATIONAL);
	CHECK(!stream_write(s, S("more")));
	stream_unref(s);

	snprintf(tmp, sizeof tmp, "%s/01234567-89ab-4def-8123-456789abcdef.blob.tmp", dir);
	fd = open(tmp, O_WRONLY | O_CREAT, 0666);
	CHECK(fd >= 0);
	close(fd);
	f = open_files();
	CHECK_EQ(count_names(".tmp"), 0);
	files_close(f);
}

TEST(uuids)
{
	static const struct {
		const char *text;
		bool        want;
	} cases[] = {
		{ "01234567-89ab-4def-8123-456789abcdef", true },
		{ "01234567-89AB-4DEF-8123-456789ABCDEF", true },
		{ "01234567-89ab-4def-8123-456789abcde", false },
		{ "01234567-89ab-4def-8123-456789abcdefg", false },
		{ "0123456789ab-4def-8123-456789abcdef00", false },
		{ "g1234567-89ab-4def-8123-456789abcdef", false },
		{ "", false },
	};
	char made[FILE_KEY + 1];

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		CHECK_EQ(files_is_uuid(str_z(cases[i].text)), cases[i].want);
	files_uuid(os_real(), made);
	CHECK(files_is_uuid(str_z(made)));
	CHECK_EQ(made[14], '4');
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(round_trips), T(slow_reader), T(nothing_half),
		T(closing_and_crashes), T(uuids) };
	int                     failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return scratch_remove(dir) != 0 || failed;
}

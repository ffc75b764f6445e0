/* stream_test.c - order, ends, notices and bounds of bytes between two threads. */
#include "test.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "runtime/stream.h"
#include "runtime/thread.h"

static void
count(void *arg)
{
	++*(int *)arg;
}

/* Bytes come in the order and with the borders of nobody: as many as were asked for. */
TEST(order)
{
	struct stream *s = stream_new();
	struct buf     b;

	buf_init(&b, 1000);
	CHECK_EQ(stream_read(s, &b, 10), STREAM_EMPTY);
	CHECK(stream_write(s, S("hello ")));
	CHECK(stream_write(s, S("")));
	CHECK(stream_write(s, S("world")));
	CHECK_EQ(stream_held(s), 11);
	CHECK_EQ(stream_read(s, &b, 4), STREAM_DATA);
	CHECK_STRZ(buf_str(&b), "hell");
	CHECK_EQ(stream_peek(s), STREAM_DATA);
	CHECK_EQ(stream_read(s, &b, 100), STREAM_DATA);
	CHECK_STRZ(buf_str(&b), "hello world");
	CHECK_EQ(stream_read(s, &b, 100), STREAM_EMPTY);
	CHECK_EQ(stream_held(s), 0);
	CHECK_EQ(stream_total(s), 11);
	buf_clear(&b);
	stream_unref(s);
}

/* An end comes behind the last byte, stays, and is the first one that was set. */
TEST(ends)
{
	static const struct {
		const char       *why;
		bool              end, fail;
		enum stream_state st;
	} cases[] = {
		{ "an end", true, false, STREAM_END },
		{ "a failure", false, true, STREAM_FAILED },
		{ "the first one counts", true, true, STREAM_END },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct stream *s = stream_new();
		struct buf     b;

		buf_init(&b, 1000);
		stream_write(s, S("x"));
		CHECK(!stream_over(s));
		if (cases[i].end)
			stream_end(s);
		if (cases[i].fail)
			stream_fail(s, S("broken"));
		CHECK(stream_over(s));
		CHECK(stream_write(s, S("too late")));
		CHECK_EQ(stream_read(s, &b, 100), STREAM_DATA);
		CHECK_STRZ(buf_str(&b), "x");
		CHECK_EQ(stream_read(s, &b, 100), cases[i].st);
		CHECK_EQ(stream_read(s, &b, 100), cases[i].st);
		if (cases[i].st == STREAM_FAILED)
			CHECK_STRZ(stream_error(s), "broken");
		buf_clear(&b);
		stream_unref(s);
	}
}

/* The reader is told once per request, at once if there is something. */
TEST(reader_is_told)
{
	struct stream *s = stream_new();
	struct buf     b;
	int            told = 0;

	buf_init(&b, 1000);
	stream_when_ready(s, count, &told);
	CHECK_EQ(told, 0);
	stream_write(s, S("a"));
	stream_write(s, S("b"));
	CHECK_EQ(told, 1);
	stream_when_ready(s, count, &told);
	CHECK_EQ(told, 2);
	stream_read(s, &b, 100);
	stream_when_ready(s, count, &told);
	stream_when_ready(s, NULL, NULL);
	stream_write(s, S("c"));
	CHECK_EQ(told, 2);
	stream_read(s, &b, 100);
	stream_when_ready(s, count, &told);
	stream_end(s);
	CHECK_EQ(told, 3);
	stream_when_ready(s, count, &told);
	CHECK_EQ(told, 4);
	buf_clear(&b);
	stream_unref(s);
}

/* The writer is told when little waits, or nobody will ever read. */
TEST(writer_is_told)
{
	struct stream *s = stream_new();
	struct buf     b;
	int            told = 0, gone = 0;

	buf_init(&b, 1000);
	stream_write(s, S("0123456789"));
	stream_when_room(s, 4, count, &told);
	stream_read(s, &b, 5);
	CHECK_EQ(told, 0);
	stream_read(s, &b, 1);
	CHECK_EQ(told, 1);
	stream_when_room(s, 4, count, &told);
	CHECK_EQ(told, 2);
	stream_when_room(s, 0, count, &told);
	stream_when_closed(s, count, &gone);
	CHECK_EQ(gone, 0);
	stream_close(s);
	CHECK_EQ(told, 3);
	CHECK_EQ(gone, 1);
	CHECK(stream_closed(s));
	CHECK_EQ(stream_held(s), 0);
	CHECK(!stream_write(s, S("x")));
	stream_when_room(s, 0, count, &told);
	stream_when_closed(s, count, &gone);
	CHECK_EQ(told, 4);
	CHECK_EQ(gone, 2);
	stream_close(s);
	CHECK_EQ(gone, 2);
	buf_clear(&b);
	stream_unref(s);
}

/* A writer that nobody reads fails the stream instead of filling the memory; what was accepted
 * can still be read. */
TEST(bound)
{
	struct stream *s = stream_new();
	size_t         piece = (size_t)8 << 20, n = 0;
	char          *zeros = mem_zalloc(piece);
	struct buf     b;

	buf_init(&b, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < STREAM_HELD_MAX / piece; i++)
		CHECK(stream_write(s, str_of(zeros, piece)));
	CHECK_EQ(stream_held(s), STREAM_HELD_MAX);
	stream_read(s, &b, 10);
	CHECK(stream_write(s, str_of(zeros, 10))); /* behind a read part */
	CHECK(stream_write(s, S("x")));
	while (stream_read(s, &b, piece) == STREAM_DATA) {
		n += b.n;
		buf_reset(&b);
	}
	CHECK_EQ(n, STREAM_HELD_MAX + 10);
	CHECK_EQ(stream_read(s, &b, 1), STREAM_FAILED);
	CHECK_STRZ(stream_error(s), "More than 128 MiB were written to a stream that is not read");
	buf_clear(&b);
	mem_free(zeros);
	stream_unref(s);
}

/* --- two threads --- */

#define TOTAL ((size_t)4 << 20)

struct side {
	struct stream  *s;
	pthread_mutex_t lock;
	pthread_cond_t  cond;
	bool            told;
};

static void
tell(void *arg)
{
	struct side *side = arg;

	MUTEX_GUARD(&side->lock);
	side->told = true;
	pthread_cond_signal(&side->cond);
}

static void
await(struct side *side)
{
	MUTEX_GUARD(&side->lock);
	while (!side->told)
		pthread_cond_wait(&side->cond, &side->lock);
	side->told = false;
}

static void
write_all(void *arg)
{
	struct side *side = arg;
	char         piece[1000];
	size_t       n = 0;

	while (n < TOTAL) {
		size_t len = 1 + n % sizeof piece;

		len = len < TOTAL - n ? len : TOTAL - n;
		for (size_t i = 0; i < len; i++)
			piece[i] = (char)((n + i) % 251);
		if (!stream_write(side->s, str_of(piece, len)))
			return;
		n += len;
		if (stream_held(side->s) > 4096) {
			stream_when_room(side->s, 1024, tell, side);
			await(side);
		}
	}
	stream_end(side->s);
}

/* Everything arrives, in order, and the writer never gets far ahead; a reader that leaves in the
 * middle does not leave the writer waiting. */
TEST(two_threads)
{
	for (size_t leave_at = 0; leave_at <= TOTAL; leave_at += TOTAL / 2) {
		struct stream *s = stream_new();
		struct side    w = { .s = s, .lock = PTHREAD_MUTEX_INITIALIZER,
			   .cond = PTHREAD_COND_INITIALIZER }, r = w;
		struct thread    *t = thread_start("writer", 0, write_all, &w);
		enum stream_state st = STREAM_EMPTY;
		size_t            n = 0;
		struct buf        b;

		buf_init(&b, 100000);
		while ((leave_at == TOTAL || n < leave_at) && st != STREAM_END) {
			st = stream_read(s, &b, 700);
			CHECK(stream_held(s) <= 5200);
			for (size_t i = 0; i < b.n; i++)
				CHECK_EQ((unsigned char)b.p[i], (n + i) % 251);
			n += b.n;
			buf_reset(&b);
			if (st == STREAM_EMPTY) {
				stream_when_ready(s, tell, &r);
				await(&r);
			}
		}
		stream_close(s);
		thread_join_free(t);
		CHECK(leave_at < TOTAL || n == TOTAL);
		buf_clear(&b);
		stream_unref(s);
	}
}

TEST_RUN(T(order), T(ends), T(reader_is_told), T(writer_is_told), T(bound), T(two_threads))

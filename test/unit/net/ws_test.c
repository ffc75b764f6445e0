/* ws_test.c - WebSocket framing without a connection. */
#include "test.h"

#include "base/mem.h"
#include "net/ws.h"

struct log {
	struct buf seen; /* "text|" per message */
	int        over;
};

static void
message(void *arg, struct buf *text)
{
	struct log *l = arg;

	buf_add(&l->seen, buf_str(text));
	buf_add_byte(&l->seen, '|');
}

static void
over(void *arg)
{
	((struct log *)arg)->over++;
}

struct fixture {
	struct log l;
	struct out out;
	struct ws *w;
};

static void
setup(struct fixture *f)
{
	const struct ws_host host = { &f->l, message, over };

	memset(f, 0, sizeof *f);
	buf_init(&f->l.seen, 1 << 28);
	out_init(&f->out);
	f->w = ws_new(&host, &f->out);
}

static void
teardown(struct fixture *f)
{
	ws_free(f->w);
	out_clear(&f->out);
	buf_clear(&f->l.seen);
}

/* All that waits to be sent. */
static void
take(struct fixture *f, struct buf *ret)
{
	struct iovec iov[8];

	buf_init(ret, 1 << 28);
	while (out_iov(&f->out, iov, 8) > 0) {
		buf_add(ret, str_of(iov[0].iov_base, iov[0].iov_len));
		out_wrote(&f->out, iov[0].iov_len);
	}
}

static void
check_sent(struct fixture *f, str want)
{
	struct buf got;

	take(f, &got);
	check_str(buf_str(&got), want, __FILE__, __LINE__);
	buf_clear(&got);
}

/* A masked client frame. */
static void
frame(struct buf *out, int first, str payload)
{
	static const uint8_t mask[4] = { 1, 2, 3, 250 };

	buf_add_byte(out, (uint8_t)first);
	if (payload.n < 126) {
		buf_add_byte(out, (uint8_t)(0x80 | payload.n));
	} else if (payload.n < 65536) {
		buf_add_byte(out, 0x80 | 126);
		buf_add_byte(out, (uint8_t)(payload.n >> 8));
		buf_add_byte(out, (uint8_t)payload.n);
	} else {
		buf_add_byte(out, 0x80 | 127);
		buf_add_u64be(out, payload.n);
	}
	buf_add(out, str_of(mask, 4));
	for (size_t i = 0; i < payload.n; i++)
		buf_add_byte(out, (uint8_t)payload.p[i] ^ mask[i % 4]);
}

struct step {
	int first;
	str payload; /* p == NULL: the end */
};

#define CLOSE_1011 "\x88\x15\x03\xf3" "InternalServerError"

/* What arrives and what is answered, fed whole and cut at every byte. */
TEST(conversations_survive_any_cut)
{
	const struct {
		const char *why;
		struct step in[5];
		const char *seen;
		str         sent;
		int         over;
	} rows[] = {
		{ "text", { { 0x81, S("hello") } }, "hello|", STR_EMPTY, 0 },
		{ "empty text", { { 0x81, S("") } }, "|", STR_EMPTY, 0 },
		{ "two", { { 0x81, S("a") }, { 0x81, S("b") } }, "a|b|", STR_EMPTY, 0 },
		{ "fragments", { { 0x01, S("a") }, { 0x00, S("b") }, { 0x80, S("c") } }, "abc|",
		    STR_EMPTY, 0 },
		{ "a ping between fragments",
		    { { 0x01, S("a") }, { 0x89, S("hi") }, { 0x80, S("c") } }, "ac|",
		    S("\x8a\x02hi"), 0 },
		{ "ping", { { 0x89, S("") } }, "", S("\x8a\x00"), 0 },
		{ "pong", { { 0x8a, S("x") } }, "", STR_EMPTY, 0 },
		{ "a character over two fragments", { { 0x01, S("\xc3") }, { 0x80, S("\xa9") } },
		    "\xc3\xa9|", STR_EMPTY, 0 },
		{ "close is echoed",
		    { { 0x88, S("\x03\xe8"
				"bye") } },
		    "", S("\x88\x02\x03\xe8"), 1 },
		{ "close without a code", { { 0x88, S("") } }, "", S("\x88\x00"), 1 },
		{ "nothing after a close", { { 0x88, S("") }, { 0x81, S("a") } }, "", S("\x88\x00"),
		    1 },
		{ "binary", { { 0x82, S("x") } }, "", S(CLOSE_1011), 1 },
		{ "no UTF-8", { { 0x81, S("\xff") } }, "", S(CLOSE_1011), 1 },
		{ "reserved bit", { { 0xc1, S("x") } }, "", S(CLOSE_1011), 1 },
		{ "reserved opcode", { { 0x83, S("x") } }, "", S(CLOSE_1011), 1 },
		{ "reserved control opcode", { { 0x8b, S("x") } }, "", S(CLOSE_1011), 1 },
		{ "continuation of nothing", { { 0x80, S("x") } }, "", S(CLOSE_1011), 1 },
		{ "text inside fragments", { { 0x01, S("a") }, { 0x81, S("b") } }, "",
		    S(CLOSE_1011), 1 },
		{ "fragmented ping", { { 0x09, S("a") } }, "", S(CLOSE_1011), 1 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf in;

		fprintf(stderr, "  %s\n", rows[i].why);
		buf_init(&in, 1 << 20);
		for (const struct step *s = rows[i].in; s->payload.p; s++)
			frame(&in, s->first, s->payload);
		for (size_t cut = 0; cut <= in.n; cut++) {
			struct fixture f;

			setup(&f);
			ws_feed(f.w, str_of(in.p, cut));
			ws_feed(f.w, str_of(in.p + cut, in.n - cut));
			CHECK_STRZ(buf_str(&f.l.seen), rows[i].seen);
			check_sent(&f, rows[i].sent);
			CHECK_EQ(f.l.over, rows[i].over);
			CHECK_EQ(ws_finished(f.w), rows[i].over > 0);
			teardown(&f);
		}
		buf_clear(&in);
	}
}

/* A client that does not mask breaks the protocol. */
TEST(unmasked_frames_are_refused)
{
	struct fixture f;

	setup(&f);
	ws_feed(f.w, S("\x81\x01x"));
	check_sent(&f, S(CLOSE_1011));
	CHECK_EQ(f.l.over, 1);
	teardown(&f);
}

/* Lengths of 7, 16 and 64 bits, in and out. */
TEST(all_lengths_in_and_out)
{
	static const size_t lengths[] = { 0, 1, 125, 126, 127, 65535, 65536, 200000 };

	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct fixture f;
		struct buf     text, in, got;
		size_t         n = lengths[i], head = n < 126 ? 2 : n < 65536 ? 4 : 10;

		setup(&f);
		buf_init(&text, 1 << 20);
		buf_init(&in, 1 << 20);
		memset(buf_reserve(&text, n + 1), 'x', n);
		text.n = n;
		frame(&in, 0x81, buf_str(&text));
		ws_feed(f.w, buf_str(&in));
		CHECK_EQ(f.l.seen.n, n + 1);
		ws_send(f.w, blob_new(buf_str(&text)));
		take(&f, &got);
		CHECK_EQ(got.n, head + n);
		CHECK_EQ((uint8_t)got.p[0], 0x81);
		CHECK_STR(str_from(buf_str(&got), head), buf_str(&text));
		buf_clear(&got);
		buf_clear(&text);
		buf_clear(&in);
		teardown(&f);
	}
}

/* 64 MiB in a message and 16 MiB in a frame are the most (spec 01 section 2.2). */
TEST(messages_are_bounded)
{
	struct fixture f;
	struct buf     piece, in;

	buf_init(&piece, 17 << 20);
	buf_init(&in, 20 << 20);
	memset(buf_reserve(&piece, WS_FRAME_MAX), 'x', WS_FRAME_MAX);
	piece.n = WS_FRAME_MAX;
	frame(&in, 0x01, buf_str(&piece));
	setup(&f);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(f.l.over, 0);
		in.p[0] = i == 0 ? 0x01 : 0x00;
		ws_feed(f.w, buf_str(&in));
	}
	CHECK_EQ(f.l.over, 0); /* exactly 64 MiB so far */
	in.p[0] = (char)0x80;
	ws_feed(f.w, str_head(buf_str(&in), 100));
	CHECK_EQ(f.l.over, 1);
	check_sent(&f, S(CLOSE_1011));
	teardown(&f);

	buf_reset(&in);
	buf_addz(&in, "\x81\xff");
	buf_add_u64be(&in, WS_FRAME_MAX + 1);
	buf_add(&in, S("\1\2\3\4x"));
	setup(&f);
	ws_feed(f.w, buf_str(&in));
	CHECK_EQ(f.l.over, 1);
	teardown(&f);
	buf_clear(&in);
	buf_clear(&piece);
}

/* After our close frame nothing else is sent; reasons are cut to what a frame holds, at a
 * character's border. */
TEST(closing)
{
	static const char long_reason[] =
	    "0123456789012345678901234567890123456789012345678901234567890"
	    "1234567890123456789012345678901234567890123456789012345678901\xe2\x82\xac tail";
	struct fixture f;
	struct buf     got;

	setup(&f);
	ws_close(f.w, 1013, S("TooManyConcurrentMutations"));
	ws_send(f.w, blob_new(S("late")));
	ws_ping(f.w);
	ws_close(f.w, 1000, S("again"));
	check_sent(&f, S("\x88\x1c\x03\xf5" "TooManyConcurrentMutations"));
	CHECK(!ws_open(f.w));
	CHECK(!ws_finished(f.w));
	teardown(&f);

	setup(&f);
	ws_close(f.w, 0, S("ignored"));
	check_sent(&f, S("\x88\x00"));
	teardown(&f);

	setup(&f);
	ws_close(f.w, 1011, str_z(long_reason));
	take(&f, &got);
	CHECK(got.n <= 2 + 125);
	CHECK(str_utf8_valid(str_from(buf_str(&got), 4)));
	buf_clear(&got);
	teardown(&f);
}

TEST_RUN(T(conversations_survive_any_cut), T(unmasked_frames_are_refused),
    T(all_lengths_in_and_out), T(messages_are_bounded), T(closing))

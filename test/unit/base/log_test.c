/* log_test.c - lines on stderr. */
#include "test.h"

#include <unistd.h>

#include "base/log.h"
#include "base/must.h"

/* Runs fn with stderr in a pipe and returns what it wrote. */
static str
captured(void (*fn)(void), char *room, size_t size)
{
	int     ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(ends[0], room, size);
	close(ends[0]);
	return str_of(room, n > 0 ? (size_t)n : 0);
}

static void
log_three_lines(void)
{
	log_set_level(LOG_INFO);
	log_debug("hidden");
	log_warn("two\nlines %d", 7);
	log_set_level(LOG_ERROR);
	log_info("hidden");
	log_set_level(LOG_INFO);
}

static void
log_long_line(void)
{
	static char text[10000];

	memset(text, 'x', sizeof text - 1);
	log_error("%s", text);
}

/* "2026-01-01T00:00:00.000Z warn text": one line for each call at or above the level, line
 * breaks inside it turned into blanks. */
TEST(log_lines_have_time_level_and_text)
{
	static const char shape[] = "0000-00-00T00:00:00.000Z warn two lines 7\n";
	char              room[8192];
	str               s = captured(log_three_lines, room, sizeof room);

	CHECK_EQ(s.n, sizeof shape - 1);
	for (size_t i = 0; i < 24; i++) {
		if (shape[i] == '0')
			CHECK(s.p[i] >= '0' && s.p[i] <= '9');
		else
			CHECK_EQ(s.p[i], shape[i]);
	}
	CHECK_STRZ(str_from(s, 24), shape + 24);
}

TEST(log_lines_are_bounded)
{
	char room[16384];
	str  s = captured(log_long_line, room, sizeof room);

	CHECK_EQ(s.n, 4096);
	CHECK(str_ends(s, S("xx\n")));
}

TEST_RUN(T(log_lines_have_time_level_and_text), T(log_lines_are_bounded))

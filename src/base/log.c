/* log.c - lines on stderr.
 *
 * A line is formatted on the stack and leaves with one write(2), so that lines of several
 * threads do not mix.  Line breaks inside a message become blanks: one call, one line.
 *
 * Thread: any.  Memory: the stack; text beyond LOG_LINE_MAX is cut.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 4096

static _Atomic int least_level = LOG_INFO;

void
log_set_level(enum log_level least)
{
	atomic_store(&least_level, (int)least);
}

static size_t
put_head(char *line, size_t room, enum log_level level)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	struct timespec          now = { 0 };
	struct tm                tm;
	int                      n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = snprintf(line, room, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    now.tv_nsec / 1000000, names[level]);
	must(n > 0 && (size_t)n < room);
	return (size_t)n;
}

static PRINTF(2, 0) void
write_line(enum log_level level, const char *fmt, va_list ap)
{
	char    line[LOG_LINE_MAX];
	size_t  head = put_head(line, sizeof line, level);
	int     n = vsnprintf(line + head, sizeof line - head, fmt, ap);
	size_t  len;
	ssize_t written;

	must(n >= 0);
	len = head + (size_t)n;
	if (len > sizeof line - 1)
		len = sizeof line - 1;
	for (size_t i = head; i < len; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	line[len++] = '\n';
	written = write(STDERR_FILENO, line, len);
	(void)written; /* nobody is left to tell */
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
		return;
	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_ERROR, fmt, ap);
	va_end(ap);
	_exit(1); /* no atexit handlers: other threads are still running */
}

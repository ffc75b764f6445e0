/* err.c - filling in errors, and what each kind means on the wires.
 *
 * Thread: any.  Memory: texts go to the err's arena, or are cut into err.small.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"

#define CODE_INTERNAL "InternalServerError"
#define TEXT_INTERNAL "Your request couldn't be completed. Try again later."

static const struct {
	const char *name;
	int         http;
	int         ws;
	bool        deterministic;
} kinds[] = {
#define X(name, http, ws, det) { #name, http, ws, det },
	STATUS_MAP(X)
#undef X
};

_Static_assert(COUNT_OF(kinds) == ST_COUNT_, "one row for each status");

/* Gives `e` its own copy of head ‖ tail; either may point into e->small. */
static void
set_text(struct err *e, str head, str tail)
{
	size_t n = head.n + tail.n;
	char   room[sizeof e->small];
	char  *p = e->arena ? arena_alloc(e->arena, n + 1) : room;

	if (!e->arena && n > sizeof room - 1) {
		head = str_utf8_cut(head, sizeof room - 1);
		tail = str_utf8_cut(tail, sizeof room - 1 - head.n);
		n = head.n + tail.n;
	}
	if (head.n)
		memcpy(p, head.p, head.n);
	if (tail.n)
		memcpy(p + head.n, tail.p, tail.n);
	p[n] = '\0';
	if (!e->arena)
		p = memcpy(e->small, room, n + 1);
	e->text = str_of(p, n);
}

status
err_set_str(struct err *e, status st, const char *code, str text)
{
	must(st > ST_OK && st < ST_COUNT_);
	if (!e)
		return st;
	e->st = st;
	e->code = str_z(code);
	e->data = (str){ NULL, 0 };
	set_text(e, text, STR_EMPTY);
	return st;
}

/* Formats into b, whatever the length. */
static PRINTF(2, 0) void
format(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int     n;
	char   *p;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	must(n >= 0);
	buf_init(b, BUF_MAX_DEFAULT);
	p = buf_reserve(b, (size_t)n + 1);
	must(p);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	b->n = (size_t)n;
}

status
err_set(struct err *e, status st, const char *code, const char *fmt, ...)
{
	struct buf b;
	va_list    ap;

	if (!e) {
		must(st > ST_OK && st < ST_COUNT_);
		return st;
	}
	va_start(ap, fmt);
	format(&b, fmt, ap);
	va_end(ap);
	err_set_str(e, st, code, buf_str(&b));
	buf_clear(&b);
	return st;
}

void
err_prefix(struct err *e, const char *fmt, ...)
{
	struct buf b;
	va_list    ap;

	if (!e)
		return;
	va_start(ap, fmt);
	format(&b, fmt, ap);
	va_end(ap);
	set_text(e, buf_str(&b), e->text);
	buf_clear(&b);
}

status
err_internal(struct err *e, const char *fmt, ...)
{
	struct buf b;
	va_list    ap;

	va_start(ap, fmt);
	format(&b, fmt, ap);
	va_end(ap);
	log_error("internal error: %.*s", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return err_set_str(e, ST_INTERNAL, CODE_INTERNAL, S(TEXT_INTERNAL));
}

status
err_os(struct err *e, const char *what, const char *path)
{
	int  number = errno;
	char room[128];

	return err_internal(e, "%s %s: %s (errno %d)", what, path ? path : "",
	    strerror_r(number, room, sizeof room), number);
}

int
status_http(status st)
{
	must(st < ST_COUNT_);
	return kinds[st].http;
}

int
status_ws_close(status st)
{
	must(st < ST_COUNT_);
	return kinds[st].ws;
}

bool
status_deterministic(status st)
{
	must(st < ST_COUNT_);
	return kinds[st].deterministic;
}

const char *
status_name(status st)
{
	must(st < ST_COUNT_);
	return kinds[st].name;
}

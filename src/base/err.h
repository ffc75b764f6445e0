/* err.h - how a function says that it failed.
 *
 * A status is a closed set (the kinds of spec 03 section 5.7): it decides the
 * HTTP code, the WebSocket close code and whether the error becomes the
 * function's result.  Code and text go into a struct err, which the caller owns
 * and which may be NULL when nobody will read it.  Results of a failing
 * function are untouched unless its contract says otherwise.
 *
 * Thread: any.  Memory: the text lives in err.arena when there is one, else it
 * is cut to what fits into err.small.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/arena.h"
#include "base/must.h"
#include "base/str.h"

#define STATUS_MAP(X)                                                         \
	/* kind                 http  ws close (0: no code)  deterministic */ \
	X(OK,                   200,  0,    false)                            \
	X(BAD_REQUEST,          400,  0,    true)                             \
	X(PAGINATION_LIMIT,     400,  1000, true)                             \
	X(UNAUTHENTICATED,      401,  0,    true)                             \
	X(AUTH_UPDATE_FAILED,   401,  0,    true)                             \
	X(FORBIDDEN,            403,  1000, true)                             \
	X(NOT_FOUND,            404,  1000, false)                            \
	X(CLIENT_DISCONNECT,    408,  1000, false)                            \
	X(CONFLICT,             409,  0,    true)                             \
	X(MISDIRECTED,          421,  1013, false)                            \
	X(TOO_EARLY,            425,  1013, false)                            \
	X(RATE_LIMITED,         429,  1013, false)                            \
	X(OPERATIONAL,          500,  1011, false)                            \
	X(OCC,                  503,  1013, false)                            \
	X(OUT_OF_RETENTION,     503,  1013, false)                            \
	X(OVERLOADED,           503,  1013, false)                            \
	X(FEATURE_UNAVAILABLE,  503,  1013, false)                            \
	X(REJECTED,             503,  1013, false)                            \
	X(INTERNAL,             500,  1011, false)

typedef enum status {
#define X(name, http, ws, det) ST_##name,
	STATUS_MAP(X)
#undef X
	ST_COUNT_
} status;

struct err {
	status        st;
	struct arena *arena;    /* borrowed; may be NULL */
	str           code;     /* e.g. "DocumentTooLarge"; goes on the wire; static or in arena */
	str           text;     /* safe to show to the client; in arena or small */
	str           data;     /* encoded JSON of ConvexError data; p == NULL: none */
	char          small[232];
};

/* An err whose long texts live in `a` (may be NULL: texts are cut). */
static inline struct err
err_in(struct arena *a)
{
	struct err e;

	memset(&e, 0, sizeof e);
	e.arena = a;
	return e;
}

/* Fills `e` (if there is one) and returns `st`, so that a failure is one line:
 *     return err_set(e, ST_NOT_FOUND, "TableNotFound", "no table '%s'", name);
 * `code` must be a string literal or outlive the err. */
status err_set(struct err *e, status st, const char *code, const char *fmt, ...) PRINTF(4, 5);
/* The same with a text that is ready: kept whole even if it holds NULs. */
status err_set_str(struct err *e, status st, const char *code, str text);
/* Adds text in front of what is there ("Hit an error while pushing:\n"). */
void   err_prefix(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* ST_INTERNAL, code InternalServerError, the fixed public text of spec 01 section 11.2;
 * the private reason goes to the log. */
status err_internal(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* A system call failed: like err_internal, with errno's text. */
status err_os(struct err *e, const char *what, const char *path);
int    status_http(status st);
int    status_ws_close(status st);      /* 0: close without a code */
bool   status_deterministic(status st); /* becomes the result of the function that met it */
const char *status_name(status st);

/* if ((st = f(...)) != ST_OK) return st; */
#define TRY(expr)                                                             \
	do {                                                                  \
		status try_st_ = (expr);                                      \
		if (UNLIKELY(try_st_ != ST_OK))                               \
			return try_st_;                                       \
	} while (0)

#endif

/* logline.h - what a function wrote to its console (spec 04 section 2.8).
 *
 * Thread: one owner.  Memory: the arena of the run's result.
 */
#ifndef ISOLATE_LOGLINE_H
#define ISOLATE_LOGLINE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/vec.h"

enum log_line_level { LINE_DEBUG, LINE_ERROR, LINE_WARN, LINE_INFO, LINE_LOG };

struct logline {
	enum log_line_level level;
	size_t   nmessages;
	str     *messages;      /* formatted console arguments */
	bool     truncated;
	uint64_t timestamp_ms;
	str      system_code;   /* p == NULL: a user's line; else e.g. "warning:TooManyReads" */
	str      component;     /* of nested calls; p == NULL: the top-level function's own */
	str      udf_path;
};

#define LOG_LINE_MAX_BYTES 32768
#define LOG_LINES_MAX      256

struct loglines {
	struct arena        *arena; /* borrowed */
	VEC(struct logline)  lines; /* storage malloced: loglines_clear() */
};

void loglines_init(struct loglines *l, struct arena *a);
void loglines_clear(struct loglines *l);
/* Copies the messages; applies the limits of 32,768 bytes a line and 256 lines. */
void loglines_add(struct loglines *l, const struct logline *line);
/* "DEBUG" ...; false: there is no such level. */
bool logline_level(str name, enum log_line_level *ret);
/* Takes the texts of a list from another process.  False: it is no list of texts. */
bool logline_take(struct logline *l, const struct json *messages, struct arena *a);
/* "[LOG] 'hi' 1", for clients. */
void logline_pretty(struct buf *b, const struct logline *l);
/* The structured form of spec 02 section 13. */
void logline_json(struct buf *b, const struct logline *l);

#endif

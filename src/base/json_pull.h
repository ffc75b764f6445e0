/* json_pull.h - JSON text as a stream of tokens (RFC 8259).
 *
 *     json_pull_init(&p, arena, text);
 *     while (json_pull_next(&p, &t) && t.kind != JSON_T_END) ...
 *
 * For readers that build something else than a tree.  An object is OBJECT, then KEY and a
 * value for each member in source order (duplicates included), then CLOSE; an array is
 * ARRAY, its values, CLOSE.  Limits and errors are those of json.h.
 *
 * Thread: any.  Memory: strings without escapes point into the text, others into the arena.
 */
#ifndef BASE_JSON_PULL_H
#define BASE_JSON_PULL_H

#include "base/arena.h"
#include "base/err.h"

#define JSON_MAX_DEPTH 128 /* spec 01 section 1.1 */

enum json_token_kind {
	JSON_T_NULL,
	JSON_T_BOOL,
	JSON_T_NUMBER,
	JSON_T_STRING,
	JSON_T_ARRAY,
	JSON_T_OBJECT,
	JSON_T_KEY,
	JSON_T_CLOSE,
	JSON_T_END
};

struct json_token {
	enum json_token_kind kind;
	bool                 boolean;
	bool                 integral; /* NUMBER: written without fraction and exponent */
	double               number;
	str                  string;   /* STRING, KEY: decoded */
	str                  source;   /* scalars: the bytes in the text */
};

struct json_pull { /* private, but for `at`: the first byte behind the last token */
	struct arena *arena;
	const char   *start;
	const char   *at;
	const char   *end;
	const char   *error; /* NULL: none yet */
	const char   *error_at;
	int           depth;
	int           state;
	bool          object[JSON_MAX_DEPTH]; /* the open containers: object or array */
};

void json_pull_init(struct json_pull *p, struct arena *a, str text);
/* False after a syntax error: json_pull_error().  END comes again and again. */
NODISCARD bool json_pull_next(struct json_pull *p, struct json_token *ret);
/* ST_BAD_REQUEST with a text like "expected value at line 1 column 5". */
status json_pull_error(const struct json_pull *p, struct err *e);

#endif

/* json.h - JSON text to a tree and back (RFC 8259).
 *
 * The parser builds an immutable tree in an arena.  Strings without escapes
 * point into the source text, so the text must live as long as the tree.
 * Spec 01 section 1.1: unknown fields are the caller's business, duplicate keys:
 * the last one wins, at most 128 levels, numbers that overflow a double and
 * lone surrogate escapes are errors.
 *
 * Writers append to a buf.  There is no pretty printer: what we emit is compact.
 *
 * Thread: any.  Memory: the arena's.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_kind kind;
	bool           boolean;
	bool           integral; /* JSON_NUMBER: written without fraction and exponent */
	double         number;
	str            string;   /* JSON_STRING: the decoded text */
	str            source;   /* the bytes of this value in the parsed text */
	size_t         n;        /* elements or members */
	struct json   *items;    /* JSON_ARRAY, JSON_OBJECT: the values */
	str           *keys;     /* JSON_OBJECT: decoded names, source order, no duplicates */
};

/* ST_BAD_REQUEST with a text like serde_json's "expected value at line 1 column 5". */
NODISCARD status json_parse(struct arena *a, str text, struct json **ret, struct err *e);

/* The member called `key`, or NULL: also when `j` is NULL or not an object. */
const struct json *json_get(const struct json *j, const char *key);
/* Typed members: false if absent or of another kind (ret untouched). */
bool json_get_str(const struct json *j, const char *key, str *ret);
bool json_get_bool(const struct json *j, const char *key, bool *ret);
bool json_get_num(const struct json *j, const char *key, double *ret);
bool json_get_u32(const struct json *j, const char *key, uint32_t *ret); /* integral, in range */
static inline bool
json_is_null(const struct json *j) /* absent counts as null */
{
	return !j || j->kind == JSON_NULL;
}

void json_write_str(struct buf *b, str s);   /* with quotes; escapes only " \ and < 0x20 */
/* Shortest text that reads back as d; integral values end in ".0" (spec 01 section 1.1).
 * d must be finite. */
void json_write_double(struct buf *b, double d);
/* The same but "1" for 1.0: for counters and lengths. */
void json_write_number(struct buf *b, double d);
void json_write_i64(struct buf *b, int64_t v);
void json_write_u64(struct buf *b, uint64_t v);
void json_write(struct buf *b, const struct json *j); /* a tree, as it was */

/* Builders of objects by hand: json_key(b, "name") writes  ,"name":  with the comma
 * only where one is due (that is: unless the buf ends in '{' or '['). */
void json_key(struct buf *b, const char *key);
void json_comma(struct buf *b); /* the same for array elements */

#endif

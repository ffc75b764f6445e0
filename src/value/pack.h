/* pack.h - builds packed values (val.h).
 *
 *     struct pack p;  pack_init(&p);
 *     pack_object(&p); pack_key(&p, S("n")); pack_int64(&p, 1); pack_end(&p);
 *     st = pack_done(&p, &v, e);   v borrows p until pack_reset/pack_clear
 *
 * Fields may come in any order; pack_end() sorts them.  Of a repeated name the last wins.
 * The limits of spec 03 section 1.4 (array length, field count, field names, value size,
 * nesting) are checked on the way; the first violation is reported by pack_done().
 *
 * Thread: one owner.  Memory: owned buffers, kept between resets.
 */
#ifndef VALUE_PACK_H
#define VALUE_PACK_H

#include "base/err.h"
#include "base/vec.h"
#include "value/val.h"

#define VALUE_MAX_BYTES   ((size_t)32 << 20) /* by val_size() */
#define VALUE_MAX_NESTING 64
#define ARRAY_MAX_LENGTH  8192
#define OBJECT_MAX_FIELDS 1024
#define FIELD_NAME_MAX    1024

/* Deepest value that even a trusted pack builds; the JSON parser's limit. */
#define PACK_MAX_DEPTH    128

struct pack_frame { /* private: an open array or object */
	uint32_t start;    /* its tag, in out */
	uint32_t first;    /* its first member, in offsets */
	uint32_t size;     /* val_size() of the members so far, with their names */
	uint8_t  nesting;  /* of the deepest member */
	bool     object;
	bool     sorted;   /* names came in ascending order, none twice */
	bool     have_key; /* pack_key() was called, its value is due */
};

struct pack_member { /* private: a field while it is being sorted */
	uint32_t at;
	uint32_t n;
};

struct pack {
	struct buf              out;
	VEC(struct pack_frame)  stack;   /* private */
	VEC(uint32_t)           offsets; /* private: starts of the open containers' members */
	VEC(struct pack_member) order;   /* private: for sorting */
	struct buf              scratch; /* private: for sorting */
	struct err              err;     /* first violation; its arena is the pack's */
	/* Skip name rules and limits: for system documents and stored data. */
	bool                    trusted;
};

void pack_init(struct pack *p);
void pack_clear(struct pack *p); /* frees */
void pack_reset(struct pack *p); /* ready for another value; memory kept */

void pack_undefined(struct pack *p);
void pack_null(struct pack *p);
void pack_bool(struct pack *p, bool v);
void pack_int64(struct pack *p, int64_t v);
void pack_float64(struct pack *p, double v);
void pack_str(struct pack *p, str utf8); /* must be valid UTF-8: the caller checked */
void pack_bytes(struct pack *p, str bytes);
void pack_commit_ts(struct pack *p);
void pack_val(struct pack *p, struct val v); /* a copy of a packed value */
void pack_array(struct pack *p);
void pack_object(struct pack *p);
void pack_key(struct pack *p, str name); /* next value's name; inside an object only */
void pack_end(struct pack *p);           /* closes the innermost array or object */

/* Exactly one complete value must have been packed.  BAD_REQUEST with the codes of
 * spec 03 section 1.4 and the texts of 1.3. */
NODISCARD status pack_done(struct pack *p, struct val *ret, struct err *e);
/* The same, copied into `a`. */
NODISCARD status pack_done_in(struct pack *p, struct arena *a, struct val *ret, struct err *e);

/* One packed string in `a`, for index lookups.  `utf8` must be valid and within the limits. */
struct val val_of_str(struct arena *a, str utf8);

/* The rules of spec 03 section 1.3 on one name; codes InvalidFieldName, InvalidIdentifier. */
NODISCARD status field_name_check(str name, struct err *e);
NODISCARD status identifier_check(str s, struct err *e);

#endif

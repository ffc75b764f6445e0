/* val.h - a value, as packed bytes that are read in place.
 *
 * There is one representation of a Convex value inside the server: immutable
 * packed bytes with offsets up front, so that a field of a document is found
 * without parsing the rest.  A val borrows them.
 *
 * Format (little-endian, unaligned; private to value/, see layout.h):
 *   tag u8, then
 *   UNDEFINED, NULL, FALSE, TRUE, COMMIT_TS   nothing
 *   INT64, FLOAT64                            8 bytes
 *   STRING, BYTES                             u32 length, bytes
 *   ARRAY                                     u8 nesting, u32 packed bytes in all, u32 val_size(),
 *                                             u32 n, n x u32 offset of element (from the tag),
 *                                             elements
 *   OBJECT                                    the same with fields; a field is u16 name length,
 *                                             name, value; fields sorted by name
 * The form is canonical: equal values (but for COMMIT_TS) have equal bytes.
 *
 * Order and equality are those of spec 03 section 1.1 and agree with sortkey.h.
 *
 * Thread: any.  Memory: borrowed.  Format: memory only, never written to disk.
 */
#ifndef VALUE_VAL_H
#define VALUE_VAL_H

#include "base/buf.h"
#include "base/str.h"

enum val_kind { /* in the order of values */
	VAL_UNDEFINED, /* index keys, filters and patches only; never stored */
	VAL_NULL,
	VAL_INT64,
	VAL_FLOAT64,
	VAL_BOOL,
	VAL_STRING,
	VAL_BYTES,
	VAL_ARRAY,
	VAL_OBJECT,
	VAL_COMMIT_TS /* the pending commit timestamp of spec 03 section 1.6: sorts as INT64 max */
};

struct val {
	const uint8_t *p; /* NULL: "no value" (a missing field) */
	size_t         n; /* bytes of this packed value */
};

#define VAL_NONE ((struct val){ NULL, 0 })

/* Constants. */
extern const struct val val_undefined, val_null, val_true, val_false, val_empty_object;

static inline bool
val_some(struct val v)
{
	return v.p != NULL;
}

enum val_kind val_kind(struct val v); /* VAL_NONE reads as VAL_UNDEFINED */
int64_t       val_int64(struct val v);
double        val_float64(struct val v);
bool          val_bool(struct val v);
str           val_str(struct val v);  /* STRING or BYTES */
size_t        val_count(struct val v); /* ARRAY or OBJECT: elements */
struct val    val_at(struct val v, size_t i);
struct val    val_field_at(struct val v, size_t i, str *ret_name);
struct val    val_get(struct val v, str name); /* VAL_NONE if absent or not an object */
/* Walks a field path ("a.b"); objects only; VAL_NONE if any step is missing. */
struct val    val_path(struct val v, str path);

int    val_cmp(struct val a, struct val b); /* total order; VAL_NONE equals undefined */
bool   val_eq(struct val a, struct val b);
size_t val_size(struct val v);    /* spec 03 section 1.4, what limits count */
int    val_nesting(struct val v); /* scalars 0 */

/* "Null", "Int64", "Float64", "Boolean", "String", "Bytes", "Array", "Object", "undefined" */
const char *val_type_name(struct val v);
/* Debug rendering of spec 03 section 1.7, for error messages. */
void val_print(struct buf *b, struct val v);

#endif

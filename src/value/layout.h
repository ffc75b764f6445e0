/* layout.h - how packed bytes are laid out; val.h has the table.
 *
 * Private to value/: pack.c writes this form, val.c and its relatives read it in place.
 *
 * Thread: any.  Memory: borrowed.  Format: memory only.
 */
#ifndef VALUE_LAYOUT_H
#define VALUE_LAYOUT_H

#include "base/must.h"
#include "value/val.h"

enum tag {
	TAG_UNDEFINED,
	TAG_NULL,
	TAG_INT64,
	TAG_FLOAT64,
	TAG_FALSE,
	TAG_TRUE,
	TAG_STRING,
	TAG_BYTES,
	TAG_ARRAY,
	TAG_OBJECT,
	TAG_COMMIT_TS
};

#define AT_NESTING 1
#define AT_TOTAL   2
#define AT_SIZE    6
#define AT_COUNT   10
#define HEAD_BYTES 14 /* offsets follow */

static inline uint16_t
load_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint32_t
load_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline void
store_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline bool
is_container(struct val v)
{
	return v.p && (v.p[0] == TAG_ARRAY || v.p[0] == TAG_OBJECT);
}

/* Offset of member i of a container of n members; i == n gives the end. */
static inline uint32_t
member_offset(struct val v, size_t i, size_t n)
{
	return i < n ? load_u32(v.p + HEAD_BYTES + 4 * i) : load_u32(v.p + AT_TOTAL);
}

#endif

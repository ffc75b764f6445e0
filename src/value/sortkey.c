/* sortkey.c - values as bytes whose memcmp order is the order of values.
 *
 * The table of tags is in spec 03 section 1.5; these are the bytes that index keys have on
 * disk, so that a database of the reference server can be read.
 *
 * Thread: any.  Memory: the caller's buf; the reader's scratch is its pack.
 */
#include "value/sortkey.h"

#include "value/layout.h"

enum key_tag {
	KEY_UNDEFINED = 0x01,
	KEY_NULL = 0x03,
	KEY_NEG_8 = 0x04, /* 8, 4, 2 and 1 bytes */
	KEY_NEG_1 = 0x07,
	KEY_ZERO = 0x08,
	KEY_POS_1 = 0x09, /* 1, 2, 4 and 8 bytes */
	KEY_POS_8 = 0x0C,
	KEY_FLOAT64 = 0x0D,
	KEY_FALSE = 0x0E,
	KEY_TRUE = 0x0F,
	KEY_STRING = 0x10,
	KEY_BYTES = 0x11,
	KEY_ARRAY = 0x12,
	KEY_OBJECT = 0x15
};

#define KEY_END    0x00
#define KEY_ESCAPE 0xFF /* behind a 00 that is data, and behind an empty field name */

#define SIGN_BIT ((uint64_t)1 << 63)

static void
add_tagged(struct buf *out, uint8_t tag, uint64_t v, unsigned bytes)
{
	char *at = buf_reserve(out, 9);

	if (!at)
		return;
	v = __builtin_bswap64(v << (64 - 8 * bytes)); /* the low bytes, big-endian */
	at[0] = (char)tag;
	memcpy(at + 1, &v, 8);
	out->n += 1 + bytes;
}

/* log2 of the narrowest signed width that holds v, in bytes. */
static unsigned
width_log2(int64_t v)
{
	if (v >= INT8_MIN && v <= INT8_MAX)
		return 0;
	if (v >= INT16_MIN && v <= INT16_MAX)
		return 1;
	return v >= INT32_MIN && v <= INT32_MAX ? 2 : 3;
}

static void
add_int64(struct buf *out, int64_t v)
{
	unsigned width = width_log2(v);

	if (v == 0)
		buf_add_byte(out, KEY_ZERO);
	else
		add_tagged(out, (uint8_t)(v < 0 ? KEY_NEG_1 - width : KEY_POS_1 + width),
		    (uint64_t)v, 1u << width);
}

void
sortkey_add_float64(struct buf *out, double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof bits);
	add_tagged(out, KEY_FLOAT64, bits & SIGN_BIT ? ~bits : bits | SIGN_BIT, 8);
}

static void
add_escaped(struct buf *out, str s)
{
	size_t zero;

	while (str_find_char(s, '\0', &zero)) {
		buf_add(out, str_head(s, zero + 1));
		buf_add_byte(out, KEY_ESCAPE);
		s = str_from(s, zero + 1);
	}
	buf_add(out, s);
	buf_add_byte(out, KEY_END);
}

void
sortkey_add_str(struct buf *out, str s)
{
	buf_add_byte(out, KEY_STRING);
	add_escaped(out, s);
}

static void
add_field(struct buf *out, str name, struct val v)
{
	add_escaped(out, name);
	if (name.n == 0)
		buf_add_byte(out, KEY_ESCAPE);
	sortkey_add(out, v);
}

static void
add_members(struct buf *out, struct val v)
{
	bool object = v.p[0] == TAG_OBJECT;

	buf_add_byte(out, object ? KEY_OBJECT : KEY_ARRAY);
	for (size_t i = 0; i < val_count(v); i++) {
		str        name;
		struct val member;

		if (object) {
			member = val_field_at(v, i, &name);
			add_field(out, name, member);
		} else {
			sortkey_add(out, val_at(v, i));
		}
	}
	buf_add_byte(out, KEY_END);
}

void
sortkey_add(struct buf *out, struct val v)
{
	switch (val_kind(v)) {
	case VAL_UNDEFINED:
		buf_add_byte(out, KEY_UNDEFINED);
		return;
	case VAL_NULL:
		buf_add_byte(out, KEY_NULL);
		return;
	case VAL_INT64:
		add_int64(out, val_int64(v));
		return;
	case VAL_COMMIT_TS: /* spec 03 section 1.6 */
		add_int64(out, INT64_MAX);
		return;
	case VAL_FLOAT64:
		sortkey_add_float64(out, val_float64(v));
		return;
	case VAL_BOOL:
		buf_add_byte(out, val_bool(v) ? KEY_TRUE : KEY_FALSE);
		return;
	case VAL_STRING:
		sortkey_add_str(out, val_str(v));
		return;
	case VAL_BYTES:
		buf_add_byte(out, KEY_BYTES);
		add_escaped(out, val_str(v));
		return;
	case VAL_ARRAY:
	case VAL_OBJECT:
		add_members(out, v);
		return;
	}
}

void
sortkey_prefix_end(struct buf *out, str prefix)
{
	buf_add(out, prefix);
	buf_add_byte(out, KEY_ESCAPE);
}

/* --- reading back --- */

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	struct pack   *out;
	int            depth;
};

static bool read_value(struct reader *r);

static bool
read_int64(struct reader *r, uint8_t tag)
{
	bool     negative = tag < KEY_ZERO;
	unsigned width = negative ? (unsigned)(KEY_NEG_1 - tag) : (unsigned)(tag - KEY_POS_1);
	unsigned bytes = 1u << width;
	uint64_t v = negative ? UINT64_MAX : 0;

	if ((size_t)(r->end - r->at) < bytes)
		return false;
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | *r->at++;
	/* One spelling for each number: the right sign in the narrowest width. */
	if (v == 0 || ((int64_t)v < 0) != negative || width_log2((int64_t)v) != width)
		return false;
	pack_int64(r->out, (int64_t)v);
	return true;
}

static bool
read_float64(struct reader *r)
{
	uint64_t bits;
	double   d;

	if (r->end - r->at < 8)
		return false;
	memcpy(&bits, r->at, sizeof bits);
	r->at += 8;
	bits = __builtin_bswap64(bits);
	bits = bits & SIGN_BIT ? bits & ~SIGN_BIT : ~bits;
	memcpy(&d, &bits, sizeof d);
	pack_float64(r->out, d);
	return true;
}

/* A run up to its end mark.  Without escapes it borrows from the key, else it is decoded
 * into `room`. */
static bool
read_escaped(struct reader *r, struct buf *room, str *ret)
{
	for (;;) {
		const uint8_t *zero =
		    r->at < r->end ? memchr(r->at, KEY_END, (size_t)(r->end - r->at)) : NULL;
		str            run;

		if (!zero)
			return false;
		run = str_of(r->at, (size_t)(zero - r->at));
		r->at = zero + 1;
		if (r->at == r->end || *r->at != KEY_ESCAPE) {
			if (room->n == 0) {
				*ret = run;
				return true;
			}
			buf_add(room, run);
			*ret = buf_str(room);
			return true;
		}
		r->at++;
		buf_add(room, run);
		buf_add_byte(room, 0);
	}
}

static bool
read_run(struct reader *r, bool is_string)
{
	struct buf room;
	str        s = STR_EMPTY;
	bool       ok;

	buf_init(&room, BUF_MAX_DEFAULT);
	ok = read_escaped(r, &room, &s) && (!is_string || str_utf8_valid(s));
	if (ok && is_string)
		pack_str(r->out, s);
	else if (ok)
		pack_bytes(r->out, s);
	buf_clear(&room);
	return ok;
}

static bool
read_array(struct reader *r)
{
	pack_array(r->out);
	while (r->at < r->end && *r->at != KEY_END)
		if (!read_value(r))
			return false;
	if (r->at == r->end)
		return false;
	r->at++;
	pack_end(r->out);
	return true;
}

/* The end mark of an object and an empty name look alike; the FF tells them apart. */
static bool
at_object_end(const struct reader *r)
{
	return *r->at == KEY_END && (r->end - r->at < 2 || r->at[1] != KEY_ESCAPE);
}

/* Names come in strictly ascending order; `before` holds the last one. */
static bool
read_field(struct reader *r, struct buf *before, bool first)
{
	struct buf room;
	str        name = STR_EMPTY;
	bool       ok = true;

	buf_init(&room, BUF_MAX_DEFAULT);
	if (*r->at == KEY_END)
		r->at += 2; /* the empty name and its FF */
	else
		ok = read_escaped(r, &room, &name);
	ok = ok && (first || str_cmp(buf_str(before), name) < 0);
	if (ok) {
		buf_reset(before);
		buf_add(before, name);
		pack_key(r->out, name);
	}
	buf_clear(&room);
	return ok && read_value(r);
}

static bool
read_object(struct reader *r)
{
	struct buf before;
	bool       ok = true;

	buf_init(&before, BUF_MAX_DEFAULT);
	pack_object(r->out);
	for (bool first = true; ok && r->at < r->end && !at_object_end(r); first = false)
		ok = read_field(r, &before, first);
	ok = ok && r->at < r->end;
	if (ok) {
		r->at++;
		pack_end(r->out);
	}
	buf_clear(&before);
	return ok;
}

static bool
read_container(struct reader *r, bool object)
{
	bool ok;

	if (r->depth == PACK_MAX_DEPTH)
		return false;
	r->depth++;
	ok = object ? read_object(r) : read_array(r);
	r->depth--;
	return ok;
}

static bool
read_value(struct reader *r)
{
	uint8_t tag;

	if (r->at == r->end)
		return false;
	tag = *r->at++;
	if (tag >= KEY_NEG_8 && tag <= KEY_POS_8 && tag != KEY_ZERO)
		return read_int64(r, tag);
	switch (tag) {
	case KEY_UNDEFINED:
		pack_undefined(r->out);
		return true;
	case KEY_NULL:
		pack_null(r->out);
		return true;
	case KEY_ZERO:
		pack_int64(r->out, 0);
		return true;
	case KEY_FLOAT64:
		return read_float64(r);
	case KEY_FALSE:
	case KEY_TRUE:
		pack_bool(r->out, tag == KEY_TRUE);
		return true;
	case KEY_STRING:
	case KEY_BYTES:
		return read_run(r, tag == KEY_STRING);
	case KEY_ARRAY:
	case KEY_OBJECT:
		return read_container(r, tag == KEY_OBJECT);
	default:
		return false;
	}
}

bool
sortkey_read(str key, struct pack *out, size_t *ret_used)
{
	const uint8_t *start = (const uint8_t *)key.p;
	struct reader  r = { .at = start, .end = key.n ? start + key.n : start, .out = out };

	if (!read_value(&r) || out->err.st != ST_OK)
		return false;
	*ret_used = (size_t)(r.at - start);
	return true;
}

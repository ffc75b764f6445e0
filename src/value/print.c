/* print.c - values as error messages show them (spec 03 section 1.7).
 *
 * Thread: any.  Memory: the caller's buf.
 */
#include "value/print.h"

#include <math.h>

#include "base/enc.h"
#include "base/json.h"
#include "value/val.h"

/* Bytes of the character that starts s; malformed bytes count one by one. */
static size_t
char_bytes(str s)
{
	uint8_t c = (uint8_t)s.p[0];
	size_t  n = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

	return n <= s.n ? n : 1;
}

static void
put_char(struct buf *b, str c, char quote)
{
	static const char named[] = { ['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r' };
	uint8_t           first = (uint8_t)c.p[0];

	if (c.n == 1 && (first == (uint8_t)quote || first == '\\')) {
		buf_add_byte(b, '\\');
		buf_add_byte(b, first);
	} else if (first == 0) {
		buf_add(b, S("\\0"));
	} else if (first < sizeof named && named[first]) {
		buf_add_byte(b, '\\');
		buf_add_byte(b, (uint8_t)named[first]);
	} else if (first < 0x20 || first == 0x7F) {
		buf_fmt(b, "\\u{%x}", first);
	} else if (first == 0xC2 && c.n == 2 && (uint8_t)c.p[1] < 0xA0) { /* C1 controls */
		buf_fmt(b, "\\u{%x}", (uint8_t)c.p[1]);
	} else {
		buf_add(b, c);
	}
}

void
print_char(struct buf *b, str s)
{
	buf_add_byte(b, '\'');
	put_char(b, str_head(s, char_bytes(s)), '\'');
	buf_add_byte(b, '\'');
}

void
print_str(struct buf *b, str s)
{
	buf_add_byte(b, '"');
	while (s.n) {
		size_t n = char_bytes(s);

		put_char(b, str_head(s, n), '"');
		s = str_from(s, n);
	}
	buf_add_byte(b, '"');
}

void
print_double(struct buf *b, double d)
{
	if (isnan(d))
		buf_add(b, S("NaN"));
	else if (isinf(d))
		buf_add(b, d > 0 ? S("inf") : S("-inf"));
	else
		json_write_double(b, d);
}

static void
print_members(struct buf *b, struct val v)
{
	bool object = val_kind(v) == VAL_OBJECT;

	buf_add_byte(b, object ? '{' : '[');
	for (size_t i = 0; i < val_count(v); i++) {
		str        name;
		struct val member = object ? val_field_at(v, i, &name) : val_at(v, i);

		if (i)
			buf_add(b, S(", "));
		if (object) {
			buf_add(b, name);
			buf_add(b, S(": "));
		}
		val_print(b, member);
	}
	buf_add_byte(b, object ? '}' : ']');
}

void
val_print(struct buf *b, struct val v)
{
	switch (val_kind(v)) {
	case VAL_UNDEFINED:
		buf_add(b, S("undefined"));
		return;
	case VAL_NULL:
		buf_add(b, S("null"));
		return;
	case VAL_INT64:
		json_write_i64(b, val_int64(v));
		return;
	case VAL_COMMIT_TS:
		buf_add(b, S("<commitTs>"));
		return;
	case VAL_FLOAT64:
		print_double(b, val_float64(v));
		return;
	case VAL_BOOL:
		buf_add(b, val_bool(v) ? S("true") : S("false"));
		return;
	case VAL_STRING:
		print_str(b, val_str(v));
		return;
	case VAL_BYTES:
		buf_add(b, S("b\""));
		enc_base64(b, val_str(v));
		buf_add_byte(b, '"');
		return;
	case VAL_ARRAY:
	case VAL_OBJECT:
		print_members(b, v);
		return;
	}
}

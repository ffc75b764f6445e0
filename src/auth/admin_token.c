/* admin_token.c - the protobuf message inside an admin key.
 *
 * Five fields (spec 02 section 15.2); written by hand because the whole schema is smaller than
 * the code that a generator would add.
 *
 *   1 string deployment name (optional)   2 uint64 issued seconds, never 0
 *   3 uint64 member id | 4 empty message: system   5 bool read-only
 *
 * Thread: any.  Memory: results point into the parsed bytes.
 */
#include "auth/auth_int.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

static bool
read_varint(str *in, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < in->n && i < 10; i++) {
		uint8_t c = (uint8_t)in->p[i];

		v |= (uint64_t)(c & 0x7f) << (7 * i);
		if (!(c & 0x80)) {
			*in = str_from(*in, i + 1);
			*ret = v;
			return true;
		}
	}
	return false;
}

/* One field: its number, and its value as a number or as bytes. */
static bool
read_field(str *in, uint64_t *ret_no, uint64_t *ret_value, str *ret_bytes)
{
	uint64_t key, n = 0;

	if (!read_varint(in, &key))
		return false;
	*ret_no = key >> 3;
	*ret_value = 0;
	*ret_bytes = STR_EMPTY;
	switch (key & 7) {
	case WIRE_VARINT:
		return read_varint(in, ret_value);
	case WIRE_LEN:
		if (!read_varint(in, &n))
			return false;
		break;
	case WIRE_64:
		n = 8;
		break;
	case WIRE_32:
		n = 4;
		break;
	default:
		return false;
	}
	if (n > in->n)
		return false;
	*ret_bytes = str_head(*in, (size_t)n);
	*in = str_from(*in, (size_t)n);
	return true;
}

bool
admin_token_parse(str plain, struct admin_token *ret)
{
	struct admin_token t = { 0 };
	bool               has_identity = false;

	while (plain.n > 0) {
		uint64_t no, value;
		str      bytes;

		if (!read_field(&plain, &no, &value, &bytes))
			return false;
		switch (no) {
		case 1:
			t.has_name = true;
			t.name = bytes;
			break;
		case 2:
			t.issued_s = value;
			break;
		case 3:
		case 4: /* a oneof: the last one wins */
			has_identity = true;
			t.system = no == 4;
			break;
		case 5:
			t.read_only = value != 0;
			break;
		default:
			break;
		}
	}
	if (!has_identity || t.issued_s == 0)
		return false;
	*ret = t;
	return true;
}

static void
write_varint(struct buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_add_byte(out, (uint8_t)(v | 0x80));
	buf_add_byte(out, (uint8_t)v);
}

void
admin_token_write(struct buf *out, const struct admin_token *t)
{
	must(t->issued_s != 0);
	if (t->has_name) {
		buf_add_byte(out, 1 << 3 | WIRE_LEN);
		write_varint(out, t->name.n);
		buf_add(out, t->name);
	}
	buf_add_byte(out, 2 << 3 | WIRE_VARINT);
	write_varint(out, t->issued_s);
	buf_add_byte(out, t->system ? 4 << 3 | WIRE_LEN : 3 << 3 | WIRE_VARINT);
	buf_add_byte(out, 0); /* member 0, or the length of the empty message */
	if (t->read_only) {
		buf_add_byte(out, 5 << 3 | WIRE_VARINT);
		buf_add_byte(out, 1);
	}
}

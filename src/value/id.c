/* id.c - document ids: table number, internal id, checksum, base32 (spec 03 section 2).
 *
 * Every id that a client sends is parsed and every document read shows one, so the base32
 * of the fixed-size id is done here in whole groups instead of through enc.h.
 *
 * Thread: any.  Memory: none.
 */
#include "value/id.h"

#include "base/enc.h"

#define ID_TEXT_SHORTEST 31
#define ID_TEXT_LONGEST  37
#define UID_BYTES        16
#define FOOTER_BYTES     2
#define VINT_MAX         5
#define ID_BYTES_MAX     (VINT_MAX + UID_BYTES + FOOTER_BYTES)
#define UID_TEXT         22

#define BAD_ID "InvalidId"

/* LEB128; returns the bytes written. */
static size_t
put_vint(uint8_t *p, uint32_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (uint8_t)(v | 0x80);
	p[n++] = (uint8_t)v;
	return n;
}

static bool
get_vint(const uint8_t *p, size_t n, uint32_t *ret, size_t *ret_used)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n && i < VINT_MAX; i++) {
		v |= (uint64_t)(p[i] & 0x7F) << (7 * i);
		if (p[i] & 0x80)
			continue;
		if (v > UINT32_MAX)
			return false;
		*ret = (uint32_t)v;
		*ret_used = i + 1;
		return true;
	}
	return false;
}

/* Fletcher-16 with sums modulo 256; low byte first in the id. */
static uint16_t
footer(const uint8_t *p, size_t n)
{
	uint8_t c0 = 0, c1 = 0;

	for (size_t i = 0; i < n; i++) {
		c0 = (uint8_t)(c0 + p[i]);
		c1 = (uint8_t)(c1 + c0);
	}
	return (uint16_t)(c0 | c1 << 8);
}

/* Five bytes are eight characters; `bytes` has room for a whole last group. */
static size_t
put_base32(char *text, const uint8_t *bytes, size_t n)
{
	static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
	size_t            chars = (n * 8 + 4) / 5;

	for (size_t at = 0; at < chars; at += 8, bytes += 5) {
		uint64_t group = (uint64_t)bytes[0] << 32 | (uint64_t)bytes[1] << 24 |
		    (uint64_t)bytes[2] << 16 | (uint64_t)bytes[3] << 8 | bytes[4];

		for (size_t i = 0; i < 8 && at + i < chars; i++)
			text[at + i] = alphabet[group >> (35 - 5 * i) & 31];
	}
	return chars;
}

size_t
id_format(struct docid id, char ret[ID_TEXT_MAX])
{
	uint8_t  bytes[ID_BYTES_MAX + 5] = { 0 };
	size_t   n = put_vint(bytes, id.table);
	uint16_t sum;

	must(id.table != 0);
	memcpy(bytes + n, id.uid.b, UID_BYTES);
	n += UID_BYTES;
	sum = footer(bytes, n);
	memcpy(bytes + n, &sum, FOOTER_BYTES);
	n = put_base32(ret, bytes, n + FOOTER_BYTES);
	ret[n] = '\0';
	return n;
}

/* Value of a character of the alphabet plus one; 0 for any other. */
static const uint8_t values32[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15,
	['f'] = 16, ['g'] = 17, ['h'] = 18, ['j'] = 19, ['k'] = 20, ['m'] = 21, ['n'] = 22,
	['p'] = 23, ['q'] = 24, ['r'] = 25, ['s'] = 26, ['t'] = 27, ['v'] = 28, ['w'] = 29,
	['x'] = 30, ['y'] = 31, ['z'] = 32,
};

/* Whole bytes of the text; spare bits are dropped (the canonical form is compared later). */
static bool
get_base32(str text, uint8_t bytes[ID_BYTES_MAX + 1], size_t *ret_n)
{
	uint32_t acc = 0;
	unsigned have = 0;
	size_t   n = 0;

	for (size_t i = 0; i < text.n; i++) {
		uint8_t v = values32[(uint8_t)text.p[i]];

		if (!v)
			return false;
		acc = acc << 5 | (uint32_t)(v - 1);
		have += 5;
		if (have >= 8) {
			have -= 8;
			bytes[n++] = (uint8_t)(acc >> have);
		}
	}
	*ret_n = n;
	return true;
}

static status
bad_length(str text, struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, BAD_ID, "Unable to decode ID: Invalid ID length %zu",
	    text.n);
}

status
id_parse(str text, struct docid *ret, struct err *e)
{
	uint8_t      bytes[ID_BYTES_MAX + 1];
	char         again[ID_TEXT_MAX];
	size_t       n, at;
	struct docid id;
	uint16_t     found, want;

	if (text.n < ID_TEXT_SHORTEST || text.n > ID_TEXT_LONGEST)
		return bad_length(text, e);
	if (!get_base32(text, bytes, &n))
		return err_set(e, ST_BAD_REQUEST, BAD_ID,
		    "Unable to decode ID: ID wasn't valid base32");
	if (!get_vint(bytes, n, &id.table, &at) || id.table == 0)
		return err_set(e, ST_BAD_REQUEST, BAD_ID,
		    "Unable to decode ID: Invalid table number");
	if (n < at + UID_BYTES + FOOTER_BYTES)
		return bad_length(text, e);
	memcpy(id.uid.b, bytes + at, UID_BYTES);
	at += UID_BYTES;
	memcpy(&found, bytes + at, FOOTER_BYTES);
	want = footer(bytes, at);
	if (found != want)
		return err_set(e, ST_BAD_REQUEST, BAD_ID,
		    "Unable to decode ID: Invalid ID version %u (expected %u)", found, want);
	/* Left-over bytes, spare bits and overlong table numbers are other spellings. */
	if (!str_eq(str_of(again, id_format(id, again)), text))
		return bad_length(text, e);
	*ret = id;
	return ST_OK;
}

bool
uid_eq(struct uid a, struct uid b)
{
	return memcmp(a.b, b.b, sizeof a.b) == 0;
}

int
uid_cmp(struct uid a, struct uid b)
{
	return memcmp(a.b, b.b, sizeof a.b);
}

bool
uid_is_zero(struct uid u)
{
	return uid_eq(u, (struct uid){ { 0 } });
}

struct uid
uid_make(const uint8_t random[14], uint64_t unix_seconds)
{
	uint64_t   day = unix_seconds / 86400;
	struct uid u;

	memcpy(u.b, random, 14);
	u.b[14] = (uint8_t)(day >> 8);
	u.b[15] = (uint8_t)day;
	return u;
}

void
uid_format(struct buf *b, struct uid u)
{
	enc_base64url(b, str_of(u.b, sizeof u.b));
}

bool
uid_parse(str text, struct uid *ret)
{
	struct buf b;
	bool       ok;

	if (text.n != UID_TEXT)
		return false;
	buf_init(&b, sizeof ret->b);
	ok = dec_base64url(&b, text) && b.n == sizeof ret->b;
	if (ok)
		memcpy(ret->b, b.p, sizeof ret->b);
	buf_clear(&b);
	return ok;
}

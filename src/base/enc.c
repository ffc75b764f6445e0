/* enc.c - hex and the base-2^k encodings.
 *
 * The three base encodings are one pair of loops over an alphabet: `bits` per character,
 * most significant first.  Their differences (padding, strictness) are in the wrappers.
 *
 * Thread: any.  Memory: the caller's buf.
 */
#include "base/enc.h"

#include "base/must.h"

static const char alphabet64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet64url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char alphabet32[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Value of a character plus one; 0: not in the alphabet. */
static uint8_t
value64(uint8_t c, char c62, char c63)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A' + 1);
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 27);
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0' + 53);
	if (c == (uint8_t)c62)
		return 63;
	return c == (uint8_t)c63 ? 64 : 0;
}

static void
encode(struct buf *out, str bytes, const char *alphabet, unsigned bits)
{
	size_t   chars = (bytes.n * 8 + bits - 1) / bits;
	char    *at = buf_reserve(out, chars);
	uint32_t acc = 0;
	unsigned have = 0;

	if (!at)
		return;
	for (size_t i = 0; i < bytes.n; i++) {
		acc = acc << 8 | (uint8_t)bytes.p[i];
		for (have += 8; have >= bits; have -= bits)
			*at++ = alphabet[acc >> (have - bits) & ((1u << bits) - 1)];
	}
	if (have)
		*at++ = alphabet[acc << (bits - have) & ((1u << bits) - 1)];
	out->n += chars;
}

void
enc_hex(struct buf *out, str bytes)
{
	static const char digits[] = "0123456789abcdef";
	char             *at = buf_reserve(out, bytes.n * 2);

	if (!at)
		return;
	for (size_t i = 0; i < bytes.n; i++) {
		*at++ = digits[(uint8_t)bytes.p[i] >> 4];
		*at++ = digits[(uint8_t)bytes.p[i] & 15];
	}
	out->n += bytes.n * 2;
}

void
enc_base64(struct buf *out, str bytes)
{
	encode(out, bytes, alphabet64, 6);
	buf_add(out, str_of("==", (3 - bytes.n % 3) % 3));
}

void
enc_base64url(struct buf *out, str bytes)
{
	encode(out, bytes, alphabet64url, 6);
}

void
enc_base32(struct buf *out, str bytes)
{
	encode(out, bytes, alphabet32, 5);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
dec_hex(struct buf *out, str text)
{
	size_t n = text.n / 2;
	char  *at = buf_reserve(out, n);

	if (!at || text.n % 2)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_value(text.p[2 * i]);
		int lo = hex_value(text.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		at[i] = (char)(hi << 4 | lo);
	}
	out->n += n;
	return true;
}

static size_t
decoded64(size_t chars)
{
	return chars / 4 * 3 + (chars % 4 ? chars % 4 - 1 : 0);
}

/* Base64 without padding to decoded64(text.n) bytes. */
static bool
decode64(char *at, str text, char c62, char c63)
{
	uint32_t acc = 0;
	unsigned have = 0;

	if (text.n % 4 == 1)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t v = value64((uint8_t)text.p[i], c62, c63);

		if (!v)
			return false;
		acc = acc << 6 | (uint32_t)(v - 1);
		have += 6;
		if (have >= 8) {
			have -= 8;
			*at++ = (char)(acc >> have & 0xFF);
		}
	}
	/* Stray bits would be a second spelling of the same bytes. */
	return (acc & ((1u << have) - 1)) == 0;
}

static bool
decode64_buf(struct buf *out, str text, char c62, char c63)
{
	char *at = buf_reserve(out, decoded64(text.n));

	if (!at || !decode64(at, text, c62, c63))
		return false;
	out->n += decoded64(text.n);
	return true;
}

bool
dec_base64(struct buf *out, str text)
{
	if (text.n % 4)
		return false;
	if (str_ends(text, S("==")))
		text.n -= 2;
	else if (str_ends(text, S("=")))
		text.n -= 1;
	return decode64_buf(out, text, '+', '/');
}

bool
dec_base64url(struct buf *out, str text)
{
	return decode64_buf(out, text, '-', '_');
}

bool
dec_base32(struct buf *out, str text)
{
	size_t   n = text.n * 5 / 8;
	char    *at = buf_reserve(out, n);
	uint32_t acc = 0;
	unsigned have = 0;

	if (!at)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		const char *c = text.p[i] ? strchr(alphabet32, text.p[i]) : NULL;

		if (!c)
			return false;
		acc = acc << 5 | (uint32_t)(c - alphabet32);
		have += 5;
		if (have >= 8) {
			have -= 8;
			*at++ = (char)(acc >> have & 0xFF);
		}
	}
	out->n += n;
	return true;
}

void
enc_u64_base64(struct buf *out, uint64_t v)
{
	enc_base64(out, str_of(&v, sizeof v)); /* little-endian machine, see buf.c */
}

bool
dec_u64_base64(str text, uint64_t *ret)
{
	char bytes[sizeof *ret];

	if (text.n != 12 || text.p[11] != '=' || !decode64(bytes, str_head(text, 11), '+', '/'))
		return false;
	memcpy(ret, bytes, sizeof *ret);
	return true;
}

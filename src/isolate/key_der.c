/* key_der.c - keys in DER: SubjectPublicKeyInfo and PrivateKeyInfo (RFC 5280, 5208, 5915, 8410).
 *
 * Strict about what it takes: definite lengths in their shortest form, positive integers in
 * theirs, nothing behind the end.
 *
 * Thread: any.  Memory: fields point into what was parsed.
 */
#include "isolate/key.h"

enum tag {
	TAG_INTEGER = 0x02,
	TAG_BITS = 0x03,
	TAG_OCTETS = 0x04,
	TAG_NULL = 0x05,
	TAG_OID = 0x06,
	TAG_SEQUENCE = 0x30,
	TAG_BITS_1 = 0x81, /* [1] IMPLICIT BIT STRING */
	TAG_CONTEXT_0 = 0xa0,
	TAG_CONTEXT_1 = 0xa1
};

#define OID_RSA "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define OID_EC  "\x2a\x86\x48\xce\x3d\x02\x01"

static const str oids[KEY_KINDS] = {
	[KEY_RSA] = { OID_RSA, sizeof OID_RSA - 1 },
	[KEY_P256] = { "\x2a\x86\x48\xce\x3d\x03\x01\x07", 8 },
	[KEY_P384] = { "\x2b\x81\x04\x00\x22", 5 },
	[KEY_P521] = { "\x2b\x81\x04\x00\x23", 5 },
	[KEY_ED25519] = { "\x2b\x65\x70", 3 },
	[KEY_X25519] = { "\x2b\x65\x6e", 3 },
};
static const str oid_ec = { OID_EC, sizeof OID_EC - 1 };

/* --- reading --- */

static bool
read_length(str *in, size_t *ret)
{
	size_t n = 0, count;

	if (!in->n)
		return false;
	count = (uint8_t)in->p[0];
	*in = str_from(*in, 1);
	if (count < 0x80) {
		*ret = count;
		return true;
	}
	count &= 0x7f;
	if (count == 0 || count > 2 || in->n < count)
		return false;
	for (size_t i = 0; i < count; i++)
		n = n << 8 | (uint8_t)in->p[i];
	*in = str_from(*in, count);
	*ret = n;
	return n >= (count == 1 ? 0x80u : 0x100u);
}

/* The next element's contents, if it has this tag. */
static bool
read_element(str *in, enum tag tag, str *ret)
{
	str    rest = *in;
	size_t n;

	if (!rest.n || (uint8_t)rest.p[0] != tag)
		return false;
	rest = str_from(rest, 1);
	if (!read_length(&rest, &n) || n > rest.n)
		return false;
	*ret = str_head(rest, n);
	*in = str_from(rest, n);
	return true;
}

/* A positive INTEGER, without the zero that keeps it positive. */
static bool
read_positive(str *in, str *ret)
{
	str v;

	if (!read_element(in, TAG_INTEGER, &v) || !v.n || (uint8_t)v.p[0] >= 0x80)
		return false;
	if (v.p[0] == 0) {
		v = str_from(v, 1);
		if (!v.n || (uint8_t)v.p[0] < 0x80)
			return false;
	}
	*ret = v;
	return true;
}

static bool
read_small(str *in, int max, int *ret)
{
	str v;

	if (!read_element(in, TAG_INTEGER, &v) || v.n != 1 || v.p[0] < 0 || v.p[0] > max)
		return false;
	*ret = v.p[0];
	return true;
}

/* A BIT STRING of whole bytes. */
static bool
read_bits(str *in, str *ret)
{
	str v;

	if (!read_element(in, TAG_BITS, &v) || !v.n || v.p[0] != 0)
		return false;
	*ret = str_from(v, 1);
	return true;
}

/* AlgorithmIdentifier of this kind of key. */
static bool
read_algorithm(str *in, enum key_kind kind)
{
	str seq, oid, param;

	if (!read_element(in, TAG_SEQUENCE, &seq) || !read_element(&seq, TAG_OID, &oid))
		return false;
	if (kind == KEY_RSA)
		return str_eq(oid, oids[kind]) && read_element(&seq, TAG_NULL, &param) &&
		    param.n == 0 && seq.n == 0;
	if (key_coordinate(kind))
		return str_eq(oid, oid_ec) && read_element(&seq, TAG_OID, &param) &&
		    str_eq(param, oids[kind]) && seq.n == 0;
	return str_eq(oid, oids[kind]) && seq.n == 0;
}

static bool
read_rsa(str in, size_t count, struct key *ret)
{
	str seq;

	if (!read_element(&in, TAG_SEQUENCE, &seq) || in.n)
		return false;
	if (count > 2) {
		int version;

		if (!read_small(&seq, 0, &version)) /* 1: more than two primes */
			return false;
	}
	for (size_t i = 0; i < count; i++)
		if (!read_positive(&seq, &ret->f[i]))
			return false;
	return seq.n == 0;
}

/* ECPrivateKey (RFC 5915). */
static bool
read_ec_private(str in, struct key *ret)
{
	str seq, part, oid;
	int version;

	if (!read_element(&in, TAG_SEQUENCE, &seq) || in.n || !read_small(&seq, 1, &version) ||
	    version != 1 || !read_element(&seq, TAG_OCTETS, &ret->f[1]))
		return false;
	if (read_element(&seq, TAG_CONTEXT_0, &part) &&
	    (!read_element(&part, TAG_OID, &oid) || part.n || !str_eq(oid, oids[ret->kind])))
		return false;
	ret->f[0] = STR_EMPTY;
	if (read_element(&seq, TAG_CONTEXT_1, &part) && (!read_bits(&part, &ret->f[0]) || part.n))
		return false;
	return seq.n == 0;
}

static bool
read_private(str body, struct key *ret)
{
	if (ret->kind == KEY_RSA)
		return read_rsa(body, ret->n, ret);
	if (key_coordinate(ret->kind))
		return read_ec_private(body, ret);
	ret->f[0] = STR_EMPTY;
	return read_element(&body, TAG_OCTETS, &ret->f[1]) && body.n == 0 && ret->f[1].n == 32;
}

/* The attributes and the public key of RFC 5958 are not looked at. */
static bool
read_private_info(str seq, struct key *ret)
{
	str body, part;
	int version;

	if (!read_small(&seq, 1, &version) || !read_algorithm(&seq, ret->kind) ||
	    !read_element(&seq, TAG_OCTETS, &body) || !read_private(body, ret))
		return false;
	(void)read_element(&seq, TAG_CONTEXT_0, &part);
	if (version == 1 && !read_element(&seq, TAG_CONTEXT_1, &part))
		(void)read_element(&seq, TAG_BITS_1, &part);
	return seq.n == 0;
}

static bool
read_public_info(str seq, struct key *ret)
{
	str body;

	if (!read_algorithm(&seq, ret->kind) || !read_bits(&seq, &body) || seq.n)
		return false;
	if (ret->kind == KEY_RSA)
		return read_rsa(body, ret->n, ret);
	ret->f[0] = body;
	return key_coordinate(ret->kind) || body.n == 32;
}

bool
key_from_der(str der, enum key_kind kind, bool is_private, struct key *ret)
{
	str seq;

	*ret = (struct key){ .kind = kind, .is_private = is_private,
		.n = kind == KEY_RSA ? (is_private ? 8 : 2) : (is_private ? 2 : 1) };
	if (!read_element(&der, TAG_SEQUENCE, &seq) || der.n)
		return false;
	return is_private ? read_private_info(seq, ret) : read_public_info(seq, ret);
}

/* --- writing: back to front, so that lengths are known when they are due --- */

struct back {
	uint8_t bytes[KEY_BYTES_MAX];
	size_t  at; /* first byte in use */
	bool    overflow;
};

static void
put(struct back *b, str s)
{
	b->overflow |= s.n > b->at;
	if (b->overflow)
		return;
	b->at -= s.n;
	if (s.n)
		memcpy(b->bytes + b->at, s.p, s.n);
}

static void
put_byte(struct back *b, size_t c)
{
	const uint8_t byte = (uint8_t)c;

	put(b, str_of(&byte, 1));
}

/* Header of what lies between the front and `end`. */
static void
put_header(struct back *b, enum tag tag, size_t end)
{
	size_t n = end - b->at;

	put_byte(b, n);
	if (n >= 0x100)
		put_byte(b, n >> 8);
	if (n >= 0x80)
		put_byte(b, n >= 0x100 ? 0x82 : 0x81);
	put_byte(b, tag);
}

static void
put_element(struct back *b, enum tag tag, str body)
{
	size_t end = b->at;

	put(b, body);
	put_header(b, tag, end);
}

static void
put_positive(struct back *b, str v)
{
	size_t end = b->at;

	put(b, v);
	if (!v.n || (uint8_t)v.p[0] >= 0x80)
		put_byte(b, 0);
	put_header(b, TAG_INTEGER, end);
}

static void
put_small(struct back *b, size_t v)
{
	put_byte(b, v);
	put_byte(b, 1);
	put_byte(b, TAG_INTEGER);
}

static void
put_bits(struct back *b, size_t end)
{
	put_byte(b, 0);
	put_header(b, TAG_BITS, end);
}

static void
put_algorithm(struct back *b, enum key_kind kind)
{
	size_t end = b->at;
	bool   ec = key_coordinate(kind) != 0;

	if (kind == KEY_RSA)
		put_element(b, TAG_NULL, STR_EMPTY);
	else if (ec)
		put_element(b, TAG_OID, oids[kind]);
	put_element(b, TAG_OID, ec ? oid_ec : oids[kind]);
	put_header(b, TAG_SEQUENCE, end);
}

static void
put_rsa(struct back *b, const struct key *k)
{
	size_t end = b->at;

	for (size_t i = k->n; i > 0; i--)
		put_positive(b, k->f[i - 1]);
	if (k->is_private)
		put_small(b, 0);
	put_header(b, TAG_SEQUENCE, end);
}

static void
put_ec_private(struct back *b, const struct key *k)
{
	size_t end = b->at;

	put(b, k->f[0]);
	put_bits(b, end);
	put_header(b, TAG_CONTEXT_1, end);
	put_element(b, TAG_OCTETS, k->f[1]);
	put_small(b, 1);
	put_header(b, TAG_SEQUENCE, end);
}

static void
put_private(struct back *b, const struct key *k)
{
	size_t end = b->at;

	if (k->kind == KEY_RSA)
		put_rsa(b, k);
	else if (key_coordinate(k->kind))
		put_ec_private(b, k);
	else
		put_element(b, TAG_OCTETS, k->f[1]);
	put_header(b, TAG_OCTETS, end);
	put_algorithm(b, k->kind);
	put_small(b, 0);
	put_header(b, TAG_SEQUENCE, end);
}

static void
put_public(struct back *b, const struct key *k)
{
	size_t end = b->at;

	if (k->kind == KEY_RSA)
		put_rsa(b, k);
	else
		put(b, k->f[0]);
	put_bits(b, end);
	put_algorithm(b, k->kind);
	put_header(b, TAG_SEQUENCE, end);
}

void
key_to_der(const struct key *k, struct key_out *out)
{
	struct back b = { .at = sizeof b.bytes };
	size_t      n;

	if (k->is_private)
		put_private(&b, k);
	else
		put_public(&b, k);
	n = sizeof b.bytes - b.at;
	out->overflow |= b.overflow || n > out->max - out->n;
	if (!out->overflow) {
		memcpy(out->p + out->n, b.bytes + b.at, n);
		out->n += n;
	}
	OPENSSL_cleanse(b.bytes, sizeof b.bytes);
}

/* storage_token.c - the tokens in upload URLs (spec 05 sections 1.3 and 6).
 *
 * Hex of version, nonce and AES-128-GCM-SIV over a protobuf message
 * {1 instance_name, 2 issued_s, 3 store_file{}, 4 component_id?}.
 *
 * Thread: any.  Memory: the caller's.
 */
#include "base/enc.h"
#include "base/gcmsiv.h"
#include "functions/storage_int.h"

#define VERSION   1u
#define TOKEN_MAX 4096

enum { TAG_INSTANCE = 0x0a, TAG_ISSUED = 0x10, TAG_STORE_FILE = 0x1a, TAG_COMPONENT = 0x22 };

static void
add_varint(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_add_byte(b, (uint8_t)(v | 0x80));
	buf_add_byte(b, (uint8_t)v);
}

static void
add_text(struct buf *b, uint8_t tag, str s)
{
	buf_add_byte(b, tag);
	add_varint(b, s.n);
	buf_add(b, s);
}

static void
message(const struct storage *s, struct uid component, uint64_t issued_s, struct buf *b)
{
	struct buf id;

	add_text(b, TAG_INSTANCE, s->opts.instance_name);
	buf_add_byte(b, TAG_ISSUED);
	add_varint(b, issued_s);
	add_text(b, TAG_STORE_FILE, STR_EMPTY);
	if (uid_is_zero(component))
		return;
	buf_init(&id, 64);
	uid_format(&id, component);
	add_text(b, TAG_COMPONENT, buf_str(&id));
	buf_clear(&id);
}

void
storage_token_seal(const struct storage *s, struct uid component, uint64_t issued_s,
    const uint8_t nonce[12], struct buf *ret)
{
	static const uint8_t version = VERSION;
	struct buf plain, token;

	buf_init(&plain, TOKEN_MAX);
	buf_init(&token, TOKEN_MAX);
	message(s, component, issued_s, &plain);
	buf_add_byte(&token, version);
	buf_add(&token, str_of((const char *)nonce, GCMSIV_NONCE));
	gcmsiv_seal(
	    s->opts.token_key, nonce, str_of((const char *)&version, 1), buf_str(&plain), &token);
	enc_hex(ret, buf_str(&token));
	buf_clear(&plain);
	buf_clear(&token);
}

void
storage_token_make(const struct storage *s, struct uid component, struct buf *ret)
{
	uint8_t nonce[GCMSIV_NONCE];

	os_random(s->opts.os, nonce, sizeof nonce);
	storage_token_seal(s, component, os_now_ns(s->opts.os) / 1000000000u, nonce, ret);
}

/* --- checking one --- */

static bool
take_varint(str *s, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && s->n > 0; shift += 7) {
		uint8_t c = (uint8_t)s->p[0];

		*s = str_from(*s, 1);
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

struct token {
	str instance, component;
	uint64_t issued_s;
	bool store_file;
};

static bool
take_field(str *s, struct token *t)
{
	uint8_t tag = (uint8_t)s->p[0];
	uint64_t v;
	str text;

	*s = str_from(*s, 1);
	if (!take_varint(s, &v))
		return false;
	if (tag == TAG_ISSUED) {
		t->issued_s = v;
		return true;
	}
	if (v > s->n)
		return false;
	text = str_head(*s, (size_t)v);
	*s = str_from(*s, (size_t)v);
	if (tag == TAG_INSTANCE)
		t->instance = text;
	else if (tag == TAG_COMPONENT)
		t->component = text;
	else if (tag == TAG_STORE_FILE)
		t->store_file = true;
	else
		return false;
	return true;
}

/* Opens the token into `plain`, which the texts of `ret` point into. */
static bool
open_token(const struct storage *s, str hex, struct buf *plain, struct token *ret)
{
	struct buf sealed;
	bool ok;
	str rest;

	buf_init(&sealed, TOKEN_MAX);
	ok = hex.n <= (size_t)2 * TOKEN_MAX && dec_hex(&sealed, hex) &&
	     sealed.n >= 1 + GCMSIV_NONCE + GCMSIV_TAG && (uint8_t)sealed.p[0] == VERSION &&
	     gcmsiv_open(s->opts.token_key, (const uint8_t *)sealed.p + 1, str_of(sealed.p, 1),
		 str_from(buf_str(&sealed), 1 + GCMSIV_NONCE), plain);
	buf_clear(&sealed);
	*ret = (struct token){ .instance = STR_EMPTY, .component = STR_EMPTY };
	for (rest = buf_str(plain); ok && rest.n > 0;)
		ok = take_field(&rest, ret);
	return ok && ret->store_file;
}

static status
judge(const struct storage *s, const struct token *t, struct uid *ret, struct err *e)
{
	uint64_t now_s = os_now_ns(s->opts.os) / 1000000000u;
	struct uid component = { { 0 } };

	if (!str_eq(t->instance, s->opts.instance_name) ||
	    (t->component.n && !uid_parse(t->component, &component)))
		return err_set(e, ST_UNAUTHENTICATED, "InvalidStorageToken",
		    "The upload URL belongs to another deployment");
	if (t->issued_s + STORAGE_TOKEN_S <= now_s)
		return err_set(e, ST_UNAUTHENTICATED, "StorageTokenExpired",
		    "The upload URL has expired: generate a new one");
	*ret = component;
	return ST_OK;
}

status
storage_token_check(const struct storage *s, str token, struct uid *ret_component, struct err *e)
{
	struct token t;
	struct buf plain;
	status st;

	buf_init(&plain, TOKEN_MAX);
	if (open_token(s, token, &plain, &t))
		st = judge(s, &t, ret_component, e);
	else
		st = err_set(e, ST_UNAUTHENTICATED, "StorageTokenInvalid",
		    "The upload URL's token is not valid");
	buf_clear(&plain);
	return st;
}

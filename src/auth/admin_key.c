/* admin_key.c - issuing and checking admin keys.
 *
 * A key is "<name>|<hex>", the hex being version 01, nonce and sealed message: AES-128-GCM-SIV
 * under a sub-key of the instance secret, or, in keys issued years ago, NaCl's secretbox under
 * the secret itself.  Both must keep working, because operators bring their keys along (spec 02
 * section 15, spec 05 section 6).
 *
 * Thread: any; struct auth is immutable.  Memory: struct auth owns an arena for its name.
 */
#include <sodium.h>

#include "auth/auth_int.h"
#include "base/enc.h"
#include "base/gcmsiv.h"
#include "base/mem.h"

#define ADMIN_KEY_VERSION 1
#define ADMIN_KEY_MAX     4096 /* characters of hex; real ones have about 150 */

struct auth *
auth_new(const struct auth_opts *opts)
{
	struct auth *a = MEM_NEW(struct auth);

	must(sodium_init() >= 0);
	a->arena = arena_new();
	a->instance_name = arena_str(a->arena, opts->instance_name);
	memcpy(a->secret, opts->secret, sizeof a->secret);
	auth_subkey(opts->secret, S("admin key"), a->admin_key);
	a->signer = jwt_signer_new(opts->secret);
	a->db = opts->db;
	a->os = opts->os;
	a->documents = documents_new(opts->fetch, opts->gate, opts->os);
	return a;
}

void
auth_stop(struct auth *a)
{
	documents_stop(a->documents);
}

void
auth_free(struct auth *a)
{
	if (!a)
		return;
	documents_free(a->documents);
	jwt_signer_free(a->signer);
	arena_free(a->arena);
	sodium_memzero(a, sizeof *a);
	mem_free(a);
}

const struct jwt_signer *
auth_signer(const struct auth *a)
{
	return a->signer;
}

status
auth_parse_secret(str hex, uint8_t ret[32], struct err *e)
{
	struct buf bytes;
	bool       ok;

	buf_init(&bytes, 32);
	ok = hex.n == 64 && dec_hex(&bytes, hex) && bytes.n == 32;
	if (ok)
		memcpy(ret, bytes.p, 32);
	buf_clear(&bytes);
	if (!ok)
		return err_set(e, ST_BAD_REQUEST, "InvalidInstanceSecret",
		    "the instance secret must be 64 hexadecimal characters (32 bytes)");
	return ST_OK;
}

void
auth_subkey(const uint8_t secret[32], str label, uint8_t ret[16])
{
	kbkdf16(secret, label, ret);
}

void
auth_make_admin_key(struct buf *out, str instance_name, const uint8_t secret[32],
    const struct os *os, bool read_only)
{
	static const uint8_t version = ADMIN_KEY_VERSION;
	struct admin_token t = { .issued_s = os_now_ns(os) / 1000000000u, .read_only = read_only };
	uint8_t              key[16], nonce[GCMSIV_NONCE];
	struct buf           plain, token;

	buf_init(&plain, 1024);
	buf_init(&token, 1024);
	admin_token_write(&plain, &t);
	auth_subkey(secret, S("admin key"), key);
	os_random(os, nonce, sizeof nonce);
	buf_add_byte(&token, version);
	buf_add(&token, str_of(nonce, sizeof nonce));
	gcmsiv_seal(key, nonce, str_of(&version, 1), buf_str(&plain), &token);

	buf_add(out, instance_name);
	buf_add_byte(out, '|');
	enc_hex(out, buf_str(&token));
	sodium_memzero(key, sizeof key);
	buf_clear(&plain);
	buf_clear(&token);
}

/* Opens version, nonce, ciphertext and tag into `out`. */
static bool
open_present(const struct auth *a, str token, struct buf *out)
{
	if (token.n < 1 + GCMSIV_NONCE + GCMSIV_TAG)
		return false;
	return gcmsiv_open(a->admin_key, (const uint8_t *)token.p + 1, str_head(token, 1),
	    str_from(token, 1 + GCMSIV_NONCE), out);
}

static bool
open_legacy(const struct auth *a, str token, struct buf *out)
{
	const size_t overhead = 1 + crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
	const unsigned char *nonce = (const unsigned char *)token.p + 1;
	unsigned char       *plain;

	if (token.n < overhead)
		return false;
	plain = (unsigned char *)buf_reserve(out, token.n - overhead + 1);
	if (!plain || crypto_secretbox_open_easy(plain, nonce + crypto_secretbox_NONCEBYTES,
	        token.n - 1 - crypto_secretbox_NONCEBYTES, nonce, a->secret) != 0)
		return false;
	out->n += token.n - overhead;
	return true;
}

/* The message of `hex`; its name points into `plain`. */
static bool
open_token(const struct auth *a, str hex, struct buf *plain, struct admin_token *ret)
{
	struct buf token;
	bool       ok;

	buf_init(&token, ADMIN_KEY_MAX / 2);
	ok = hex.n <= ADMIN_KEY_MAX && dec_hex(&token, hex) && token.n > 0 &&
	    token.p[0] == ADMIN_KEY_VERSION &&
	    (open_present(a, buf_str(&token), plain) || open_legacy(a, buf_str(&token), plain)) &&
	    admin_token_parse(buf_str(plain), ret);
	buf_clear(&token);
	return ok;
}

/* "prod:carnitas|01ab" -> name "carnitas", hex "01ab"; without '|' all of it is hex. */
static void
split_key(str key, bool *ret_has_name, str *ret_name, str *ret_hex)
{
	size_t bar, colon;

	*ret_has_name = str_find_char(key, '|', &bar);
	if (!*ret_has_name) {
		*ret_name = STR_EMPTY;
		*ret_hex = key;
		return;
	}
	*ret_name = str_head(key, bar);
	*ret_hex = str_from(key, bar + 1);
	if (str_find_char(*ret_name, ':', &colon))
		*ret_name = str_from(*ret_name, colon + 1);
}

static struct identity *
plain_admin(const struct auth *a, const struct admin_token *t)
{
	struct buf       label;
	struct identity *id;

	buf_init(&label, BUF_MAX_DEFAULT);
	buf_addz(&label, t->system ? "system:" : t->read_only ? "admin-read-only:" : "admin:");
	buf_add(&label, a->instance_name);
	id = auth_identity(t->system ? IDENTITY_SYSTEM : IDENTITY_ADMIN, t->read_only && !t->system,
	    buf_str(&label), (str){ NULL, 0 });
	buf_clear(&label);
	return id;
}

/* What an opened key makes of its bearer. */
static status
token_identity(struct auth *a, const struct admin_token *t, const struct json *acting_as,
    struct identity **ret, struct err *e)
{
	struct arena *scratch;
	struct buf    attributes;
	str           token_id = STR_EMPTY;
	status        st;

	if (!acting_as) {
		*ret = plain_admin(a, t);
		return ST_OK;
	}
	if (t->system)
		return err_set(e, ST_FORBIDDEN, "OperationNotPermitted",
		    "You do not have permission to perform this operation "
		    "(`deployment:functions:actAsUser`).");
	scratch = arena_new();
	buf_init(&attributes, 1 << 20);
	st = auth_attributes(scratch, acting_as, &attributes, &token_id, e);
	if (st == ST_OK)
		*ret = auth_identity(IDENTITY_ADMIN_AS_USER, t->read_only,
		    auth_user_label(scratch, t->read_only ? "acting-read-only" : "acting", token_id,
		        buf_str(&attributes)), buf_str(&attributes));
	buf_clear(&attributes);
	arena_free(scratch);
	return st;
}

status
auth_admin_key(struct auth *a, str key, const struct json *acting_as, struct identity **ret,
    struct err *e)
{
	struct admin_token t;
	struct buf         plain;
	bool               has_name, ok;
	str                name, hex;
	status             st;

	buf_init(&plain, ADMIN_KEY_MAX);
	split_key(key, &has_name, &name, &hex);
	ok = open_token(a, hex, &plain, &t);
	if (ok && !has_name) {
		ok = t.has_name;
		name = t.name;
	}
	if (ok && str_eq(name, a->instance_name))
		st = token_identity(a, &t, acting_as, ret, e);
	else
		st = err_set(e, ST_UNAUTHENTICATED, "BadAdminKey",
		    "The provided admin key was invalid for this instance");
	buf_clear(&plain);
	return st;
}

/* header.c - from an Authorization header to an identity.
 *
 * "Convex <key>[:<base64 of user attributes>]", "Bearer <jwt>", or nothing (spec 01 section
 * 9.3, spec 05 section 5.1).
 *
 * Thread: any.  Memory: identities are reference-counted; everything else is scratch.
 */
#include "auth/auth_int.h"
#include "base/enc.h"
#include "base/hash.h"
#include "base/mem.h"

struct identity *
auth_identity(enum identity_kind kind, bool read_only, str label, str attributes)
{
	struct identity *id = MEM_NEW(struct identity);

	id->refs = 1;
	id->kind = kind;
	id->read_only = read_only;
	id->label = blob_new(label);
	if (attributes.p)
		id->attributes = blob_new(attributes);
	return id;
}

str
auth_user_label(struct arena *a, const char *kind, str token_id, str attributes)
{
	uint8_t    digest[32];
	struct buf hex;
	str        label;

	sha256(attributes, digest);
	buf_init(&hex, 64);
	enc_hex(&hex, str_of(digest, 8));
	label = arena_fmt(a, "%s:%.*s#%.*s", kind, STR_ARG(token_id), STR_ARG(buf_str(&hex)));
	buf_clear(&hex);
	return label;
}

/* --- acting as a user --- */

static const char *const text_attributes[] = { "tokenIdentifier", "issuer", "subject", "name",
	"givenName", "familyName", "nickname", "preferredUsername", "profileUrl", "pictureUrl",
	"websiteUrl", "email", "gender", "birthday", "timezone", "language", "phoneNumber",
	"address", "updatedAt" };
static const char *const bool_attributes[] = { "emailVerified", "phoneNumberVerified" };

static bool
name_in(str name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(name, str_z(list[i])))
			return true;
	}
	return false;
}

static bool
attribute_ok(str name, const struct json *value)
{
	if (value->kind == JSON_NULL)
		return true;
	if (name_in(name, text_attributes, COUNT_OF(text_attributes)))
		return value->kind == JSON_STRING;
	if (name_in(name, bool_attributes, COUNT_OF(bool_attributes)))
		return value->kind == JSON_BOOL;
	return true; /* a custom claim: any JSON */
}

status
auth_attributes(struct arena *a, const struct json *user, struct buf *out, str *ret_token_id,
    struct err *e)
{
	static const char code[] = "HeaderParseFailure";
	str               token_id, issuer, subject;

	if (user->kind != JSON_OBJECT)
		return err_set(e, ST_BAD_REQUEST, code, "The acting user must be a JSON object");
	for (size_t i = 0; i < user->n; i++) {
		if (!attribute_ok(user->keys[i], &user->items[i]))
			return err_set(e, ST_BAD_REQUEST, code,
			    "The acting user's attribute '%.*s' has the wrong type",
			    STR_ARG(user->keys[i]));
	}
	if (!json_get_str(user, "tokenIdentifier", &token_id)) {
		if (!json_get_str(user, "issuer", &issuer) ||
		    !json_get_str(user, "subject", &subject))
			return err_set(e, ST_BAD_REQUEST, code,
			    "The acting user needs `tokenIdentifier`, or both `issuer` and "
			    "`subject`");
		token_id = arena_fmt(a, "%.*s|%.*s", STR_ARG(issuer), STR_ARG(subject));
	}
	buf_add_byte(out, '{');
	json_key(out, "tokenIdentifier");
	json_write_str(out, token_id);
	for (size_t i = 0; i < user->n; i++) {
		if (user->items[i].kind == JSON_NULL || str_eq(user->keys[i], S("tokenIdentifier")))
			continue;
		json_comma(out);
		json_write_str(out, user->keys[i]);
		buf_add_byte(out, ':');
		json_write(out, &user->items[i]);
	}
	buf_add_byte(out, '}');
	*ret_token_id = token_id;
	return ST_OK;
}

/* `text`: base64 of the JSON of user attributes. */
static status
acting_admin(struct auth *a, str key, str text, struct identity **ret, struct err *e)
{
	struct arena *scratch = arena_new();
	struct json  *user = NULL;
	struct buf    bytes;
	status        st;

	buf_init(&bytes, 1 << 20);
	if (!dec_base64(&bytes, text) || json_parse(scratch, buf_str(&bytes), &user, NULL) != ST_OK)
		st = err_set(e, ST_BAD_REQUEST, "HeaderParseFailure",
		    "The acting user in the Authorization header is not base64 of JSON");
	else
		st = auth_admin_key(a, key, user, ret, e);
	buf_clear(&bytes);
	arena_free(scratch);
	return st;
}

/* Drops the type ("prod:", or all up to '|' for "preview:" and "project:"); only then is a
 * remaining ':' the border of the acting user (spec 05 section 5.1). */
static status
convex_scheme(struct auth *a, str key, struct identity **ret, struct err *e)
{
	size_t bar, colon;

	if (str_find_char(key, '|', &bar)) {
		str name = str_head(key, bar);

		if (str_find_char(name, ':', &colon)) {
			str type = str_head(name, colon);
			bool nameless = str_eq(type, S("preview")) || str_eq(type, S("project"));

			key = str_from(key, nameless ? bar + 1 : colon + 1);
		}
	}
	if (str_find_char(key, ':', &colon))
		return acting_admin(a, str_head(key, colon), str_from(key, colon + 1), ret, e);
	return auth_admin_key(a, key, NULL, ret, e);
}

/* The token behind "Bearer "; p == NULL: the header is another. */
static str
bearer(str authorization)
{
	str value = str_trim(str_from(authorization, 7));

	return value.n > 0 && str_eq_nocase(str_head(authorization, 7), S("bearer ")) ?
	    value :
	    (str){ NULL, 0 };
}

bool
auth_header_wait(struct auth *a, str authorization, struct auth_wait *w)
{
	str token = bearer(authorization);

	return token.p && auth_token_wait(a, token, w);
}

status
auth_header(struct auth *a, str authorization, str admin_key_param, struct identity **ret,
    struct err *e)
{
	str value;

	if (!authorization.p) {
		if (admin_key_param.p)
			return auth_admin_key(a, admin_key_param, NULL, ret, e);
		*ret = identity_none();
		return ST_OK;
	}
	for (size_t i = 0; i < authorization.n; i++) {
		if ((uint8_t)authorization.p[i] >= 0x80)
			return err_set(e, ST_BAD_REQUEST, "HeaderParseFailure",
			    "The Authorization header has characters that are not ASCII");
	}
	if (authorization.n < 7)
		return err_set(e, ST_BAD_REQUEST, "InvalidHeaderFailure",
		    "The Authorization header is too short");
	value = str_trim(str_from(authorization, 7));
	if (value.n > 0 && str_eq_nocase(str_head(authorization, 7), S("convex ")))
		return convex_scheme(a, value, ret, e);
	if (bearer(authorization).p)
		return auth_user_token(a, value, ret, e);
	return err_set(e, ST_BAD_REQUEST, "InvalidAdminKey", "Invalid admin key");
}

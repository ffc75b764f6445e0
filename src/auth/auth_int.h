/* auth_int.h - what the files of auth/ share.
 *
 * Thread: any.  Memory: see each declaration.
 */
#ifndef AUTH_AUTH_INT_H
#define AUTH_AUTH_INT_H

#include "auth/auth.h"
#include "auth/documents.h"
#include "auth/sign_jwt.h"
#include "base/arena.h"

struct auth {
	struct arena    *arena; /* owned */
	str              instance_name;
	uint8_t          secret[32];    /* legacy keys are sealed with it directly */
	uint8_t          admin_key[16]; /* sub-key of the present scheme */
	struct jwt_signer *signer;      /* owned */
	struct db       *db;            /* borrowed; NULL in keygen */
	const struct os *os;
	struct documents *documents;    /* owned */
};

/* The message inside an admin key (spec 02 section 15.2). */
struct admin_token {
	bool     has_name;
	str      name; /* points into the parsed bytes */
	uint64_t issued_s;
	bool     system;
	bool     read_only;
};

/* BAD_REQUEST-free: false for anything that is not a complete message. */
bool admin_token_parse(str plain, struct admin_token *ret);
void admin_token_write(struct buf *out, const struct admin_token *t);

/* Attributes of an acting-as user (spec 01 section 3.4) as canonical JSON, in `out`;
 * *ret_token_id in `a`.  BAD_REQUEST HeaderParseFailure. */
NODISCARD status auth_attributes(struct arena *a, const struct json *user, struct buf *out,
    str *ret_token_id, struct err *e);

/* One reference; label and attributes are copied, attributes p == NULL: none. */
struct identity *auth_identity(enum identity_kind kind, bool read_only, str label, str attributes);

/* "user:<token identifier>#<digest of the attributes>": two users are the same to caches only
 * if everything that a function can see of them is (spec 01 section 8). */
str auth_user_label(struct arena *a, const char *kind, str token_id, str attributes);

/* --- user tokens --- */

#define LEEWAY_S 5 /* between our clock and the provider's (spec 05 section 5.4) */

struct jwt {
	str                signed_part; /* header.payload, as it came */
	const struct json *header, *claims;
	str                signature;   /* decoded */
};

/* Splits and decodes a compact JWT into `a`; nothing is verified. UNAUTHENTICATED
 * InvalidAuthHeader. */
NODISCARD status jwt_parse(struct arena *a, str token, struct jwt *ret, struct err *e);

/* Whether the set has a key of the name that the token gives. */
bool jwks_has_key(const struct json *jwks, const struct jwt *t);
/* Checks the signature with the key of the set that the token names.  `alg`: "RS256" or "ES256",
 * UNAUTHENTICATED InvalidAuthHeader.  p == NULL, for OpenID: RS256 or EdDSA, as the token says; a
 * token without the name of a key is checked if only one key can have signed it; UNAUTHENTICATED
 * Unauthenticated. */
NODISCARD status jwks_verify(const struct json *jwks, const struct jwt *t, str alg, struct err *e);

/* --- OpenID Connect: oidc.c --- */

/* "https://a.example/" and "a.example" name the same issuer. */
str canonical_issuer(struct arena *a, str s);
str oidc_discovery_url(struct arena *a, str iss);
/* Checks a token of an OIDC provider with the documents that are here.  UNAUTHENTICATED
 * Unauthenticated, InvalidAuthHeader; AuthProviderDiscoveryFailed of several kinds. */
NODISCARD status oidc_verify(struct auth *auth, struct arena *a, const struct jwt *t,
    struct identity **ret, struct err *e);
/* A user with these attributes (JSON of spec 05 section 5.5); `exp`: unix seconds. */
struct identity *user_identity(struct arena *a, str iss, str sub, str attributes, double exp);
/* Writes the members that every user has, behind "{". */
void user_attributes(struct buf *out, struct arena *a, str iss, str sub);

#endif

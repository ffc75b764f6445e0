/* auth.h - who is asking: admin keys and user tokens.
 *
 * Admin keys follow spec 02 section 15 exactly, legacy ones included.  User tokens need the
 * deployment's auth config, read from _auth through a snapshot.
 *
 * Thread: any for admin keys; the loop thread for user tokens, whose keys may have to be downloaded
 * first.
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "base/json.h"
#include "database/db.h"
#include "functions/gate.h"
#include "functions/identity.h"
#include "functions/link.h"

struct auth;
struct fetch;

struct auth_opts {
	str             instance_name;
	uint8_t         secret[32];
	struct db      *db;   /* NULL in keygen */
	const struct os *os;
	struct fetch    *fetch; /* borrowed; NULL: keys are not downloaded */
	struct gate      gate;  /* with fetch */
};

struct auth *auth_new(const struct auth_opts *opts);
/* Who waits for keys is told; the gate is not used any more. */
void         auth_stop(struct auth *a);
void         auth_free(struct auth *a); /* after fetch_free() */
const struct jwt_signer *auth_signer(const struct auth *a); /* sign_jwt.h */

/* 64 hexadecimal characters. */
NODISCARD status auth_parse_secret(str hex, uint8_t ret[32], struct err *e);
/* Sub-keys of the secret: labels of spec 05 section 6. */
void auth_subkey(const uint8_t secret[32], str label, uint8_t ret[16]);

/* "<instance>|<hex>", member 0. */
void auth_make_admin_key(struct buf *out, str instance_name, const uint8_t secret[32],
    const struct os *os, bool read_only);

/* UNAUTHENTICATED BadAdminKey.  `key` as in a body: any text before the first ':' of the name is
 * dropped.  acting_as: JSON text of user attributes or p == NULL. */
NODISCARD status auth_admin_key(struct auth *a, str key, const struct json *acting_as,
    struct identity **ret, struct err *e);
/* The Authorization header, or the adminKey query parameter when there is none (spec 01
 * section 9.3).  Both p == NULL: anonymous. */
NODISCARD status auth_header(struct auth *a, str authorization, str admin_key_param,
    struct identity **ret, struct err *e);
/* A user's JWT, checked with the keys that are here.  UNAUTHENTICATED NoAuthProvider,
 * InvalidAuthHeader, Unauthenticated; AuthProviderDiscoveryFailed of the kind that the provider's
 * answer had. */
NODISCARD status auth_user_token(struct auth *a, str token, struct identity **ret, struct err *e);

/* --- keys that must be downloaded first --- */

/* In whoever waits, who fills in ready and arg; the rest is ours. */
struct auth_wait {
	void       (*ready)(void *arg);
	void        *arg;
	struct auth *auth;
	struct link  link;
	struct blob *token;
	uint64_t     since_ns; /* monotonic; what came since is new enough */
};

/* True: keys for the token are on their way, and ready() comes once, in a later turn of the loop.
 * False: check it now. */
NODISCARD bool auth_token_wait(struct auth *a, str token, struct auth_wait *w);
/* The same for an Authorization header. */
NODISCARD bool auth_header_wait(struct auth *a, str authorization, struct auth_wait *w);
void           auth_wait_cancel(struct auth_wait *w); /* fine for one that does not wait */

#endif

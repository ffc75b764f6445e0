/* identity.h - on whose behalf a function runs.
 *
 * Immutable and reference-counted.  auth/ makes them from keys and tokens.
 *
 * Thread: any.
 */
#ifndef FUNCTIONS_IDENTITY_H
#define FUNCTIONS_IDENTITY_H

#include "base/blob.h"
#include "base/err.h"

enum identity_kind {
	IDENTITY_NONE,        /* anonymous; may carry an error that getUserIdentity() throws */
	IDENTITY_USER,
	IDENTITY_ADMIN,
	IDENTITY_ADMIN_AS_USER, /* admin key acting as a user */
	IDENTITY_SYSTEM
};

struct identity {
	_Atomic uint32_t   refs;
	enum identity_kind kind;
	bool               read_only;    /* admin key for reading only */
	struct blob       *attributes;   /* JSON of spec 05 section 5.5; NULL: not a user */
	struct blob       *label;        /* e.g. "admin:carnitas", "user:issuer|subject", "unknown":
	                                    key of caches and _session_requests.identity */
	uint64_t           expires_s;    /* unix seconds; 0: never */
	struct blob       *error;        /* NONE: text of the failed authentication; NULL: none */
};

/* The anonymous identity; one reference for the caller. */
struct identity *identity_none(void);
/* The same after an authentication that failed with this text. */
struct identity *identity_failed(str error);
/* Server-internal calls. */
struct identity *identity_system(void);
struct identity *identity_ref(struct identity *i);
void             identity_unref(struct identity *i);

static inline bool
identity_is_admin(const struct identity *i) /* may call internal functions */
{
	return i->kind == IDENTITY_ADMIN || i->kind == IDENTITY_ADMIN_AS_USER ||
	    i->kind == IDENTITY_SYSTEM;
}

/* FORBIDDEN OperationNotPermitted for a read-only key (spec 02 section 15.5), BadDeployKey for a
 * non-admin.  op like "WriteData". */
NODISCARD status identity_require(const struct identity *i, const char *op, struct err *e);

#endif

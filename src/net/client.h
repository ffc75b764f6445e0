/* client.h - which client program is asking, and whether we still speak with it (spec 01
 * section 2.1).
 *
 * Thread: any.  Memory: slices of the header.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "base/err.h"

struct client {
	str      name;          /* as sent; n == 0: unknown */
	bool     has_version;   /* a valid one */
	uint32_t version[3];
};

/* The Convex-Client header; p == NULL: unknown.  BAD_REQUEST InvalidClientVersion if it has no
 * '-', ClientVersionUnsupported for what is too old. */
NODISCARD status client_parse(str header, struct client *ret, struct err *e);
/* A version in the path of a WebSocket: that of an npm client. */
NODISCARD status client_parse_path(str segment, struct client *ret, struct err *e);
bool client_is(const struct client *c, const char *name); /* "python" matches python-convex */
/* Old clients expect encoded values where no format is named (spec 01 section 9.1). */
bool client_wants_encoded(const struct client *c);

#endif

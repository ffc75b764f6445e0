/* cursor_int.h - positions in a query, sealed so that clients can keep them.
 *
 * A cursor is bound to its query by a fingerprint and to the deployment by its name and key.
 * The same position always gives the same text (spec 03 section 6.5): cursors come back as
 * arguments, and arguments are cache keys.
 *
 * Thread: the transaction's.  Memory: texts live in the transaction's arena.
 * Format: hex(7 || AES-128-GCM-SIV(message) || tag), nonce zero for cursors; for journals
 *         hex(7 || nonce || ...).  Messages are protobuf, spec 05 section 6.
 */
#ifndef DATABASE_CURSOR_INT_H
#define DATABASE_CURSOR_INT_H

#include "database/query_int.h"

#define FINGERPRINT 32

struct position {
	bool end; /* behind the last row */
	str  key; /* else behind the row with this index key (without the index number) */
};

/* SHA-256 over the query and the fields of its index. */
void query_fingerprint(const struct query *q, uint8_t ret[FINGERPRINT]);

str cursor_seal(struct txn *t, const struct position *p, const uint8_t fingerprint[FINGERPRINT]);
/* InvalidCursor; with ConvexError data if it is of another query. */
NODISCARD status cursor_unseal(struct txn *t, str text, const uint8_t fingerprint[FINGERPRINT],
    struct position *ret, struct err *e);

str journal_seal(struct txn *t, const struct position *p, const uint8_t fingerprint[FINGERPRINT]);
NODISCARD status journal_unseal(struct txn *t, str text, const uint8_t fingerprint[FINGERPRINT],
    struct position *ret, struct err *e);

#endif

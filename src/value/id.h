/* id.h - document ids (spec 03 section 2).
 *
 * A uid is the 16 random bytes that identify a row inside its table (and a table,
 * an index: tablet id and index id are uids of rows in _tables and _index).
 * A docid adds the table number; its text form is what applications see.
 *
 * Thread: any.  Memory: none.
 */
#ifndef VALUE_ID_H
#define VALUE_ID_H

#include "base/buf.h"
#include "base/err.h"

struct uid {
	uint8_t b[16];
};

struct docid {
	uint32_t   table; /* table number, never 0 */
	struct uid uid;
};

#define ID_TEXT_MAX 38 /* with the NUL */

/* Writes the canonical text and a NUL; returns its length (31 to 37). */
size_t id_format(struct docid id, char ret[ID_TEXT_MAX]);
/* BAD_REQUEST with the texts of spec 03 section 2.2. */
NODISCARD status id_parse(str text, struct docid *ret, struct err *e);

bool uid_eq(struct uid a, struct uid b);
int  uid_cmp(struct uid a, struct uid b);
bool uid_is_zero(struct uid u);
/* 14 random bytes and the big-endian day number of spec 03 section 2.3. */
struct uid uid_make(const uint8_t random[14], uint64_t unix_seconds);
/* base64url without padding, 22 characters. */
void           uid_format(struct buf *b, struct uid u);
NODISCARD bool uid_parse(str text, struct uid *ret);

#endif

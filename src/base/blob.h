/* blob.h - immutable shared bytes: frames, bodies, serialized results.
 *
 * Thread: any; the count is atomic.  Memory: one malloc block.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include "base/str.h"

struct blob {
	_Atomic uint32_t refs;
	size_t           n;
	char             bytes[]; /* a NUL follows that is not counted */
};

struct blob *blob_new(str s);         /* copies */
struct blob *blob_ref(struct blob *b); /* returns b */
void         blob_unref(struct blob *b); /* NULL is fine */

static inline str
blob_str(const struct blob *b)
{
	return b ? str_of(b->bytes, b->n) : STR_EMPTY;
}

#endif

/* sortkey.h - order-preserving encoding of values (spec 03 section 1.5).
 *
 * memcmp order of two keys is the order of the values.  An index key is the keys of the
 * indexed fields (undefined for a missing one) followed by the key of the _id string.
 *
 * Thread: any.  Memory: the caller's buf.
 */
#ifndef VALUE_SORTKEY_H
#define VALUE_SORTKEY_H

#include "base/buf.h"
#include "value/pack.h"
#include "value/val.h"

void sortkey_add(struct buf *out, struct val v); /* VAL_NONE: undefined */
void sortkey_add_str(struct buf *out, str s);    /* of a STRING */
void sortkey_add_float64(struct buf *out, double d);

/* Reads one value back, strictly (non-canonical integers fail); *ret_used bytes of `key`. */
NODISCARD bool sortkey_read(str key, struct pack *out, size_t *ret_used);

/* The exclusive end of all keys that begin with the complete encodings in `prefix`:
 * prefix followed by FF (exact, see the quirk in spec 03 section 1.5). */
void sortkey_prefix_end(struct buf *out, str prefix);

#endif

/* range.h - the Range header (RFC 9110 section 14.2), for bytes.
 *
 * Thread: any.
 */
#ifndef NET_RANGE_H
#define NET_RANGE_H

#include "base/str.h"

enum range_verdict {
	RANGE_WHOLE, /* none, or one that does not parse: it is ignored */
	RANGE_PART,
	RANGE_REFUSED /* 416: none that can be satisfied, or more than one */
};

/* What `header` (p == NULL: absent) asks of `size` bytes; [*ret_at, *ret_at + *ret_n) for PART. */
enum range_verdict range_parse(str header, uint64_t size, uint64_t *ret_at, uint64_t *ret_n);

#endif

/* url.h - percent-encoding and query strings.
 *
 * Thread: any.  Memory: results are in the caller's arena or buf.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/arena.h"
#include "base/buf.h"

/* Appends `text` with its %XX decoded; `plus` also turns '+' into a space (query strings).
 * False, with nothing appended, if a '%' is not followed by two hexadecimal digits. */
NODISCARD bool url_decode(struct buf *out, str text, bool plus);
/* The first parameter of that name in "a=1&b=2", decoded, in `a`.  False if there is none or
 * its encoding is broken. */
bool url_param(struct arena *a, str query, str name, str *ret);

#endif

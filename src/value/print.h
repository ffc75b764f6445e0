/* print.h - characters and strings inside error messages.
 *
 * Private to value/.  The escapes are those of Rust's debug format, which the message
 * texts of spec 03 were written with.
 *
 * Thread: any.  Memory: the caller's buf.
 */
#ifndef VALUE_PRINT_H
#define VALUE_PRINT_H

#include "base/buf.h"

/* The first character of `s` (valid UTF-8 or one stray byte) in single quotes. */
void print_char(struct buf *b, str s);
void print_str(struct buf *b, str s); /* in double quotes */
/* Shortest decimal, ".0" if integral, NaN, inf, -inf. */
void print_double(struct buf *b, double d);

#endif

/* double.h - shortest decimal digits of a double, and the nearest double of a decimal.
 *
 * Private to base/.  Printing is Schubfach (R. Giulietti, "The Schubfach way to render
 * doubles"), reading is Lemire's algorithm ("Number parsing at a gigabyte per second");
 * both multiply by 128-bit powers of ten, which are computed once with exact long
 * arithmetic instead of being tabulated in the source.
 *
 * Thread: any.  Memory: one static table of 10 KB.
 */
#ifndef BASE_DOUBLE_H
#define BASE_DOUBLE_H

#include "base/str.h"

/* d = digits * 10^exponent, with the fewest digits that read back as d and no trailing
 * zeros.  d must be finite and positive. */
void double_digits(double d, uint64_t *ret_digits, int *ret_exponent);

/* The double nearest to digits * 10^exponent; false if this is one of the rare cases that
 * need more precision than 128 bits (the caller asks the C library then). */
bool double_nearest(uint64_t digits, int exponent, double *ret);

#endif

/* double.c - Schubfach and Lemire's algorithm over one table of powers of ten.
 *
 * Thread: any; the table is built at first use under pthread_once.
 * Memory: static.
 */
#include "base/double.h"

#include <pthread.h>

#include "base/must.h"

__extension__ typedef unsigned __int128 u128;

#define POW_MIN (-292)
#define POW_MAX 324
#define LIMBS   16 /* 2^1024 > 10^308; 5^324 has 753 bits */

/* The top 128 bits of 10^k, rounded down; the highest bit is set. */
struct pow10 {
	uint64_t hi, lo;
	bool     exact;
};

static struct pow10   table[POW_MAX - POW_MIN + 1];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static struct pow10
top_bits(const uint64_t limbs[LIMBS], bool exact)
{
	struct pow10 r;
	int          i = LIMBS - 1;
	int          shift;

	while (limbs[i] == 0)
		i--;
	shift = __builtin_clzll(limbs[i]);
	must(i >= 2);
	r.hi = limbs[i] << shift;
	r.lo = limbs[i - 1] << shift;
	if (shift) {
		r.hi |= limbs[i - 1] >> (64 - shift);
		r.lo |= limbs[i - 2] >> (64 - shift);
	}
	r.exact = exact;
	return r;
}

static void
build_table(void)
{
	uint64_t limbs[LIMBS] = { 0, 0, 1 }; /* 5^k * 2^128: the top never runs dry */

	for (int k = 0; k <= POW_MAX; k++) {
		u128 carry = 0;

		table[k - POW_MIN] = top_bits(limbs, k <= 55); /* 5^55 < 2^128 */
		for (int i = 0; i < LIMBS; i++) {
			carry += (u128)limbs[i] * 5;
			limbs[i] = (uint64_t)carry;
			carry >>= 64;
		}
	}
	/* floor(2^1023 / 5^k): dividing by 5 again and again rounds down exactly once. */
	memset(limbs, 0, sizeof limbs);
	limbs[LIMBS - 1] = (uint64_t)1 << 63;
	for (int k = -1; k >= POW_MIN; k--) {
		u128 rest = 0;

		for (int i = LIMBS - 1; i >= 0; i--) {
			rest = rest << 64 | limbs[i];
			limbs[i] = (uint64_t)(rest / 5);
			rest %= 5;
		}
		table[k - POW_MIN] = top_bits(limbs, false);
	}
}

static struct pow10
pow10_of(int k)
{
	must(k >= POW_MIN && k <= POW_MAX);
	pthread_once(&table_once, build_table);
	return table[k - POW_MIN];
}

/* floor(log2(10^e)), floor(log10(2^e)) and floor(log10(2^e * 3/4)) for |e| < 1500. */
static int
log2_pow10(int e)
{
	return (e * 1741647) >> 19;
}

static int
log10_pow2(int e)
{
	return (e * 1262611) >> 22;
}

static int
log10_three_quarters_pow2(int e)
{
	return (e * 1262611 - 524031) >> 22;
}

/* The high 64 of 192 bits of g * c, with the lowest bit set if anything was cut off. */
static uint64_t
round_to_odd(struct pow10 g, uint64_t c)
{
	u128 low = (u128)g.lo * c;
	u128 high = (u128)g.hi * c + (uint64_t)(low >> 64);

	return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

static void
strip_zeros(uint64_t digits, int exponent, uint64_t *ret_digits, int *ret_exponent)
{
	while (digits % 10 == 0) {
		digits /= 10;
		exponent++;
	}
	*ret_digits = digits;
	*ret_exponent = exponent;
}

void
double_digits(double d, uint64_t *ret_digits, int *ret_exponent)
{
	uint64_t bits, fraction, c, lower, upper, v, s;
	int      exponent, q, k, h;
	bool     closer, odd;

	memcpy(&bits, &d, sizeof bits);
	fraction = bits & (((uint64_t)1 << 52) - 1);
	exponent = (int)(bits >> 52);
	must(bits != 0 && exponent < 2047);
	c = exponent ? fraction | (uint64_t)1 << 52 : fraction;
	q = (exponent ? exponent : 1) - 1075;
	/* d = c * 2^q; its rounding interval is narrower below a power of two. */
	closer = fraction == 0 && exponent > 1;
	odd = c & 1;
	k = closer ? log10_three_quarters_pow2(q) : log10_pow2(q);
	h = q + log2_pow10(-k) + 1;
	{
		struct pow10 g = pow10_of(-k);

		if (!g.exact && ++g.lo == 0) /* the algorithm wants powers rounded up */
			g.hi++;
		lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
		v = round_to_odd(g, (4 * c) << h);
		upper = round_to_odd(g, (4 * c + 2) << h) - odd;
	}
	s = v / 4;
	if (s >= 10) {
		uint64_t t = s / 10;
		bool     down_ok = lower <= 40 * t;
		bool     up_ok = 40 * t + 40 <= upper;

		if (down_ok != up_ok) {
			strip_zeros(t + up_ok, k + 1, ret_digits, ret_exponent);
			return;
		}
	}
	{
		bool down_ok = lower <= 4 * s;
		bool up_ok = 4 * s + 4 <= upper;
		bool nearer_up = v > 4 * s + 2 || (v == 4 * s + 2 && (s & 1));

		s += down_ok != up_ok ? up_ok : nearer_up;
	}
	strip_zeros(s, k, ret_digits, ret_exponent);
}

/* A mantissa of 53 bits with the hidden one, and a biased exponent. */
static double
assemble(uint64_t mantissa, int exponent)
{
	uint64_t bits = (mantissa & (((uint64_t)1 << 52) - 1)) | (uint64_t)exponent << 52;
	double   d;

	memcpy(&d, &bits, sizeof d);
	return d;
}

bool
double_nearest(uint64_t digits, int exponent, double *ret)
{
	struct pow10 g;
	u128         low, high;
	uint64_t     hi, mid, below, mask, mantissa;
	int          lead, shift, e2;

	if (digits == 0) {
		*ret = 0;
		return true;
	}
	if (exponent < POW_MIN || exponent > 308)
		return false;
	g = pow10_of(exponent);
	lead = __builtin_clzll(digits);
	digits <<= lead;
	low = (u128)digits * g.lo;
	high = (u128)digits * g.hi + (uint64_t)(low >> 64);
	hi = (uint64_t)(high >> 64);
	mid = (uint64_t)high;
	shift = hi >> 63 ? 10 : 9; /* keeps 54 bits: the mantissa and a rounding bit */
	e2 = log2_pow10(exponent) + 63 - lead + (shift - 9) + 1023;
	if (e2 < 1 || e2 > 2045) /* subnormal or close to overflow */
		return false;
	mask = ((uint64_t)1 << shift) - 1;
	below = hi & mask;
	mantissa = hi >> shift;
	if (!g.exact) {
		/* The true product is up to 2^64 more: it must not reach or pass a half. */
		if ((below == mask && mid == UINT64_MAX) || (below == 0 && mid == 0))
			return false;
		mantissa += mantissa & 1;
	} else {
		bool half = below == 0 && mid == 0 && (uint64_t)low == 0;

		mantissa += half ? (mantissa & 3) == 3 : mantissa & 1;
	}
	mantissa >>= 1;
	if (mantissa >> 53) {
		mantissa >>= 1;
		e2++;
	}
	*ret = assemble(mantissa, e2);
	return true;
}

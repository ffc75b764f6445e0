/* random.c - a run's randomness and clock (spec 04 section 3.2).
 *
 * xoshiro256** (Blackman and Vigna, 2018): nothing replays a run, so any good generator does.
 *
 * Thread: the isolate's.  Memory: struct run.
 */
#include "isolate/engine_int.h"

static uint64_t
rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

void
run_seed(struct run *r, const uint8_t seed[32])
{
	memcpy(r->rng, seed, sizeof r->rng);
	r->rng[0] ^= 0x9e3779b97f4a7c15ULL; /* the all-zero state would stay zero */
}

static uint64_t
next(uint64_t s[4])
{
	uint64_t ret = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return ret;
}

static void
note_rng(struct engine *en)
{
	if (en->phase == PHASE_EXECUTE)
		en->run->res->observed_rng = true;
}

double
run_random(struct engine *en)
{
	note_rng(en);
	return (double)(next(en->run->rng) >> 11) * 0x1p-53;
}

void
run_random_bytes(struct engine *en, uint8_t *ret, size_t n)
{
	note_rng(en);
	while (n) {
		uint64_t v = next(en->run->rng);
		size_t   m = n < sizeof v ? n : sizeof v;

		memcpy(ret, &v, m);
		ret += m;
		n -= m;
	}
}

double
run_now_ms(struct engine *en)
{
	if (en->phase == PHASE_EXECUTE && en->run->action)
		return (double)(os_now_ns(en->iso->opts.os) / 1000) / 1000.0;
	if (en->phase == PHASE_EXECUTE)
		en->run->res->observed_time = true;
	return en->run->now_ms;
}

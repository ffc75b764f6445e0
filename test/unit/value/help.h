/* help.h - values from JSON text, for the tests of value/. */
#ifndef TEST_VALUE_HELP_H
#define TEST_VALUE_HELP_H

#include "test.h"

#include "value/vjson.h"

static struct arena *arena; /* emptied after each test by whoever fills it much */

/* A value from its encoded JSON; {"$undefined":null} and {"$commitTs":null} are fine. */
static inline struct val
val_of(str text)
{
	struct val v = VAL_NONE;
	struct err e = err_in(arena);

	if (vjson_parse(arena, text, VJSON_UNDEFINED | VJSON_COMMIT_TS, &v, &e) != ST_OK)
		fail_msg("%.*s: %.*s", STR_ARG(text), STR_ARG(e.text));
	return v;
}

#define V(json) val_of(str_z(json))

static inline int
help_setup(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static inline int
help_teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

#define TEST_RUN_VALUES(...)                                                  \
	int main(void)                                                        \
	{                                                                     \
		const struct CMUnitTest tests[] = { __VA_ARGS__ };            \
		return cmocka_run_group_tests(tests, help_setup, help_teardown); \
	}

/* --- random values, the same from the same seed --- */

static inline uint32_t
random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static inline void
random_run(struct pack *p, uint64_t *state, bool is_string)
{
	static const char letters[] = { 0, 1, 'a', 'b', 0x7f };
	char              text[6];
	size_t            n = random_next(state) % sizeof text;

	for (size_t i = 0; i < n; i++)
		text[i] = letters[random_next(state) % sizeof letters];
	if (!is_string && n)
		text[0] = (char)0xff;
	if (is_string)
		pack_str(p, str_of(text, n));
	else
		pack_bytes(p, str_of(text, n));
}

static inline void
random_value(struct pack *p, uint64_t *state, int depth)
{
	static const double floats[] = { 0.0, -0.0, 1, -1, 1.5, -1.5, 5e-324, 1e308, -1e308,
		__builtin_inf(), -__builtin_inf(), __builtin_nan("") };
	static const char *const names[] = { "", "a", "b", "aa", "_x", "~" };
	uint32_t             n;

	switch (random_next(state) % (depth > 0 ? 10 : 8)) {
	case 0:
		pack_null(p);
		return;
	case 1:
		pack_bool(p, random_next(state) & 1);
		return;
	case 2:
		pack_int64(p, (int64_t)random_next(state) - (1 << 30));
		return;
	case 3: /* near the borders of the integer widths */
		pack_int64(p, ((random_next(state) & 1 ? 1 : -1) *
				  ((int64_t)1 << random_next(state) % 63)) +
			(int64_t)(random_next(state) % 3) - 1);
		return;
	case 4:
		pack_float64(p, floats[random_next(state) % COUNT_OF(floats)]);
		return;
	case 5:
		pack_undefined(p);
		return;
	case 6:
	case 7:
		random_run(p, state, random_next(state) & 1);
		return;
	case 8:
		pack_array(p);
		for (n = random_next(state) % 4; n; n--)
			random_value(p, state, depth - 1);
		pack_end(p);
		return;
	default:
		pack_object(p);
		for (n = random_next(state) % 4; n; n--) {
			pack_key(p, str_z(names[random_next(state) % COUNT_OF(names)]));
			random_value(p, state, depth - 1);
		}
		pack_end(p);
		return;
	}
}

#endif

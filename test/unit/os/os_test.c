/* os_test.c - the real clocks and random numbers. */
#include "test.h"

#include "os/os.h"

/* The wall clock is in our century, the monotonic one never goes back. */
TEST(clocks_run_forward)
{
	const struct os *os = os_real();
	const uint64_t   y2020 = UINT64_C(1577836800) * 1000000000u;
	uint64_t         before = os_mono_ns(os);

	CHECK(os_now_ns(os) > y2020 && os_now_ns(os) < 3 * y2020);
	for (int i = 0; i < 1000; i++) {
		uint64_t now = os_mono_ns(os);

		CHECK(now >= before);
		before = now;
	}
}

/* A thread's CPU clock counts its work. */
TEST(cpu_time_counts_work)
{
	uint64_t          start = os_thread_cpu_ns();
	volatile uint64_t sum = 0;

	for (uint64_t i = 0; i < 5000000; i++)
		sum += i;
	CHECK(sum > 0);
	CHECK(os_thread_cpu_ns() - start > 100000);
}

/* Random bytes fill exactly what was asked for and do not repeat. */
TEST(random_fills_exactly)
{
	const struct os *os = os_real();
	uint8_t          a[64] = { 0 }, b[64] = { 0 };

	os_random(os, a, 48);
	os_random(os, b, 48);
	CHECK(memcmp(a, b, 48) != 0);
	for (size_t i = 48; i < sizeof a; i++)
		CHECK_EQ(a[i], 0);
	os_random(os, a, 0);
}

TEST_RUN(T(clocks_run_forward), T(cpu_time_counts_work), T(random_fills_exactly))

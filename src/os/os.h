/* os.h - what the core may ask of the machine: time and randomness.
 *
 * The core, the transactions and everything they call read no clock and draw no random
 * number but through this table, so the same code runs for real and in the simulator
 * (test/sim), where time is virtual and every draw comes from one seed.
 *
 * Thread: any; the real table is stateless.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include <stddef.h>
#include <stdint.h>

struct os {
	void *arg;
	uint64_t (*now_ns)(void *arg);  /* wall clock, nanoseconds since the epoch */
	uint64_t (*mono_ns)(void *arg); /* never goes back; zero is arbitrary */
	void (*random)(void *arg, void *ret, size_t n);
};

/* clock_gettime and getrandom. */
const struct os *os_real(void);

static inline uint64_t
os_now_ns(const struct os *os)
{
	return os->now_ns(os->arg);
}

static inline uint64_t
os_mono_ns(const struct os *os)
{
	return os->mono_ns(os->arg);
}

static inline void
os_random(const struct os *os, void *ret, size_t n)
{
	os->random(os->arg, ret, n);
}

/* CPU time of the calling thread in nanoseconds (limits of function runs). */
uint64_t os_thread_cpu_ns(void);

#endif

/* os.c - the real clock and the real random numbers.
 *
 * The table that every program but the simulator uses.  A machine whose clock or random
 * source fails cannot run a database, so failures end the process.
 *
 * Thread: any; no state.  Memory: none.
 */
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/must.h"
#include "os/os.h"

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	must(clock_gettime(id, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t
real_now_ns(void *arg)
{
	(void)arg;
	return clock_ns(CLOCK_REALTIME);
}

static uint64_t
real_mono_ns(void *arg)
{
	(void)arg;
	return clock_ns(CLOCK_MONOTONIC);
}

static void
real_random(void *arg, void *ret, size_t n)
{
	uint8_t *p = ret;

	(void)arg;
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		must(got > 0);
		p += got;
		n -= (size_t)got;
	}
}

const struct os *
os_real(void)
{
	static const struct os real = { NULL, real_now_ns, real_mono_ns, real_random };

	return &real;
}

uint64_t
os_thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* watchdog.c - the watchdog's thread: see watchdog.h.
 *
 * Going to sleep and being needed are told apart by two sequentially consistent accesses: the
 * watchdog sets `asleep` and then looks at the watches once more, a watched thread stores what it
 * needs and then looks at `asleep`; one of the two sees the other.
 *
 * Thread: its own; join and leave are any.  Memory: none but the list.
 */
#include "runtime/watchdog.h"

#include <sys/resource.h>
#include <time.h>

#include "runtime/thread.h"

#define RETRY_NS    ((uint64_t)1000000) /* after a signal that may have come at a bad moment */
#define IDLE_TICKS  200                 /* before it goes to sleep: about a second */
#define NICENESS    (-10)
#define STACK_BYTES ((size_t)256 << 10)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  wake;    /* on the monotonic clock */
static struct watch   *watches; /* under the lock */
static struct thread  *dog;     /* runs while there are watches */
static bool            stop;    /* under the lock */
static bool            wake_made;
/* Joining and leaving in one piece, the starting and ending of the thread included. */
static pthread_mutex_t population = PTHREAD_MUTEX_INITIALIZER;

atomic_bool watchdog_asleep;

static uint64_t
clock_ns(clockid_t c)
{
	struct timespec t;

	if (clock_gettime(c, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void
watchdog_wake(void)
{
	MUTEX_GUARD(&lock);
	atomic_store(&watchdog_asleep, false);
	pthread_cond_signal(&wake);
}

static bool
is_active(struct watch *w)
{
	return atomic_load(&w->due_cpu_ns) != WATCH_NEVER || atomic_load(&w->work) % 2;
}

static bool
any_active(void)
{
	for (struct watch *w = watches; w; w = w->next)
		if (is_active(w))
			return true;
	return false;
}

/* The piece of work was first seen at an earlier tick, so it takes at least what passed since. */
static void
look_at_work(struct watch *w, uint64_t cpu_ns, uint64_t now_ns)
{
	uint64_t work = atomic_load(&w->work);

	if (work % 2 == 0 || !w->on_long)
		return;
	if (work == w->seen_work) {
		w->on_long(w->arg, cpu_ns - w->seen_cpu_ns, now_ns - w->seen_mono_ns);
		return;
	}
	w->seen_work = work;
	w->seen_cpu_ns = cpu_ns;
	w->seen_mono_ns = now_ns;
}

/* True if somebody was signalled. */
static bool
look_at_all(bool *ret_active)
{
	bool     signalled = false;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	*ret_active = false;
	for (struct watch *w = watches; w; w = w->next) {
		uint64_t cpu;

		if (!is_active(w))
			continue;
		*ret_active = true;
		cpu = clock_ns(w->clock);
		look_at_work(w, cpu, now);
		if (cpu >= atomic_load(&w->due_cpu_ns)) {
			(void)pthread_kill(w->thread, WATCHDOG_SIGNAL);
			signalled = true;
		}
	}
	return signalled;
}

static void
sleep_for(uint64_t ns)
{
	uint64_t        until = clock_ns(CLOCK_MONOTONIC) + ns;
	struct timespec at = { .tv_sec = (time_t)(until / 1000000000u),
		.tv_nsec = (long)(until % 1000000000u) };

	(void)pthread_cond_timedwait(&wake, &lock, &at);
}

static void
dog_main(void *arg)
{
	int idle = 0;

	(void)arg;
	/* Where we may: those who compute too long must not keep us from seeing it. */
	(void)setpriority(PRIO_PROCESS, 0, NICENESS); /* on Linux the thread's own */
	MUTEX_GUARD(&lock);
	while (!stop) {
		bool active, signalled = look_at_all(&active);

		idle = active ? 0 : idle + 1;
		if (idle < IDLE_TICKS) {
			sleep_for(signalled ? RETRY_NS : WATCHDOG_TICK_NS);
			continue;
		}
		atomic_store(&watchdog_asleep, true);
		while (!stop && atomic_load(&watchdog_asleep) && !any_active())
			(void)pthread_cond_wait(&wake, &lock);
		atomic_store(&watchdog_asleep, false);
		idle = 0;
	}
}

static void
make_wake(void)
{
	pthread_condattr_t attr;

	if (wake_made)
		return;
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&wake, &attr) == 0);
	pthread_condattr_destroy(&attr);
	wake_made = true;
}

static void
let_signal_in(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, WATCHDOG_SIGNAL);
	must(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

void
watch_join(
    struct watch *w, void (*on_long)(void *arg, uint64_t cpu_ns, uint64_t wall_ns), void *arg)
{
	MUTEX_GUARD(&population);

	*w = (struct watch){
		.thread = pthread_self(), .on_long = on_long, .arg = arg, .due_cpu_ns = WATCH_NEVER
	};
	must(pthread_getcpuclockid(w->thread, &w->clock) == 0);
	let_signal_in();
	make_wake();
	must(pthread_mutex_lock(&lock) == 0);
	w->next = watches;
	w->back = &watches;
	if (watches)
		watches->back = &w->next;
	watches = w;
	must(pthread_mutex_unlock(&lock) == 0);
	if (!dog)
		dog = thread_start("watchdog", STACK_BYTES, dog_main, NULL);
}

void
watch_leave(struct watch *w)
{
	MUTEX_GUARD(&population);
	struct thread *last = NULL;

	must(pthread_mutex_lock(&lock) == 0);
	*w->back = w->next;
	if (w->next)
		w->next->back = w->back;
	if (!watches) {
		last = dog;
		dog = NULL;
		stop = true;
		pthread_cond_signal(&wake);
	}
	must(pthread_mutex_unlock(&lock) == 0);
	if (last) {
		thread_join_free(last);
		stop = false; /* nobody else is there to read it */
	}
}

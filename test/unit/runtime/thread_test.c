/* thread_test.c - what a started thread looks like. */
#include <signal.h>

#include "test.h"

#include "runtime/thread.h"

struct seen {
	char            name[16];
	sigset_t        blocked;
	size_t          stack;
	pthread_mutex_t lock;
	int             total;
};

static void
look(void *arg)
{
	struct seen   *s = arg;
	pthread_attr_t attr;
	void          *base;

	pthread_getname_np(pthread_self(), s->name, sizeof s->name);
	pthread_sigmask(SIG_SETMASK, NULL, &s->blocked);
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &base, &s->stack);
	pthread_attr_destroy(&attr);
}

/* Names are cut to what the kernel takes, the stack is at least what was asked for, signals of
 * the process are blocked and faults of the thread are not. */
TEST(name_stack_and_signals)
{
	struct seen s = { 0 };

	thread_join_free(thread_start("a rather long name", 3 * 1024 * 1024 + 1, look, &s));
	CHECK_STRZ(str_z(s.name), "a rather long n");
	CHECK(s.stack >= 3 * 1024 * 1024 + 1);
	CHECK(sigismember(&s.blocked, SIGTERM) && sigismember(&s.blocked, SIGINT));
	CHECK(!sigismember(&s.blocked, SIGSEGV) && !sigismember(&s.blocked, SIGBUS));
	sigemptyset(&s.blocked);
	pthread_sigmask(SIG_SETMASK, NULL, &s.blocked);
	CHECK(!sigismember(&s.blocked, SIGTERM));
}

static void
add_many(void *arg)
{
	struct seen *s = arg;

	for (int i = 0; i < 20000; i++) {
		MUTEX_GUARD(&s->lock);
		if (i % 2) {
			s->total++;
			continue; /* the guard unlocks on every way out */
		}
		s->total++;
	}
}

/* A guard holds its lock to the end of the scope, on every way out of it. */
TEST(guards_exclude)
{
	struct seen    s = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct thread *a = thread_start("a", 0, add_many, &s),
		      *b = thread_start("b", 0, add_many, &s);

	thread_join_free(a);
	thread_join_free(b);
	CHECK_EQ(s.total, 40000);
	CHECK_EQ(pthread_mutex_trylock(&s.lock), 0);
}

TEST_RUN(T(name_stack_and_signals), T(guards_exclude))

/* thread.c - named threads.
 *
 * A thread is started with asynchronous signals blocked, so that only the main thread sees
 * SIGTERM and its like; faults (SIGSEGV and others) must stay deliverable, because heap
 * images and the sanitizers handle them on the thread that caused them.
 *
 * Thread: any.  Memory: one block per thread, freed by thread_join_free().
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/thread.h"

struct thread {
	pthread_t handle;
	void (*fn)(void *);
	void *arg;
	char  name[16]; /* the kernel's limit, with the NUL */
};

static void *
thread_main(void *arg)
{
	struct thread *t = arg;

	pthread_setname_np(pthread_self(), t->name);
	t->fn(t->arg);
	return NULL;
}

static void
set_stack(pthread_attr_t *attr, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (bytes == 0)
		return;
	if (bytes < (size_t)PTHREAD_STACK_MIN)
		bytes = (size_t)PTHREAD_STACK_MIN;
	must(pthread_attr_setstacksize(attr, (bytes + page - 1) / page * page) == 0);
}

struct thread *
thread_start(const char *name, size_t stack_bytes, void (*fn)(void *), void *arg)
{
	static const int synchronous[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT,
		SIGSYS };
	struct thread   *t = MEM_NEW(struct thread);
	pthread_attr_t   attr;
	sigset_t         blocked, before;

	t->fn = fn;
	t->arg = arg;
	snprintf(t->name, sizeof t->name, "%s", name);
	sigfillset(&blocked);
	for (size_t i = 0; i < COUNT_OF(synchronous); i++)
		sigdelset(&blocked, synchronous[i]);

	must(pthread_attr_init(&attr) == 0);
	set_stack(&attr, stack_bytes);
	must(pthread_sigmask(SIG_SETMASK, &blocked, &before) == 0);
	must(pthread_create(&t->handle, &attr, thread_main, t) == 0);
	must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	pthread_attr_destroy(&attr);
	return t;
}

void
thread_join_free(struct thread *t)
{
	must(pthread_join(t->handle, NULL) == 0);
	mem_free(t);
}

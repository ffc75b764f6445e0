/* thread.h - named threads, locks and waits over pthreads.
 *
 * Thread: any.
 */
#ifndef RUNTIME_THREAD_H
#define RUNTIME_THREAD_H

#include <pthread.h>
#include <stddef.h>

#include "base/must.h"

struct thread;

/* `stack_bytes` 0: the system's default.  Names are cut to 15 characters.
 * Signals stay with the main thread: the new one blocks all but the synchronous ones. */
struct thread *thread_start(const char *name, size_t stack_bytes, void (*fn)(void *), void *arg);
void           thread_join_free(struct thread *t);

/* LOCKED(&m) { ... }  would hide the unlock from break and return: use the guard.
 *     MUTEX_GUARD(&db->lock);      held to the end of the scope */
static inline pthread_mutex_t *
mutex_lock_(pthread_mutex_t *m)
{
	must(pthread_mutex_lock(m) == 0);
	return m;
}

static inline void
mutex_unlock_(pthread_mutex_t **m)
{
	must(pthread_mutex_unlock(*m) == 0);
}

#define MUTEX_GUARD_NAME2(line) mutex_guard_##line
#define MUTEX_GUARD_NAME(line)  MUTEX_GUARD_NAME2(line)
#define MUTEX_GUARD(m)                                                        \
	__attribute__((cleanup(mutex_unlock_), unused)) pthread_mutex_t *MUTEX_GUARD_NAME( \
	    __LINE__) = mutex_lock_(m)

#endif

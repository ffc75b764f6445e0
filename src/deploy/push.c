/* push.c - pushes between start_push and finish_push.
 *
 * The CLI echoes the whole start response; we put a token in it and keep the rest here.  A
 * push that was pushed out of the table, or forgotten in a restart, answers RaceDetected and
 * the CLI begins again (spec 02 section 19 item 1).
 *
 * Thread: any, under the deploy's lock.  Memory: one arena per push.
 */
#include <stdatomic.h>

#include "deploy/deploy_int.h"
#include "runtime/thread.h"

struct push *
push_new(void)
{
	struct arena *a = arena_new();
	struct push  *p = ARENA_NEW(a, struct push);

	p->arena = a;
	atomic_init(&p->refs, 1);
	return p;
}

struct push *
push_ref(struct push *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void
push_unref(struct push *p)
{
	if (p && atomic_fetch_sub(&p->refs, 1) == 1)
		arena_free(p->arena);
}

static void
remove_at(struct deploy *d, size_t i)
{
	push_unref(d->pushes[i]);
	d->npushes--;
	memmove(&d->pushes[i], &d->pushes[i + 1], (d->npushes - i) * sizeof d->pushes[0]);
}

void
push_remember(struct deploy *d, struct push *p)
{
	MUTEX_GUARD(&d->lock);

	if (d->npushes == PUSHES_MAX)
		remove_at(d, 0);
	d->pushes[d->npushes++] = push_ref(p);
}

struct push *
push_find(struct deploy *d, str token)
{
	MUTEX_GUARD(&d->lock);

	for (size_t i = 0; i < d->npushes; i++)
		if (str_eq(d->pushes[i]->token, token))
			return push_ref(d->pushes[i]);
	return NULL;
}

void
push_forget(struct deploy *d, str token)
{
	MUTEX_GUARD(&d->lock);

	for (size_t i = 0; i < d->npushes; i++) {
		if (str_eq(d->pushes[i]->token, token)) {
			remove_at(d, i);
			return;
		}
	}
}

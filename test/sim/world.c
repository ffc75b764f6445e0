/* world.c - virtual time, the events in it, dice and the trace.
 *
 * Events of the same moment happen in the order in which they were made.
 *
 * Thread: one.  Memory: one heap of events.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

#define EPOCH ((uint64_t)1700000000 * 1000 * MS)

uint32_t
draw(struct sim *s, uint32_t below)
{
	uint64_t x = s->world.dice;

	x ^= x << 13; /* xorshift64 (Marsaglia 2003) */
	x ^= x >> 7;
	x ^= x << 17;
	s->world.dice = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

static uint64_t
wall_ns(void *arg)
{
	struct sim *s = arg;

	return EPOCH + s->world.now + (uint64_t)s->world.skew;
}

static uint64_t
mono_ns(void *arg)
{
	return ((struct sim *)arg)->world.now;
}

static void
random_bytes(void *arg, void *ret, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)ret)[i] = (uint8_t)draw(arg, 256);
}

void
world_init(struct sim *s, uint64_t seed)
{
	s->world.dice = (seed + 1) * 0x9e3779b97f4a7c15ULL;
	s->world.trace = 0xcbf29ce484222325ULL;
	s->world.os = (struct os){ s, wall_ns, mono_ns, random_bytes };
	hash_seed(seed, ~seed);
}

void
world_clear(struct sim *s)
{
	vec_clear(&s->world.heap);
}

/* --- events --- */

static bool
sooner(const struct event *a, const struct event *b)
{
	return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void
after(struct sim *s, uint64_t delay, event_fn fn, void *arg, uint64_t n)
{
	struct world *w = &s->world;
	struct event  e = { w->now + delay, w->orders++, fn, arg, n };
	size_t        i = w->heap.n;

	vec_push(&w->heap, e);
	for (; i > 0 && sooner(&e, &w->heap.v[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap.v[i] = w->heap.v[(i - 1) / 2];
	w->heap.v[i] = e;
}

uint64_t
latency(struct sim *s, uint64_t usual)
{
	uint64_t ns = usual / 2 + draw(s, (uint32_t)usual);

	return draw(s, 20) ? ns : ns * 10;
}

static struct event
pop(struct world *w)
{
	struct event first = w->heap.v[0], last = w->heap.v[--w->heap.n];
	size_t       i = 0, n = w->heap.n;

	for (;;) {
		size_t kid = 2 * i + 1;

		if (kid + 1 < n && sooner(&w->heap.v[kid + 1], &w->heap.v[kid]))
			kid++;
		if (kid >= n || !sooner(&w->heap.v[kid], &last))
			break;
		w->heap.v[i] = w->heap.v[kid];
		i = kid;
	}
	if (n)
		w->heap.v[i] = last;
	return first;
}

bool
world_step(struct sim *s)
{
	struct event e;

	if (s->world.heap.n == 0)
		return false;
	e = pop(&s->world);
	must(e.time >= s->world.now);
	s->world.now = e.time;
	s->world.steps++;
	e.fn(s, e.arg, e.n);
	return true;
}

/* --- the trace --- */

void
trace(struct sim *s, const char *fmt, ...)
{
	char    line[4096];
	va_list ap;
	int     n, len;

	n = snprintf(line, sizeof line, "%llu ", (unsigned long long)s->world.now);
	va_start(ap, fmt);
	len = vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
	va_end(ap);
	len = len < 0 ? 0 : len + n;
	if ((size_t)len >= sizeof line)
		len = (int)sizeof line - 1;
	for (int i = 0; i < len; i++) /* FNV-1a */
		s->world.trace = (s->world.trace ^ (uint8_t)line[i]) * 0x100000001b3ULL;
	if (s->world.verbose)
		printf("%s\n", line);
}

void
sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "seed %llu, %llu ns, step %llu: ", (unsigned long long)s->seed,
	    (unsigned long long)s->world.now, (unsigned long long)s->world.steps);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	abort();
}

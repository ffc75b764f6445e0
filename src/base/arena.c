/* arena.c - bump allocation in chunks that die together.
 *
 * The chunk at the head of the list is the one being filled.  A request that would not fit
 * into the next chunk gets one of its own, linked behind the head, so that the head's free
 * room stays in use.  The first chunk is embedded behind struct arena and survives resets:
 * a request that needs no more than it costs no malloc at all.
 *
 * Thread: one owner at a time.  Memory: see arena.h.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define ALIGNMENT   ((size_t)16)
#define CHUNK_FIRST ((size_t)1024)
#define CHUNK_MAX   ((size_t)256 << 10)

struct chunk {
	struct chunk *next; /* older */
	size_t        size; /* bytes behind the header */
};

struct on_free {
	struct on_free *next;
	void (*fn)(void *);
	void *arg;
};

struct arena {
	char           *at;      /* next free byte of the current chunk */
	char           *end;
	struct chunk   *chunks;  /* newest first; without the embedded one */
	struct on_free *on_free; /* last registered first; nodes live in the arena */
	size_t          next;    /* size of the next chunk */
	size_t          bytes;   /* handed out */
	size_t          footprint; /* of all chunks, with this struct */
	_Alignas(16) char first[];
};

static size_t
round_up(size_t n)
{
	return (n + (ALIGNMENT - 1)) & ~(ALIGNMENT - 1);
}

struct arena *
arena_new(void)
{
	struct arena *a = mem_alloc(CHUNK_FIRST);

	memset(a, 0, sizeof *a);
	a->at = a->first;
	a->end = (char *)a + CHUNK_FIRST;
	a->next = 2 * CHUNK_FIRST;
	a->footprint = CHUNK_FIRST;
	return a;
}

static void
run_on_free(struct arena *a)
{
	while (a->on_free) {
		struct on_free *f = a->on_free;

		a->on_free = f->next;
		f->fn(f->arg);
	}
}

void
arena_reset(struct arena *a)
{
	run_on_free(a);
	while (a->chunks) {
		struct chunk *c = a->chunks;

		a->chunks = c->next;
		mem_free(c);
	}
	a->at = a->first;
	a->end = (char *)a + CHUNK_FIRST;
	a->next = 2 * CHUNK_FIRST;
	a->bytes = 0;
	a->footprint = CHUNK_FIRST;
#ifdef FRESNEL_DEBUG
	memset(a->first, 0xA5, (size_t)(a->end - a->first)); /* make use after reset visible */
#endif
}

void
arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	mem_free(a);
}

size_t
arena_bytes(const struct arena *a)
{
	return a->bytes;
}

size_t
arena_footprint(const struct arena *a)
{
	return a->footprint;
}

static void *
alloc_slow(struct arena *a, size_t n)
{
	size_t        size = n > a->next ? n : a->next;
	struct chunk *c = mem_alloc(sizeof *c + size);
	char         *body = (char *)(c + 1);

	a->footprint += sizeof *c + size;
	c->size = size;
	c->next = a->chunks;
	a->chunks = c;
	if (n > a->next)
		return body;
	a->at = body + n;
	a->end = body + size;
	if (a->next < CHUNK_MAX)
		a->next *= 2;
	return body;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p;

	must(n < SIZE_MAX / 2);
	n = round_up(n ? n : 1);
	a->bytes += n;
	if (UNLIKELY((size_t)(a->end - a->at) < n))
		return alloc_slow(a, n);
	p = a->at;
	a->at += n;
	return p;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

char *
arena_z(struct arena *a, str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

str
arena_str(struct arena *a, str s)
{
	return str_of(arena_z(a, s), s.n);
}

/* Formats straight into the current chunk; only a text that was cut is formatted again. */
static PRINTF(2, 0) str
format(struct arena *a, const char *fmt, va_list ap)
{
	size_t  room = (size_t)(a->end - a->at);
	va_list again;
	int     n;
	char   *p;

	va_copy(again, ap);
	n = vsnprintf(a->at, room, fmt, ap);
	must(n >= 0);
	p = arena_alloc(a, (size_t)n + 1);
	if ((size_t)n >= room)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return str_of(p, (size_t)n);
}

str
arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	str     s;

	va_start(ap, fmt);
	s = format(a, fmt, ap);
	va_end(ap);
	return s;
}

void
arena_on_free(struct arena *a, void (*fn)(void *), void *arg)
{
	struct on_free *f = arena_alloc(a, sizeof *f);

	*f = (struct on_free){ a->on_free, fn, arg };
	a->on_free = f;
}

str
arena_join(struct arena *a, const str *parts, size_t n)
{
	size_t total = 0;
	char  *p;
	char  *at;

	for (size_t i = 0; i < n; i++)
		total += parts[i].n;
	p = at = arena_alloc(a, total + 1);
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n)
			memcpy(at, parts[i].p, parts[i].n);
		at += parts[i].n;
	}
	*at = '\0';
	return str_of(p, total);
}

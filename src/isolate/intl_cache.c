/* intl_cache.c - the formatters that a thread keeps open, and the results of its calls.
 *
 * A formatter is known by its class and by the strings that it was opened with.  There are few,
 * so they are searched one after the other, by a hash; the one that was not used for longest goes
 * first.
 *
 * Thread: each has its own.  Memory: the thread's, until it ends.
 */
#include <pthread.h>

#include <unicode/uloc.h>
#include <unicode/ustring.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "isolate/intl_int.h"

struct intl {
	struct arena     *arena;
	struct intl_out   out;
	uint64_t          clock; /* counts uses */
	struct buf        key;
	struct intl_entry entries[INTL_ENTRIES];
};

static _Thread_local struct intl *here;
static pthread_key_t              ending; /* frees it when its thread ends */
static pthread_once_t             once = PTHREAD_ONCE_INIT;

static void
entry_clear(struct intl_entry *e)
{
	if (e->class)
		e->class->close(e);
	mem_free(e->key);
	*e = (struct intl_entry){ 0 };
}

static void
thread_ends(void *arg)
{
	struct intl *in = arg;

	for (size_t i = 0; i < INTL_ENTRIES; i++)
		entry_clear(&in->entries[i]);
	buf_clear(&in->key);
	vec_clear(&in->out.items);
	arena_free(in->arena);
	mem_free(in);
	here = NULL;
}

static void
make_key(void)
{
	must(pthread_key_create(&ending, thread_ends) == 0);
}

struct intl *
intl_here(void)
{
	if (here)
		return here;
	must(pthread_once(&once, make_key) == 0);
	here = MEM_NEW(struct intl);
	here->arena = arena_new();
	buf_init(&here->key, BUF_MAX_DEFAULT);
	must(pthread_setspecific(ending, here) == 0);
	return here;
}

struct intl_call
intl_begin(void)
{
	struct intl *in = intl_here();

	arena_reset(in->arena);
	if (in->out.items.cap > 4096)
		vec_clear(&in->out.items);
	in->out.items.n = 0;
	in->out.shape = INTL_NOTHING;
	return (struct intl_call){ .in = in, .arena = in->arena, .out = &in->out };
}

/* --- formatters --- */

static struct intl_entry *
oldest(struct intl *in)
{
	struct intl_entry *ret = &in->entries[0];

	for (size_t i = 0; i < INTL_ENTRIES; i++)
		if (in->entries[i].used_at < ret->used_at)
			ret = &in->entries[i];
	return ret;
}

static struct intl_entry *
find(struct intl *in, const struct intl_class *class, uint64_t hash)
{
	for (size_t i = 0; i < INTL_ENTRIES; i++) {
		struct intl_entry *e = &in->entries[i];

		if (e->hash == hash && e->class == class && e->nkey == in->key.n &&
		    memcmp(e->key, in->key.p, e->nkey) == 0)
			return e;
	}
	return NULL;
}

struct intl_entry *
intl_open(struct intl *in, const struct intl_class *class, const char *const *parts, size_t nparts)
{
	struct intl_entry *e;
	uint64_t           hash;

	buf_reset(&in->key);
	for (size_t i = 0; i < nparts; i++) {
		buf_addz(&in->key, parts[i]);
		buf_add_byte(&in->key, 0);
	}
	hash = hash_bytes(buf_str(&in->key));
	e = find(in, class, hash);
	if (!e) {
		e = oldest(in);
		entry_clear(e);
		*e = (struct intl_entry){ .class = class, .nkey = in->key.n, .hash = hash,
			.used_at = ++in->clock, .key = mem_alloc(in->key.n) };
		memcpy(e->key, in->key.p, e->nkey);
		if (!class->open(e, parts)) { /* which may open others */
			entry_clear(e);
			return NULL;
		}
	}
	e->used_at = ++in->clock;
	return e;
}

/* --- results --- */

static struct utext16
copy(const struct intl_call *c, const UChar *p, size_t n)
{
	UChar *q = arena_alloc(c->arena, (n + 1) * sizeof *q);

	if (n > 0)
		memcpy(q, p, n * sizeof *q);
	return (struct utext16){ q, n };
}

static void
add(const struct intl_call *c, struct intl_item item)
{
	vec_push(&c->out->items, item);
}

static void
one(const struct intl_call *c, struct intl_item item)
{
	c->out->shape = INTL_ONE;
	c->out->items.n = 0;
	add(c, item);
}

void
intl_text(const struct intl_call *c, const UChar *p, size_t n)
{
	one(c, (struct intl_item){ .u = copy(c, p, n) });
}

void
intl_ascii(const struct intl_call *c, const char *z)
{
	one(c, (struct intl_item){ .z = arena_z(c->arena, str_z(z)) });
}

void
intl_number(const struct intl_call *c, double number)
{
	one(c, (struct intl_item){ .number = number });
}

void
intl_list(const struct intl_call *c)
{
	c->out->shape = INTL_LIST;
}

void
intl_add_z(const struct intl_call *c, const char *z)
{
	add(c, (struct intl_item){ .z = z });
}

void
intl_add_ascii(const struct intl_call *c, const char *z)
{
	add(c, (struct intl_item){ .z = arena_z(c->arena, str_z(z)) });
}

void
intl_add_text(const struct intl_call *c, const UChar *p, size_t n)
{
	add(c, (struct intl_item){ .u = copy(c, p, n) });
}

void
intl_add_number(const struct intl_call *c, double number)
{
	add(c, (struct intl_item){ .number = number });
}

/* --- conversions --- */

bool
intl_id(const char *tag, char ret[INTL_ID_MAX])
{
	UErrorCode code = U_ZERO_ERROR;
	int32_t    parsed = 0;

	uloc_forLanguageTag(tag, ret, INTL_ID_MAX, &parsed, &code);
	return code == U_ZERO_ERROR && (size_t)parsed == strlen(tag);
}

UCalendar *
intl_calendar(const char *tag)
{
	UErrorCode code = U_ZERO_ERROR;
	char       id[INTL_ID_MAX];
	UCalendar *cal = NULL;

	if (intl_id(tag, id))
		cal = ucal_open(u"UTC", 3, id, UCAL_DEFAULT, &code);
	return U_SUCCESS(code) ? cal : NULL;
}

struct utext16
intl_utf16(struct arena *a, const char *z)
{
	UErrorCode code = U_ZERO_ERROR;
	int32_t    room = (int32_t)strlen(z) + 1, n = 0;
	UChar     *p = arena_alloc(a, (size_t)room * sizeof *p);

	u_strFromUTF8WithSub(p, room, &n, z, -1, 0xfffd, NULL, &code);
	must(U_SUCCESS(code));
	return (struct utext16){ p, (size_t)n };
}

char *
intl_utf8(struct arena *a, struct utext16 u)
{
	UErrorCode code = U_ZERO_ERROR;
	int32_t    room = (int32_t)u.n * 3 + 1, n = 0;
	char      *p = arena_alloc(a, (size_t)room);

	u_strToUTF8WithSub(p, room, &n, u.p, (int32_t)u.n, 0xfffd, NULL, &code);
	must(U_SUCCESS(code));
	return p;
}

/* pack.c - building packed values.
 *
 * Members are appended to `out` behind the 14-byte head of their container while `offsets`
 * remembers where they start.  Closing a container makes room for the offset table, sorts
 * fields unless they came sorted, and fills in the head.  Offsets are relative to their own
 * tag, so whole containers can be moved.  Nothing is allocated once the buffers are warm.
 *
 * After a violation every call is ignored: `err.st` is checked first in each of them.
 *
 * Thread: one owner.  Memory: see pack.h.
 */
#include "value/pack.h"

#include <stdlib.h>

#include "value/layout.h"

void
pack_init(struct pack *p)
{
	memset(p, 0, sizeof *p);
	buf_init(&p->out, BUF_MAX_DEFAULT);
	buf_init(&p->scratch, BUF_MAX_DEFAULT);
}

void
pack_reset(struct pack *p)
{
	arena_free(p->err.arena);
	memset(&p->err, 0, sizeof p->err);
	buf_reset(&p->out);
	p->stack.n = p->offsets.n = 0;
}

void
pack_clear(struct pack *p)
{
	pack_reset(p);
	buf_clear(&p->out);
	buf_clear(&p->scratch);
	vec_clear(&p->stack);
	vec_clear(&p->offsets);
	vec_clear(&p->order);
}

/* --- violations --- */

static struct err *
first_violation(struct pack *p)
{
	must(p->err.st == ST_OK);
	p->err.arena = arena_new();
	return &p->err;
}

static void
too_large(struct pack *p, size_t size)
{
	struct err *e = first_violation(p);
	struct buf  b;

	buf_init(&b, 64);
	buf_add_size(&b, size);
	err_set(e, ST_BAD_REQUEST, "ValueTooLargeError",
	    "Value is too large (%.*s > maximum size 32 MiB)", STR_ARG(buf_str(&b)));
	buf_clear(&b);
}

static void
too_nested(struct pack *p, int nesting)
{
	err_set(first_violation(p), ST_BAD_REQUEST, "TooNestedError",
	    "Value is too nested (nested %d levels deep > maximum nesting %d)", nesting,
	    p->trusted ? PACK_MAX_DEPTH : VALUE_MAX_NESTING);
}

/* A finished container of n members against the limits of spec 03 section 1.4. */
static bool
check_limits(struct pack *p, bool object, size_t n, size_t size, int nesting)
{
	if (nesting > (p->trusted ? PACK_MAX_DEPTH : VALUE_MAX_NESTING))
		too_nested(p, nesting);
	else if (p->trusted)
		return true;
	else if (!object && n > ARRAY_MAX_LENGTH)
		err_set(first_violation(p), ST_BAD_REQUEST, "ArrayTooLong",
		    "Array length is too long (%zu > maximum length %d)", n, ARRAY_MAX_LENGTH);
	else if (object && n > OBJECT_MAX_FIELDS)
		err_set(first_violation(p), ST_BAD_REQUEST, "TooManyFieldsError",
		    "Object has too many fields (%zu > maximum number %d)", n,
		    OBJECT_MAX_FIELDS);
	else if (size > VALUE_MAX_BYTES)
		too_large(p, size);
	else
		return true;
	return false;
}

/* --- values --- */

static struct pack_frame *
top(struct pack *p)
{
	return p->stack.n ? &p->stack.v[p->stack.n - 1] : NULL;
}

/* Room for a value of n packed bytes, entered into the open container; NULL after a
 * violation. */
static uint8_t *
begin_value(struct pack *p, size_t n)
{
	struct pack_frame *f = top(p);
	uint8_t           *at;

	if (UNLIKELY(p->err.st != ST_OK))
		return NULL;
	at = (uint8_t *)buf_reserve(&p->out, n);
	if (UNLIKELY(!at)) {
		too_large(p, p->out.n + n);
		return NULL;
	}
	if (!f) {
		must(p->out.n == 0); /* one value at the root */
	} else if (f->object) {
		must(f->have_key);
		f->have_key = false;
	} else {
		vec_push(&p->offsets, (uint32_t)p->out.n);
	}
	p->out.n += n;
	return at;
}

static void
count_value(struct pack *p, size_t size, int nesting)
{
	struct pack_frame *f = top(p);

	if (!f)
		return;
	f->size += (uint32_t)size;
	if (nesting > f->nesting)
		f->nesting = (uint8_t)nesting;
}

static void
put_tag(struct pack *p, enum tag tag, size_t size)
{
	uint8_t *at = begin_value(p, 1);

	if (!at)
		return;
	at[0] = (uint8_t)tag;
	count_value(p, size, 0);
}

static void
put_eight(struct pack *p, enum tag tag, const void *eight)
{
	uint8_t *at = begin_value(p, 9);

	if (!at)
		return;
	at[0] = (uint8_t)tag;
	memcpy(at + 1, eight, 8);
	count_value(p, 9, 0);
}

static void
put_run(struct pack *p, enum tag tag, str s)
{
	uint8_t *at;

	must(s.n <= UINT32_MAX);
	at = begin_value(p, 5 + s.n);
	if (!at)
		return;
	at[0] = (uint8_t)tag;
	store_u32(at + 1, (uint32_t)s.n);
	if (s.n)
		memcpy(at + 5, s.p, s.n);
	count_value(p, 2 + s.n, 0);
}

void
pack_undefined(struct pack *p)
{
	put_tag(p, TAG_UNDEFINED, 1);
}

void
pack_null(struct pack *p)
{
	put_tag(p, TAG_NULL, 1);
}

void
pack_bool(struct pack *p, bool v)
{
	put_tag(p, v ? TAG_TRUE : TAG_FALSE, 1);
}

void
pack_int64(struct pack *p, int64_t v)
{
	put_eight(p, TAG_INT64, &v);
}

void
pack_float64(struct pack *p, double v)
{
	put_eight(p, TAG_FLOAT64, &v);
}

void
pack_str(struct pack *p, str utf8)
{
	debug_must(str_utf8_valid(utf8));
	put_run(p, TAG_STRING, utf8);
}

void
pack_bytes(struct pack *p, str bytes)
{
	put_run(p, TAG_BYTES, bytes);
}

void
pack_commit_ts(struct pack *p)
{
	put_tag(p, TAG_COMMIT_TS, 9);
}

void
pack_val(struct pack *p, struct val v)
{
	uint8_t *at;

	must(val_some(v));
	at = begin_value(p, v.n);
	if (!at)
		return;
	memcpy(at, v.p, v.n);
	count_value(p, val_size(v), val_nesting(v));
}

/* --- containers --- */

static void
open_container(struct pack *p, bool object)
{
	size_t            start = p->out.n;
	struct pack_frame f;
	uint8_t          *at;

	if (p->err.st != ST_OK)
		return;
	if (p->stack.n >= (p->trusted ? PACK_MAX_DEPTH : VALUE_MAX_NESTING)) {
		too_nested(p, (int)p->stack.n + 1);
		return;
	}
	at = begin_value(p, HEAD_BYTES);
	if (!at)
		return;
	at[0] = object ? TAG_OBJECT : TAG_ARRAY;
	f = (struct pack_frame){ .start = (uint32_t)start, .first = (uint32_t)p->offsets.n,
		.size = 2, .object = object, .sorted = true };
	vec_push(&p->stack, f);
}

void
pack_array(struct pack *p)
{
	open_container(p, false);
}

void
pack_object(struct pack *p)
{
	open_container(p, true);
}

static str
name_at(const struct pack *p, uint32_t at)
{
	const uint8_t *field = (const uint8_t *)p->out.p + at;

	return str_of(field + 2, load_u16(field));
}

static bool
name_ok(struct pack *p, str name)
{
	if (p->trusted) {
		if (name.n <= UINT16_MAX)
			return true;
		err_set(first_violation(p), ST_BAD_REQUEST, "InvalidFieldName",
		    "Field name is too long (%zu > maximum %d)", name.n, UINT16_MAX);
		return false;
	}
	if (LIKELY(field_name_check(name, NULL) == ST_OK))
		return true;
	return field_name_check(name, first_violation(p)) == ST_OK; /* for the text */
}

void
pack_key(struct pack *p, str name)
{
	struct pack_frame *f = top(p);
	uint8_t           *at;
	uint16_t           name_n = (uint16_t)name.n;

	if (p->err.st != ST_OK || !name_ok(p, name))
		return;
	must(f && f->object && !f->have_key);
	if (f->sorted && p->offsets.n > f->first)
		f->sorted = str_cmp(name_at(p, p->offsets.v[p->offsets.n - 1]), name) < 0;
	at = (uint8_t *)buf_reserve(&p->out, 2 + name.n);
	if (!at) {
		too_large(p, p->out.n + name.n);
		return;
	}
	memcpy(at, &name_n, sizeof name_n);
	if (name.n)
		memcpy(at + 2, name.p, name.n);
	vec_push(&p->offsets, (uint32_t)p->out.n);
	p->out.n += 2 + name.n;
	f->size += (uint32_t)name.n + 1;
	f->have_key = true;
}

/* By name; of equal names the later one first, because the later value wins. */
static int
by_name(const void *a, const void *b, void *arg)
{
	const struct pack        *p = arg;
	const struct pack_member *x = a, *y = b;
	int                       c = str_cmp(name_at(p, x->at), name_at(p, y->at));

	return c ? c : (x->at < y->at) - (x->at > y->at);
}

/* Few fields, mostly in order already, are the rule: insertion sort. */
static void
sort_members(struct pack *p, size_t n)
{
	struct pack_member *v = p->order.v;

	if (n > 24) {
		qsort_r(v, n, sizeof *v, by_name, p);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct pack_member m = v[i];
		size_t             j = i;

		for (; j > 0 && by_name(&m, &v[j - 1], p) < 0; j--)
			v[j] = v[j - 1];
		v[j] = m;
	}
}

/* Size and nesting were counted for all fields; after dropping some, count again. */
static void
recount(struct pack *p, struct pack_frame *f, size_t n)
{
	f->size = 2;
	f->nesting = 0;
	for (size_t i = 0; i < n; i++) {
		const struct pack_member *m = &p->order.v[i];
		str                       name = name_at(p, m->at);
		struct val                v = {
			(const uint8_t *)name.p + name.n, m->n - 2 - name.n };

		f->size += (uint32_t)(name.n + 1 + val_size(v));
		if (val_nesting(v) > f->nesting)
			f->nesting = (uint8_t)val_nesting(v);
	}
}

/* Rearranges the fields of the container that is being closed; returns how many remain. */
static size_t
sort_fields(struct pack *p, struct pack_frame *f)
{
	uint32_t *offsets = p->offsets.v + f->first;
	size_t    n = p->offsets.n - f->first;
	size_t    kept = 0;

	vec_reserve(&p->order, n);
	for (size_t i = 0; i < n; i++) {
		uint32_t end = i + 1 < n ? offsets[i + 1] : (uint32_t)p->out.n;

		p->order.v[i] = (struct pack_member){ offsets[i], end - offsets[i] };
	}
	sort_members(p, n);
	for (size_t i = 0; i < n; i++) {
		struct pack_member m = p->order.v[i];

		if (kept == 0 ||
		    !str_eq(name_at(p, p->order.v[kept - 1].at), name_at(p, m.at)))
			p->order.v[kept++] = m;
	}
	if (kept < n)
		recount(p, f, kept);
	buf_reset(&p->scratch);
	for (size_t i = 0; i < kept; i++)
		buf_add(&p->scratch, str_of(p->out.p + p->order.v[i].at, p->order.v[i].n));
	must(buf_ok(&p->scratch));
	p->out.n = f->start + HEAD_BYTES;
	for (size_t i = 0; i < kept; i++) {
		offsets[i] = (uint32_t)p->out.n;
		p->out.n += p->order.v[i].n;
	}
	memcpy(p->out.p + f->start + HEAD_BYTES, p->scratch.p, p->scratch.n);
	p->offsets.n = f->first + kept;
	return kept;
}

/* Inserts the offset table between the head and the members and fills in the head. */
static bool
finish_container(struct pack *p, const struct pack_frame *f, size_t n)
{
	size_t   table = 4 * n;
	size_t   body = f->start + HEAD_BYTES;
	uint8_t *at;

	if (!buf_reserve(&p->out, table)) {
		too_large(p, p->out.n + table);
		return false;
	}
	at = (uint8_t *)p->out.p + f->start;
	memmove(p->out.p + body + table, p->out.p + body, p->out.n - body);
	p->out.n += table;
	for (size_t i = 0; i < n; i++)
		store_u32(at + HEAD_BYTES + 4 * i,
		    p->offsets.v[f->first + i] - f->start + (uint32_t)table);
	at[AT_NESTING] = (uint8_t)(f->nesting + 1);
	store_u32(at + AT_TOTAL, (uint32_t)(p->out.n - f->start));
	store_u32(at + AT_SIZE, f->size);
	store_u32(at + AT_COUNT, (uint32_t)n);
	return true;
}

void
pack_end(struct pack *p)
{
	struct pack_frame *f = top(p);
	struct pack_frame  done;
	size_t             n;

	if (p->err.st != ST_OK)
		return;
	must(f && !f->have_key);
	n = p->offsets.n - f->first;
	if (!f->sorted)
		n = sort_fields(p, f);
	if (!check_limits(p, f->object, n, f->size, f->nesting + 1) ||
	    !finish_container(p, f, n))
		return;
	done = *f;
	p->offsets.n = done.first;
	p->stack.n--;
	count_value(p, done.size, done.nesting + 1);
}

status
pack_done(struct pack *p, struct val *ret, struct err *e)
{
	struct val v;

	if (p->err.st == ST_OK) {
		must(p->stack.n == 0 && p->out.n > 0);
		v = (struct val){ (const uint8_t *)p->out.p, p->out.n };
		if (p->trusted || val_size(v) <= VALUE_MAX_BYTES) {
			*ret = v;
			return ST_OK;
		}
		too_large(p, val_size(v));
	}
	return e ? err_set_str(e, p->err.st, p->err.code.p, p->err.text) : p->err.st;
}

status
pack_done_in(struct pack *p, struct arena *a, struct val *ret, struct err *e)
{
	struct val v;

	TRY(pack_done(p, &v, e));
	*ret = (struct val){ memcpy(arena_alloc(a, v.n), v.p, v.n), v.n };
	return ST_OK;
}

struct val
val_of_str(struct arena *a, str utf8)
{
	struct pack p;
	struct val  v;
	status      st;

	pack_init(&p);
	pack_str(&p, utf8);
	st = pack_done_in(&p, a, &v, NULL);
	must(st == ST_OK);
	pack_clear(&p);
	return v;
}

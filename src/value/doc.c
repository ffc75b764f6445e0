/* doc.c - one revision of a document, shared by reference count.
 *
 * Thread: any; the count is atomic.  Memory: one malloc block.
 */
#include "value/doc.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/mem.h"
#include "value/pack.h"

static size_t
doc_room(size_t packed)
{
	size_t n = offsetof(struct doc, packed) + packed;

	return n < sizeof(struct doc) ? sizeof(struct doc) : n;
}

static bool
holds_commit_ts(struct val v)
{
	enum val_kind kind = val_kind(v);
	str           name;

	if (kind == VAL_COMMIT_TS)
		return true;
	if (kind != VAL_ARRAY && kind != VAL_OBJECT)
		return false;
	for (size_t i = 0; i < val_count(v); i++)
		if (holds_commit_ts(
			kind == VAL_ARRAY ? val_at(v, i) : val_field_at(v, i, &name)))
			return true;
	return false;
}

struct doc *
doc_new(struct uid tablet, struct docid id, double creation_time, struct val v)
{
	struct doc *d;

	must(val_kind(v) == VAL_OBJECT && v.n <= UINT32_MAX);
	d = mem_alloc(doc_room(v.n));
	memset(d, 0, offsetof(struct doc, packed));
	atomic_init(&d->refs, 1);
	d->bytes = (uint32_t)v.n;
	d->tablet = tablet;
	d->id = id;
	d->creation_time = creation_time;
	memcpy(d->packed, v.p, v.n);
	d->has_commit_ts = holds_commit_ts(v);
	return d;
}

struct doc *
doc_ref(struct doc *d)
{
	uint32_t before = atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);

	must(before > 0 && before < UINT32_MAX);
	return d;
}

void
doc_unref(struct doc *d)
{
	uint32_t before;

	if (!d)
		return;
	before = atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel);
	must(before > 0);
	if (before == 1)
		mem_free(d);
}

size_t
doc_bytes(const struct doc *d)
{
	return mem_chunk(doc_room(d->bytes));
}

static void
resolve(struct pack *p, struct val v, ts_t ts)
{
	enum val_kind kind = val_kind(v);

	if (kind == VAL_COMMIT_TS) {
		pack_int64(p, (int64_t)ts);
		return;
	}
	if (kind != VAL_ARRAY && kind != VAL_OBJECT) {
		pack_val(p, v);
		return;
	}
	if (kind == VAL_ARRAY)
		pack_array(p);
	else
		pack_object(p);
	for (size_t i = 0; i < val_count(v); i++) {
		str        name;
		struct val member;

		if (kind == VAL_ARRAY) {
			member = val_at(v, i);
		} else {
			member = val_field_at(v, i, &name);
			pack_key(p, name);
		}
		resolve(p, member, ts);
	}
	pack_end(p);
}

struct doc *
doc_resolve_commit_ts(const struct doc *d, ts_t ts)
{
	struct pack p;
	struct val  v;
	struct doc *copy;
	status      st;

	must(ts <= TS_MAX);
	pack_init(&p);
	p.trusted = true;
	resolve(&p, doc_val(d), ts);
	st = pack_done(&p, &v, NULL);
	must(st == ST_OK); /* the same value with a number for a token */
	copy = doc_new(d->tablet, d->id, d->creation_time, v);
	copy->ts = d->ts;
	pack_clear(&p);
	return copy;
}

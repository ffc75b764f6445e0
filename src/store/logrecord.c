/* logrecord.c - see logrecord.h.
 *
 * The reader trusts nothing: counts and lengths are checked against the bytes that are left,
 * and a payload must be used up exactly.
 *
 * Thread: any.  Memory: the reader's list of ids.
 */
#include "store/logrecord.h"
#include "value/vjson.h"

enum { FLAG_DELETED = 1, FLAG_OWN_DOC = 2 };

struct writer {
	struct buf *out;
	struct uid  slots[LOGRECORD_SLOTS];
};

static size_t
slot_of(const struct uid *u)
{
	uint32_t h = 0;

	for (size_t i = 0; i < sizeof u->b; i++)
		h = h * 31 + u->b[i];
	return (h ^ h >> 8) % LOGRECORD_SLOTS;
}

/* --- writing --- */

static void
put_varint(struct buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_add_byte(out, (uint8_t)(v | 0x80));
	buf_add_byte(out, (uint8_t)v);
}

static void
put_bytes(struct buf *out, str s)
{
	put_varint(out, s.n);
	buf_add(out, s);
}

static void
put_id(struct buf *out, const struct uid *u)
{
	buf_add(out, str_of((const char *)u->b, sizeof u->b));
}

static void
put_uid(struct writer *w, const struct uid *u)
{
	size_t slot = slot_of(u);

	if (uid_eq(w->slots[slot], *u)) {
		buf_add_byte(w->out, 1);
		buf_add_byte(w->out, (uint8_t)slot);
		return;
	}
	w->slots[slot] = *u;
	buf_add_byte(w->out, 0);
	put_id(w->out, u);
}

static void
put_doc(struct writer *w, const struct store_doc_write *d)
{
	size_t at;
	str    json;

	buf_add_byte(w->out, d->doc ? 0 : FLAG_DELETED);
	put_uid(w, &d->tablet);
	put_id(w->out, &d->id.uid);
	buf_add_u64le(w->out, d->prev_ts);
	if (!d->doc)
		return;
	must(!d->doc->has_commit_ts);
	/* The length goes in front of a text whose length is not known yet: four bytes, the
	 * varint stretched. */
	at = w->out->n;
	buf_add_u32le(w->out, 0);
	vjson_write(w->out, doc_val(d->doc), VJSON_ENCODED);
	must(buf_ok(w->out));
	json = str_from(buf_str(w->out), at + 4);
	must(json.n < 1u << 28);
	for (size_t i = 0; i < 4; i++)
		w->out->p[at + i] = (char)((json.n >> 7 * i & 0x7f) | (i < 3 ? 0x80 : 0));
}

static void
put_key(struct writer *w, const struct store_index_write *k, const struct store_commit *c)
{
	size_t own = 0, ndocs = c && !k->deleted ? c->ndocs : 0;

	while (own < ndocs && !uid_eq(c->docs[own].id.uid, k->doc) && own < 64)
		own++;
	if (own >= ndocs || own == 64)
		own = SIZE_MAX;
	buf_add_byte(w->out,
	    (uint8_t)((k->deleted ? FLAG_DELETED : 0) | (own != SIZE_MAX ? FLAG_OWN_DOC : 0)));
	put_uid(w, &k->index);
	if (!k->deleted) {
		put_uid(w, &k->tablet);
		if (own != SIZE_MAX)
			put_varint(w->out, own);
		else
			put_id(w->out, &k->doc);
	}
	put_bytes(w->out, k->key);
}

static void
put_commit(struct writer *w, const struct store_commit *c)
{
	buf_add_u64le(w->out, c->ts);
	put_varint(w->out, c->ndocs);
	for (size_t i = 0; i < c->ndocs; i++)
		put_doc(w, &c->docs[i]);
	put_varint(w->out, c->nkeys);
	for (size_t i = 0; i < c->nkeys; i++)
		put_key(w, &c->keys[i], c);
}

void
logrecord_write(struct buf *out, const struct store_batch *b)
{
	struct writer w = { .out = out };

	put_varint(out, b->ncommits);
	for (size_t i = 0; i < b->ncommits; i++)
		put_commit(&w, b->commits[i]);
	put_varint(out, b->nbackfill);
	for (size_t i = 0; i < b->nbackfill; i++) {
		buf_add_u64le(out, b->backfill[i].ts);
		put_key(&w, &b->backfill[i].key, NULL);
	}
	put_varint(out, b->nglobals);
	for (size_t i = 0; i < b->nglobals; i++) {
		put_bytes(out, b->globals[i].key);
		put_bytes(out, b->globals[i].json);
	}
}

/* --- reading --- */

static bool
get_varint(struct logrecord_reader *r, uint64_t *ret)
{
	uint64_t v = 0;

	for (int shift = 0; r->p < r->end && shift < 63; shift += 7) {
		uint8_t byte = *r->p++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* Every item takes a byte at least: a count beyond the bytes left is a lie. */
static bool
get_count(struct logrecord_reader *r, uint64_t *ret)
{
	return get_varint(r, ret) && *ret <= (uint64_t)(r->end - r->p);
}

static bool
get_u64(struct logrecord_reader *r, uint64_t *ret)
{
	if (r->end - r->p < 8)
		return false;
	*ret = 0;
	for (int i = 0; i < 8; i++)
		*ret |= (uint64_t)*r->p++ << 8 * i;
	return true;
}

static bool
get_byte(struct logrecord_reader *r, uint8_t *ret)
{
	if (r->p == r->end)
		return false;
	*ret = *r->p++;
	return true;
}

static bool
get_bytes(struct logrecord_reader *r, str *ret)
{
	uint64_t n;

	if (!get_count(r, &n))
		return false;
	*ret = str_of((const char *)r->p, (size_t)n);
	r->p += n;
	return true;
}

static bool
get_id(struct logrecord_reader *r, struct uid *ret)
{
	if ((size_t)(r->end - r->p) < sizeof ret->b)
		return false;
	memcpy(ret->b, r->p, sizeof ret->b);
	r->p += sizeof ret->b;
	return true;
}

static bool
get_uid(struct logrecord_reader *r, struct uid *ret)
{
	uint8_t how, slot;

	if (!get_byte(r, &how) || how > 1)
		return false;
	if (how == 1) {
		if (!get_byte(r, &slot) || slot >= LOGRECORD_SLOTS)
			return false;
		*ret = r->slots[slot];
		return true;
	}
	if (!get_id(r, ret))
		return false;
	r->slots[slot_of(ret)] = *ret;
	return true;
}

static bool
get_doc(struct logrecord_reader *r, struct logrecord_row *ret)
{
	uint8_t flags;

	if (!get_byte(r, &flags) || flags > FLAG_DELETED || !get_uid(r, &ret->tablet))
		return false;
	vec_push(&r->ids, r->p);
	if (!get_id(r, &ret->id) || !get_u64(r, &ret->prev_ts))
		return false;
	ret->ts = r->ts;
	ret->deleted = flags == FLAG_DELETED;
	return ret->deleted || get_bytes(r, &ret->json);
}

static bool
get_key(struct logrecord_reader *r, struct logrecord_row *ret)
{
	uint64_t own;
	uint8_t  flags;

	if (!get_byte(r, &flags) || flags >= (FLAG_DELETED | FLAG_OWN_DOC) ||
	    !get_uid(r, &ret->index))
		return false;
	ret->ts = r->ts;
	ret->deleted = flags == FLAG_DELETED;
	if (!ret->deleted && !get_uid(r, &ret->tablet))
		return false;
	if (flags == FLAG_OWN_DOC) {
		if (!get_varint(r, &own) || own >= r->ids.n)
			return false;
		memcpy(ret->id.b, r->ids.v[own], sizeof ret->id.b);
	} else if (!ret->deleted && !get_id(r, &ret->id)) {
		return false;
	}
	return get_bytes(r, &ret->key);
}

/* Reads the head of the next list: the reader has none left of the one that it is in. */
static bool
next_list(struct logrecord_reader *r)
{
	switch (r->state) {
	case IN_DOCS:
		r->state = IN_KEYS;
		return get_count(r, &r->left);
	case IN_COMMITS:
	case IN_KEYS:
		r->ids.n = 0;
		if (r->commits > 0) {
			r->commits--;
			r->state = IN_DOCS;
			return get_u64(r, &r->ts) && get_count(r, &r->left);
		}
		r->state = IN_BACKFILL;
		return get_count(r, &r->left);
	case IN_BACKFILL:
		r->state = IN_GLOBALS;
		return get_count(r, &r->left);
	case IN_GLOBALS:
	case AT_END:
		break;
	}
	r->state = AT_END;
	return r->p == r->end;
}

void
logrecord_reader_init(struct logrecord_reader *r, str payload)
{
	memset(r, 0, sizeof *r);
	r->p = (const uint8_t *)payload.p;
	r->end = r->p + payload.n;
	if (!get_count(r, &r->commits))
		r->end = NULL; /* never equal to p again: the first call says so */
}

void
logrecord_reader_clear(struct logrecord_reader *r)
{
	vec_clear(&r->ids);
}

status
logrecord_next(struct logrecord_reader *r, enum logrecord_kind *ret_kind,
    struct logrecord_row *ret)
{
	bool ok = r->end != NULL;

	while (ok && r->left == 0 && r->state != AT_END)
		ok = next_list(r);
	if (!ok)
		return ST_INTERNAL;
	memset(ret, 0, sizeof *ret);
	r->left -= r->state != AT_END;
	switch (r->state) {
	case IN_DOCS:
		*ret_kind = LOGRECORD_DOC;
		return get_doc(r, ret) ? ST_OK : ST_INTERNAL;
	case IN_KEYS:
		*ret_kind = LOGRECORD_KEY;
		return get_key(r, ret) ? ST_OK : ST_INTERNAL;
	case IN_BACKFILL:
		*ret_kind = LOGRECORD_BACKFILL;
		return get_u64(r, &r->ts) && get_key(r, ret) ? ST_OK : ST_INTERNAL;
	case IN_GLOBALS:
		*ret_kind = LOGRECORD_GLOBAL;
		return get_bytes(r, &ret->key) && get_bytes(r, &ret->json) ? ST_OK : ST_INTERNAL;
	case IN_COMMITS:
	case AT_END:
		break;
	}
	*ret_kind = LOGRECORD_END;
	return ST_OK;
}

/* cursor.c - sealing and unsealing cursors and journals (cursor_int.h).
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#include "base/enc.h"
#include "base/gcmsiv.h"
#include "base/hash.h"
#include "database/cursor_int.h"
#include "database/db_int.h"
#include "value/vjson.h"

#define VERSION 7

/* Tags of the messages: field number * 8 + wire type 2 (length-delimited). */
#define TAG_INSTANCE    (1 << 3 | 2)
#define TAG_AFTER       (2 << 3 | 2)
#define TAG_END         (3 << 3 | 2)
#define TAG_FINGERPRINT (4 << 3 | 2)
#define TAG_VALUES      (4 << 3 | 2)
#define TAG_END_CURSOR  (1 << 3 | 2)

static const uint8_t zero_nonce[GCMSIV_NONCE];

/* --- the query's identity --- */

static void
add_text(struct buf *b, str s)
{
	buf_add_u32be(b, (uint32_t)s.n);
	buf_add(b, s);
}

static void
add_value(struct buf *b, struct val v)
{
	size_t at = b->n;

	vjson_write(b, v, VJSON_ENCODED);
	buf_add_u32be(b, (uint32_t)(b->n - at));
}

static void
add_expr(struct buf *b, const struct expr *x)
{
	buf_add_byte(b, (uint8_t)x->op);
	buf_add_u32be(b, (uint32_t)x->n);
	add_text(b, x->field);
	if (x->op == EXPR_LITERAL)
		add_value(b, x->literal);
	for (size_t i = 0; i < x->n; i++)
		add_expr(b, x->args[i]);
}

static void
add_operator(struct buf *b, const struct query_op *op)
{
	buf_add_byte(b, op->filter != NULL);
	if (op->filter)
		add_expr(b, op->filter);
	else
		buf_add_u64be(b, op->limit);
}

void
query_fingerprint(const struct query *q, uint8_t ret[FINGERPRINT])
{
	const struct query_spec *s = q->spec;
	struct buf               b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add_byte(&b, (uint8_t)s->source);
	buf_add_byte(&b, s->desc);
	add_text(&b, s->table);
	add_text(&b, s->index);
	for (size_t i = 0; i < s->nrange; i++) {
		buf_add_byte(&b, (uint8_t)s->range[i].op);
		add_text(&b, s->range[i].field);
		add_value(&b, s->range[i].value);
	}
	for (size_t i = 0; i < s->nops; i++)
		add_operator(&b, &s->ops[i]);
	buf_add_byte(&b, 0xff);
	/* A table that does not exist yet will be scanned by creation time too. */
	if (!q->index)
		add_text(&b, S("_creationTime"));
	for (size_t i = 0; q->index && i < q->index->def.nfields; i++)
		add_text(&b, q->index->def.fields[i]);
	sha256(buf_str(&b), ret);
	buf_clear(&b);
}

/* --- messages --- */

static void
put_field(struct buf *b, uint8_t tag, str bytes)
{
	uint64_t n = bytes.n;

	buf_add_byte(b, tag);
	for (; n >= 0x80; n >>= 7)
		buf_add_byte(b, (uint8_t)(n | 0x80));
	buf_add_byte(b, (uint8_t)n);
	buf_add(b, bytes);
}

/* Takes one field off the front; false if there is none that we could have written. */
static bool
take_field(str *in, uint8_t *ret_tag, str *ret)
{
	uint64_t n = 0;
	size_t   at = 1;

	for (int shift = 0;; shift += 7) {
		uint8_t byte;

		if (at >= in->n || shift > 28)
			return false;
		byte = (uint8_t)in->p[at++];
		n |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	if (n > in->n - at)
		return false;
	*ret_tag = (uint8_t)in->p[0];
	*ret = str_of(in->p + at, n);
	*in = str_from(*in, at + n);
	return true;
}

static void
put_cursor(struct txn *t, struct buf *b, const struct position *p,
    const uint8_t fingerprint[FINGERPRINT])
{
	struct buf values;

	put_field(b, TAG_INSTANCE, db_instance_name(t->db));
	if (p->end) {
		put_field(b, TAG_END, STR_EMPTY);
	} else {
		buf_init(&values, BUF_MAX_DEFAULT);
		put_field(&values, TAG_VALUES, p->key);
		put_field(b, TAG_AFTER, buf_str(&values));
		buf_clear(&values);
	}
	put_field(b, TAG_FINGERPRINT, str_of(fingerprint, FINGERPRINT));
}

struct message {
	bool            has_instance, has_position;
	str             instance, fingerprint;
	struct position position;
};

static bool
take_cursor(str in, struct message *m)
{
	memset(m, 0, sizeof *m);
	while (in.n) {
		uint8_t tag, inner;
		str     field, rest;

		if (!take_field(&in, &tag, &field))
			return false;
		if (tag == TAG_INSTANCE) {
			m->instance = field;
			m->has_instance = true;
		} else if (tag == TAG_FINGERPRINT) {
			m->fingerprint = field;
		} else if (tag == TAG_END) {
			m->has_position = m->position.end = true;
		} else if (tag == TAG_AFTER) {
			rest = field;
			if (!take_field(&rest, &inner, &m->position.key) || inner != TAG_VALUES)
				return false;
			m->has_position = true;
		} else {
			return false;
		}
	}
	return m->has_instance && m->has_position;
}

/* --- envelopes --- */

static str
seal(struct txn *t, const uint8_t key[16], const uint8_t *nonce, bool with_nonce, str message)
{
	static const char version = VERSION;
	struct buf        raw, hex;
	str               text;

	buf_init(&raw, BUF_MAX_DEFAULT);
	buf_init(&hex, BUF_MAX_DEFAULT);
	buf_add_byte(&raw, VERSION);
	if (with_nonce)
		buf_add(&raw, str_of(nonce, GCMSIV_NONCE));
	gcmsiv_seal(key, nonce, str_of(&version, 1), message, &raw);
	enc_hex(&hex, buf_str(&raw));
	text = arena_str(t->arena, buf_str(&hex));
	buf_clear(&raw);
	buf_clear(&hex);
	return text;
}

/* The message inside, in the arena; false if it is not one of ours. */
static bool
unseal(struct txn *t, const uint8_t key[16], bool with_nonce, str text, str *ret)
{
	struct buf raw, plain;
	size_t     head = 1 + (with_nonce ? (size_t)GCMSIV_NONCE : 0);
	bool       ok = false;

	buf_init(&raw, BUF_MAX_DEFAULT);
	buf_init(&plain, BUF_MAX_DEFAULT);
	if (dec_hex(&raw, text) && raw.n >= head + GCMSIV_TAG && raw.p[0] == VERSION) {
		const uint8_t *nonce = with_nonce ? (const uint8_t *)raw.p + 1 : zero_nonce;

		ok = gcmsiv_open(key, nonce, str_of(raw.p, 1), str_from(buf_str(&raw), head),
		    &plain);
	}
	if (ok)
		*ret = arena_str(t->arena, buf_str(&plain));
	buf_clear(&raw);
	buf_clear(&plain);
	return ok;
}

str
cursor_seal(struct txn *t, const struct position *p, const uint8_t fingerprint[FINGERPRINT])
{
	struct buf message;
	str        text;

	buf_init(&message, BUF_MAX_DEFAULT);
	put_cursor(t, &message, p, fingerprint);
	text = seal(t, db_cursor_key(t->db), zero_nonce, false, buf_str(&message));
	buf_clear(&message);
	return text;
}

static status
unparsable(struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidCursor", "Failed to parse cursor");
}

static status
read_cursor(struct txn *t, str message, const uint8_t fingerprint[FINGERPRINT],
    struct position *ret, struct err *e)
{
	struct message m;
	status         st;

	if (!take_cursor(message, &m))
		return unparsable(e);
	if (!str_eq(m.instance, db_instance_name(t->db)))
		return err_set(e, ST_BAD_REQUEST, "InvalidCursor",
		    "Key is invalid for instance \"%.*s\"", STR_ARG(db_instance_name(t->db)));
	if (str_eq(m.fingerprint, str_of(fingerprint, FINGERPRINT))) {
		*ret = m.position;
		return ST_OK;
	}
	st = err_set(e, ST_BAD_REQUEST, "InvalidCursor",
	    "InvalidCursor: Tried to run a query starting from a cursor, but it looks like this "
	    "cursor is from a different query.");
	if (e)
		e->data = S("{\"isConvexSystemError\":true,\"paginationError\":\"InvalidCursor\"}");
	return st;
}

status
cursor_unseal(struct txn *t, str text, const uint8_t fingerprint[FINGERPRINT],
    struct position *ret, struct err *e)
{
	str message;

	if (!unseal(t, db_cursor_key(t->db), false, text, &message))
		return unparsable(e);
	return read_cursor(t, message, fingerprint, ret, e);
}

str
journal_seal(struct txn *t, const struct position *p, const uint8_t fingerprint[FINGERPRINT])
{
	struct buf cursor, message;
	uint8_t    nonce[GCMSIV_NONCE];
	str        text;

	buf_init(&cursor, BUF_MAX_DEFAULT);
	buf_init(&message, BUF_MAX_DEFAULT);
	put_cursor(t, &cursor, p, fingerprint);
	put_field(&message, TAG_END_CURSOR, buf_str(&cursor));
	os_random(db_os(t->db), nonce, sizeof nonce);
	text = seal(t, db_journal_key(t->db), nonce, true, buf_str(&message));
	buf_clear(&cursor);
	buf_clear(&message);
	return text;
}

status
journal_unseal(struct txn *t, str text, const uint8_t fingerprint[FINGERPRINT],
    struct position *ret, struct err *e)
{
	str     message, cursor;
	uint8_t tag;

	if (!unseal(t, db_journal_key(t->db), true, text, &message) ||
	    !take_field(&message, &tag, &cursor) || tag != TAG_END_CURSOR || message.n)
		return unparsable(e);
	return read_cursor(t, cursor, fingerprint, ret, e);
}

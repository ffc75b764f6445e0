/* txn_sys.c - our own reads and writes of system tables.
 *
 * No visibility, no schemas, no limits but two bounds against runaway code.  The intervals
 * read join the read set without counting toward the user's limit (spec 03 section 5.6).
 *
 * Thread: the transaction's.  Memory: documents are held by the transaction.
 */
#include "database/txn_int.h"
#include "value/sortkey.h"

#define SYSTEM_DOCS_MAX  40000
#define SYSTEM_BYTES_MAX ((uint64_t)128 << 20)

struct sys_scan {
	struct tscan scan;
	struct txn  *t;
	str          lo, hi;
	str          last; /* p == NULL: nothing read */
	bool         done;
};

static status
sys_open(struct txn *t, str table, str index, const struct val *eq, size_t n, size_t hint,
    struct sys_scan *ret, struct err *e)
{
	struct ttable           *tt = ttable_system(t, table);
	const struct index_info *ix = tt ? table_index(tt->info, index) : NULL;
	struct buf               key;

	if (!ix)
		return err_internal(e, "no system index %.*s.%.*s", STR_ARG(table), STR_ARG(index));
	if (!tt->info->system)
		txn_note_index(t, tt, ix);
	buf_init(&key, BUF_MAX_DEFAULT);
	index_prefix(&key, ix);
	for (size_t i = 0; i < n; i++)
		sortkey_add(&key, eq[i]);
	*ret = (struct sys_scan){ .t = t, .lo = arena_str(t->arena, buf_str(&key)) };
	buf_add_byte(&key, 0xff);
	ret->hi = arena_str(t->arena, buf_str(&key));
	buf_clear(&key);
	tscan_open(&ret->scan, t, tt, ix, ret->lo, ret->hi, false, hint);
	return ST_OK;
}

static status
sys_next(struct sys_scan *s, struct doc **ret, struct err *e)
{
	str key;

	TRY(tscan_next(&s->scan, &key, ret, e));
	if (*ret)
		s->last = key;
	else
		s->done = true;
	return ST_OK;
}

/* Records what was read: all of it, or up to the last key. */
static void
sys_close(struct sys_scan *s)
{
	struct buf end;

	if (s->done) {
		readlog_add(&s->t->derived, s->lo, s->hi);
	} else if (s->last.p) {
		buf_init(&end, BUF_MAX_DEFAULT);
		buf_add(&end, s->last);
		buf_add_byte(&end, 0);
		readlog_add(&s->t->derived, s->lo, buf_str(&end));
		buf_clear(&end);
	}
	tscan_close(&s->scan);
}

status
txn_sys_first(struct txn *t, str table, str index, const struct val *eq, size_t n,
    struct doc **ret, struct err *e)
{
	struct sys_scan s;
	status          st;

	TRY(sys_open(t, table, index, eq, n, 1, &s, e));
	st = sys_next(&s, ret, e);
	sys_close(&s);
	return st;
}

status
txn_sys_each(struct txn *t, str table, str index, const struct val *eq, size_t n,
    bool (*fn)(void *arg, struct doc *d), void *arg, struct err *e)
{
	struct sys_scan s;
	struct doc     *d = NULL;
	status          st;

	TRY(sys_open(t, table, index, eq, n, 0, &s, e));
	while ((st = sys_next(&s, &d, e)) == ST_OK && d)
		if (!fn(arg, d))
			break;
	sys_close(&s);
	return st;
}

status
txn_sys_get(struct txn *t, struct docid id, struct doc **ret, struct err *e)
{
	struct ttable *tt = ttable_system_numbered(t, id.table);

	*ret = NULL;
	if (!tt)
		return ST_OK;
	TRY(txn_current(t, tt, id, ret, e));
	readlog_point(&t->derived, txn_by_id_key(t, tt->info, id));
	return ST_OK;
}

static status
charge(struct txn *t, const struct doc *d, struct err *e)
{
	t->system_docs_written++;
	t->system_bytes_written += d ? d->bytes : 0;
	if (t->system_docs_written <= SYSTEM_DOCS_MAX &&
	    t->system_bytes_written <= SYSTEM_BYTES_MAX)
		return ST_OK;
	return err_internal(e, "a transaction wrote %llu system documents of %llu bytes",
	    (unsigned long long)t->system_docs_written,
	    (unsigned long long)t->system_bytes_written);
}

static status
put(struct txn *t, struct ttable *tt, struct docid id, struct doc *prev, struct doc *next,
    struct err *e)
{
	status st = charge(t, next, e);

	if (st != ST_OK) {
		doc_unref(next);
		return st;
	}
	txn_note_write(t, tt, false);
	return txn_put(t, tt, id, prev, next, e);
}

status
txn_sys_put_new(struct txn *t, struct ttable *tt, struct val value, struct docid *ret,
    struct err *e)
{
	struct docid id = txn_new_id(t, tt->info->number);
	struct doc  *d;

	TRY(txn_build(t, tt->info, id, txn_next_creation_time(t), value, &d, e));
	readlog_point(&t->derived, txn_by_id_key(t, tt->info, id));
	TRY(put(t, tt, id, NULL, d, e));
	*ret = id;
	return ST_OK;
}

status
txn_sys_insert(struct txn *t, str table, struct val value, struct docid *ret, struct err *e)
{
	struct ttable *tt = ttable_system(t, table);

	if (!tt)
		return err_internal(e, "no table %.*s", STR_ARG(table));
	return txn_sys_put_new(t, tt, value, ret, e);
}

/* The row that a write names: INTERNAL if it does not exist. */
static status
present(struct txn *t, struct docid id, struct ttable **ret_table, struct doc **ret,
    struct err *e)
{
	char text[ID_TEXT_MAX];

	TRY(txn_sys_get(t, id, ret, e));
	*ret_table = ttable_system_numbered(t, id.table);
	if (*ret)
		return ST_OK;
	id_format(id, text);
	return err_internal(e, "no row %s", text);
}

status
txn_sys_replace(struct txn *t, struct docid id, struct val value, struct err *e)
{
	struct ttable *tt;
	struct doc    *old, *d;

	TRY(present(t, id, &tt, &old, e));
	TRY(txn_build(t, tt->info, id, old->creation_time, value, &d, e));
	return put(t, tt, id, old, d, e);
}

status
txn_sys_delete(struct txn *t, struct docid id, struct err *e)
{
	struct ttable *tt;
	struct doc    *old;

	TRY(present(t, id, &tt, &old, e));
	return put(t, tt, id, old, NULL, e);
}

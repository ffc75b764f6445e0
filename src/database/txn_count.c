/* txn_count.c - db.count: how many documents a table has (spec 03 sections 6.1 and 9).
 *
 * The number that the committer keeps, plus what this transaction adds; a scan if nobody has
 * counted the table since the server started.
 *
 * Thread: the transaction's.  Memory: its arena.
 */
#include "database/counts.h"
#include "database/txn_int.h"

static status
count_by_scan(struct txn *t, struct ttable *tt, const struct key_range *all, int64_t *ret,
    struct err *e)
{
	struct tscan s;
	struct doc  *d = NULL;
	int64_t      n = 0;
	str          key;
	status       st;

	tscan_open(&s, t, tt, tt->info->by_id, all->lo, all->hi, false, 1024);
	s.borrow = true;
	while ((st = tscan_next(&s, &key, &d, e)) == ST_OK && d)
		n++;
	tscan_close(&s);
	if (st == ST_OK)
		*ret = n;
	return st;
}

/* What this transaction adds to the table. */
static int64_t
count_own(const struct txn *t, struct uid tablet)
{
	int64_t n = 0;

	for (size_t i = 0; i < t->writes.n; i++) {
		const struct twrite *w = t->writes.v[i];

		if (w->cur && uid_eq(w->tablet, tablet))
			n += (w->cur->doc != NULL) - (w->old && w->old->doc);
	}
	return n;
}

/* Free of limits: the answer is a number, whatever it took.  It depends on every row. */
static status
count_rows(struct txn *t, struct ttable *tt, double *ret, struct err *e)
{
	struct buf      *b = &t->key;
	struct key_range all;
	struct readlog   log;
	struct readset  *reads;
	int64_t          n = 0, own = count_own(t, tt->tablet);
	bool             keep;
	status           st;

	buf_reset(b);
	index_prefix(b, tt->info->by_id);
	all.lo = arena_str(t->arena, buf_str(b));
	buf_add_byte(b, 0xff);
	all.hi = arena_str(t->arena, buf_str(b));
	readlog_add(&t->reads, all.lo, all.hi);
	if (!tt->fresh && db_count_known(t->db, tt->tablet, txn_ts(t), &n)) {
		*ret = (double)(n + own);
		return ST_OK;
	}
	readlog_init(&log, t->arena);
	readlog_add(&log, all.lo, all.hi);
	reads = readlog_freeze(&log);
	readlog_clear(&log);
	keep = !tt->fresh && db_count_begin(t->db, tt->tablet, txn_ts(t), reads);
	st = count_by_scan(t, tt, &all, &n, e);
	if (keep)
		db_count_end(t->db, tt->tablet, st == ST_OK ? n - own : -1);
	readset_unref(reads);
	if (st == ST_OK)
		*ret = (double)n;
	return st;
}

status
txn_count(struct txn *t, str table, double *ret, struct err *e)
{
	str            backing = table;
	struct ttable *tt;

	if (identifier_check(table, e) != ST_OK)
		return bad_argument(e, "table", "db.count");
	*ret = 0;
	if (str_starts(table, S("_")) && !virtual_named(table, &backing) && !t->system)
		return ST_OK;
	tt = t->system ? ttable_system(t, backing) : ttable_named(t, t->component, backing);
	return tt ? count_rows(t, tt, ret, e) : ST_OK;
}

/* checker.c - the model of the bank and the promises held against it.
 *
 * The model is the list of all moments: the bank after each commit, in timestamp order.
 * Serializability is checked exactly: an attempt's reads must equal the bank at its snapshot,
 * and when it commits, nothing that it read may differ between its snapshot and now; then
 * all transactions have the effect of running alone, one after the other, at their
 * timestamps.
 *
 * Thread: one.  Memory: some hundred bytes per commit.
 */
#include "sim.h"

#include <stdio.h>

int64_t
bank_sum(const struct bank *b, uint32_t lo, uint32_t hi)
{
	int64_t sum = 0;

	for (uint32_t i = lo; i < hi && i < ACCOUNTS; i++)
		sum += b->balance[i] > 0 ? b->balance[i] : 0;
	return sum;
}

static struct moment *
newest(struct sim *s)
{
	must(s->checker.history.n > 0);
	return &s->checker.history.v[s->checker.history.n - 1];
}

void
checker_start(struct sim *s, ts_t ts, const struct bank *b)
{
	struct moment m = { .ts = ts, .bank = *b };

	vec_push(&s->checker.history, m);
}

/* Position of the first moment after ts. */
static size_t
position(struct sim *s, ts_t ts)
{
	size_t lo = 0, hi = s->checker.history.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->checker.history.v[mid].ts <= ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct bank *
checker_at(struct sim *s, ts_t ts)
{
	size_t i = position(s, ts);

	if (i == 0)
		sim_fail(s, "timestamp %llu is before the beginning", (unsigned long long)ts);
	return &s->checker.history.v[i - 1].bank;
}

const struct moment *
checker_op(struct sim *s, const char *op)
{
	for (size_t i = s->checker.history.n; i-- > 0;)
		if (strcmp(s->checker.history.v[i].op, op) == 0)
			return &s->checker.history.v[i];
	return NULL;
}

int64_t
bank_rich(const struct bank *b, uint32_t lo, uint32_t hi)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < ACCOUNTS; i++)
		if (b->balance[i] >= lo && b->balance[i] < hi)
			sum += b->balance[i] * 100 + 1;
	return sum;
}

bool
checker_had_text(struct sim *s, uint32_t table, ts_t from, ts_t to)
{
	size_t i = position(s, from);

	for (i -= i > 0; i < s->checker.history.n && s->checker.history.v[i].ts <= to; i++)
		if (s->checker.history.v[i].bank.notes[table].texts > 0 ||
		    s->checker.history.v[i].dropped[table])
			return true;
	return false;
}

/* --- reads --- */

static void
check_account(struct sim *s, const struct attempt *a, uint32_t owner, int64_t want, int64_t got,
    const char *what)
{
	if (got != want)
		sim_fail(s, "%s: %s: account %u was %lld, read as %lld at %llu",
		    a->op[0] ? a->op : "query", what, owner, (long long)want, (long long)got,
		    (unsigned long long)a->snapshot);
}

static void
check_read(struct sim *s, const struct attempt *a, const struct read *r, const struct bank *b,
    const char *what)
{
	bool same = true;

	switch (r->kind) {
	case READ_OWNERS:
		for (uint32_t i = r->lo; i < r->hi; i++)
			check_account(s, a, i, b->balance[i], r->seen.balance[i], what);
		break;
	case READ_BALANCES:
		for (uint32_t i = 0; i < ACCOUNTS; i++) {
			bool in = b->balance[i] >= r->lo && b->balance[i] < r->hi;

			check_account(s, a, i, in ? b->balance[i] : NOT_SEEN,
			    r->seen.balance[i], what);
		}
		break;
	case READ_NOTES:
		same = b->notes[r->lo].ints == r->seen.notes[r->lo].ints &&
		    b->notes[r->lo].texts == r->seen.notes[r->lo].texts;
		break;
	case READ_STRICT:
		same = b->strict[r->lo] == r->seen.strict[r->lo];
		break;
	}
	if (!same)
		sim_fail(s, "%s: %s: notes%u (%s) were read otherwise at %llu", a->op, what, r->lo,
		    r->kind == READ_STRICT ? "schema" : "rows",
		    (unsigned long long)a->snapshot);
}

void
checker_reads(struct sim *s, const struct attempt *a)
{
	const struct bank *then = checker_at(s, a->snapshot);

	for (size_t i = 0; i < a->nreads; i++)
		check_read(s, a, &a->reads[i], then, "not the snapshot");
}

static void
apply_notes(struct sim *s, struct moment *m, const struct attempt *a)
{
	struct notes *n = &m->bank.notes[a->table];

	n->ints += a->added.ints;
	n->texts += a->added.texts;
	if (a->dropped) {
		memset(n, 0, sizeof *n);
		m->dropped[a->table] = true;
	}
	if (a->push)
		memcpy(m->bank.strict, a->strict, sizeof m->bank.strict);
	for (uint32_t i = 0; i < NOTES; i++)
		if (m->bank.strict[i] && m->bank.notes[i].texts > 0)
			sim_fail(s, "notes%u have a text that their schema forbids", i);
}

void
checker_commit(struct sim *s, ts_t ts, const struct attempt *a)
{
	struct moment next = { .ts = ts, .bank = newest(s)->bank, .result = a->result };

	checker_reads(s, a);
	if (ts <= newest(s)->ts || ts <= a->snapshot)
		sim_fail(s, "%s: timestamp %llu is not the newest", a->op, (unsigned long long)ts);
	if (ts <= s->disk.promised)
		sim_fail(s, "%s: nothing was to happen at %llu any more", a->op,
		    (unsigned long long)ts);
	if (a->op[0] && checker_op(s, a->op))
		sim_fail(s, "%s was committed twice", a->op);
	for (size_t m = position(s, a->snapshot); m < s->checker.history.n; m++)
		for (size_t i = 0; i < a->nreads; i++)
			check_read(s, a, &a->reads[i], &s->checker.history.v[m].bank,
			    "changed before the commit");
	for (size_t i = 0; i < a->nwrites; i++)
		next.bank.balance[a->writes[i].owner] = a->writes[i].balance;
	apply_notes(s, &next, a);
	if (bank_sum(&next.bank, 0, ACCOUNTS) != bank_sum(&newest(s)->bank, 0, ACCOUNTS))
		sim_fail(s, "%s made or lost money", a->op);
	snprintf(next.op, sizeof next.op, "%s", a->op);
	vec_push(&s->checker.history, next);
	s->ncommits++;
	trace(s, "commit %s %llu", a->op, (unsigned long long)ts);
}

void
checker_crash(struct sim *s, ts_t durable)
{
	while (newest(s)->ts > durable) {
		trace(s, "lost %s", newest(s)->op);
		s->checker.history.n--;
	}
}

/* --- the database itself --- */

status
checker_look(struct sim *s, struct txn *t, struct err *e)
{
	const struct bank want = *checker_at(s, txn_ts(t)); /* the model moves while we read */
	struct bank       got;
	struct notes      n;

	TRY(bank_read(t, 0, ACCOUNTS, &got, e));
	for (uint32_t i = 0; i < ACCOUNTS; i++)
		if (got.balance[i] != want.balance[i])
			sim_fail(s, "account %u is %lld in the database and %lld in the model", i,
			    (long long)got.balance[i], (long long)want.balance[i]);
	for (uint32_t i = 0; i < NOTES; i++) {
		TRY(notes_read(t, i, &n, e));
		if (n.ints != want.notes[i].ints || n.texts != want.notes[i].texts)
			sim_fail(s, "notes%u are %d and %d in the database, %d and %d in the model",
			    i, n.ints, n.texts, want.notes[i].ints, want.notes[i].texts);
	}
	return ST_OK;
}

/* The documents of an index, each at its own key; their number. */
static size_t
audit_index(struct sim *s, struct snapshot *snap, const struct table_info *t,
    const struct index_info *ix)
{
	struct buf   lo, hi, key;
	struct scan *sc;
	struct doc  *d;
	str          at;
	size_t       n = 0;

	buf_init(&lo, 64);
	buf_init(&hi, 64);
	buf_init(&key, BUF_MAX_DEFAULT);
	index_prefix(&lo, ix);
	buf_add(&hi, buf_str(&lo));
	buf_add_byte(&hi, 0xff);
	sc = scan_open(snap, t, ix, buf_str(&lo), buf_str(&hi), false, 1000);
	for (;; n++) {
		if (scan_next(sc, &at, &d, NULL) != ST_OK)
			sim_fail(s, "%.*s.%.*s cannot be read", STR_ARG(t->name),
			    STR_ARG(ix->def.name));
		if (!d)
			break;
		buf_reset(&key);
		index_key(&key, ix, doc_val(d));
		if (!str_eq(buf_str(&key), at))
			sim_fail(s, "%.*s.%.*s has a document under a wrong key", STR_ARG(t->name),
			    STR_ARG(ix->def.name));
	}
	scan_close(sc);
	buf_clear(&lo);
	buf_clear(&hi);
	buf_clear(&key);
	return n;
}

static void
audit(struct sim *s, struct snapshot *snap)
{
	const struct table_info *t;

	for (size_t i = 0; (t = catalog_table_at(snapshot_catalog(snap), i)); i++) {
		size_t n;

		if (t->state != TABLE_ACTIVE || t->system)
			continue;
		n = audit_index(s, snap, t, t->by_id);
		for (size_t k = 0; k < t->nindexes; k++)
			if (t->indexes[k].state != INDEX_BACKFILLING &&
			    audit_index(s, snap, t, &t->indexes[k]) != n)
				sim_fail(s, "%.*s.%.*s has not as many entries as %zu documents",
				    STR_ARG(t->name), STR_ARG(t->indexes[k].def.name), n);
	}
}

void
checker_database(struct sim *s)
{
	struct txn_opts o = { .snapshot = db_snapshot(s->server.db), .writer = S("checker") };
	struct txn     *t = txn_begin(&o);

	if (checker_look(s, t, NULL) != ST_OK)
		sim_fail(s, "the database cannot be read");
	for (size_t i = 1; i < s->checker.history.n; i++)
		if (s->checker.history.v[i].op[0] &&
		    bank_count_ops(t, s->checker.history.v[i].op) != 1)
			sim_fail(s, "%s is not in the database once", s->checker.history.v[i].op);
	audit(s, txn_snapshot(t));
	txn_free(t);
}

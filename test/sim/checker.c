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

static void
check_read(struct sim *s, const struct attempt *a, const struct read *r, const struct bank *b,
    const char *what)
{
	for (uint32_t i = r->lo; i < r->hi; i++)
		if (r->seen.balance[i] != b->balance[i])
			sim_fail(s, "%s: %s: account %u was %lld, read as %lld at %llu",
			    a->op[0] ? a->op : "query", what, i, (long long)b->balance[i],
			    (long long)r->seen.balance[i], (unsigned long long)a->snapshot);
}

void
checker_reads(struct sim *s, const struct attempt *a)
{
	const struct bank *then = checker_at(s, a->snapshot);

	for (size_t i = 0; i < a->nreads; i++)
		check_read(s, a, &a->reads[i], then, "not the snapshot");
}

void
checker_commit(struct sim *s, ts_t ts, const struct attempt *a)
{
	struct moment next = { .ts = ts, .bank = newest(s)->bank, .result = a->result };

	checker_reads(s, a);
	if (ts <= newest(s)->ts || ts <= a->snapshot)
		sim_fail(s, "%s: timestamp %llu is not the newest", a->op, (unsigned long long)ts);
	if (checker_op(s, a->op))
		sim_fail(s, "%s was committed twice", a->op);
	for (size_t m = position(s, a->snapshot); m < s->checker.history.n; m++)
		for (size_t i = 0; i < a->nreads; i++)
			check_read(s, a, &a->reads[i], &s->checker.history.v[m].bank,
			    "changed before the commit");
	for (size_t i = 0; i < a->nwrites; i++)
		next.bank.balance[a->writes[i].owner] = a->writes[i].balance;
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

void
checker_database(struct sim *s)
{
	struct txn_opts    o = { .snapshot = db_snapshot(s->server.db), .writer = S("checker") };
	struct txn        *t = txn_begin(&o);
	const struct bank *want = &newest(s)->bank;
	struct bank        got;

	if (bank_read(t, 0, ACCOUNTS, &got, NULL) != ST_OK)
		sim_fail(s, "the database cannot be read");
	for (uint32_t i = 0; i < ACCOUNTS; i++)
		if (got.balance[i] != want->balance[i])
			sim_fail(s, "account %u is %lld in the database and %lld in the model", i,
			    (long long)got.balance[i], (long long)want->balance[i]);
	for (size_t i = 1; i < s->checker.history.n; i++)
		if (bank_count_ops(t, s->checker.history.v[i].op) != 1)
			sim_fail(s, "%s is not in the database once", s->checker.history.v[i].op);
	txn_free(t);
}

/* verify_walk.c - all revisions and all index entries, in the order of their keys.
 *
 * Both walks merge the file and the tables that lie over it; SQLite does that without sorting,
 * because either side comes in the wanted order.
 *
 * Thread and memory: verify.h.
 */
#include "store/verify_int.h"

/* --- revisions --- */

typedef status doc_fn(void *arg, struct doc *d, struct err *e);

struct revisions {
	struct verify       *v;
	sqlite3_stmt        *st;
	bool                 check;
	doc_fn              *fn;
	void                *arg;
	struct sqlite_totals totals;
	struct verify_counts counts;

	/* The revision before the current one. */
	bool        any;
	struct uid  tablet, id;
	ts_t        ts;
	bool        deleted;
	struct doc *doc; /* NULL: a tombstone, or unreadable */
};

static void
problem_at(struct revisions *w, struct uid tablet, struct uid id, ts_t ts, const char *what)
{
	struct buf name;

	buf_init(&name, BUF_MAX_DEFAULT);
	verify_name(w->v, &name, tablet, id);
	verify_problem(w->v, "%.*s: the revision of %llu %s", STR_ARG(buf_str(&name)),
	    (unsigned long long)ts, what);
	buf_clear(&name);
}

/* The newest revision of a document is known when the next document begins. */
static status
finish_doc(struct revisions *w, struct err *e)
{
	status st = ST_OK;

	if (w->doc) {
		w->counts.documents++;
		st = w->fn(w->arg, w->doc, e);
	}
	doc_unref(w->doc);
	w->doc = NULL;
	return st;
}

static void
check_sum(struct revisions *w, const struct uid *tablet, const struct uid *id)
{
	sqlite3_stmt *st = w->st;
	str           json = { NULL, 0 };
	uint64_t      stored, sum;

	w->counts.revisions++;
	if (sqlite3_column_int(st, 7))
		return; /* the commit log has its own */
	if (sqlite3_column_type(st, 6) == SQLITE_NULL) {
		w->counts.unsummed++;
		return;
	}
	if (!sqlite3_column_int(st, 4))
		json = sqlite_column_bytes(st, 3);
	stored = (uint64_t)sqlite3_column_int64(st, 6);
	sum = sqlite_sum((ts_t)sqlite3_column_int64(st, 2), tablet, id, json,
	    (ts_t)sqlite3_column_int64(st, 5));
	w->totals.count++;
	w->totals.sum += stored;
	if (sum != stored)
		problem_at(w, *tablet, *id, (ts_t)sqlite3_column_int64(st, 2),
		    "does not match its checksum");
}

/* What retention has erased is a beginning: only the first one that is there may follow one
 * that is not.  After a tombstone a document begins anew. */
static void
check_chain(struct revisions *w, struct uid tablet, struct uid id, bool same)
{
	ts_t ts = (ts_t)sqlite3_column_int64(w->st, 2);
	ts_t prev = (ts_t)sqlite3_column_int64(w->st, 5);

	if (prev >= ts && prev > 0)
		problem_at(w, tablet, id, ts, "says that it replaces a later one");
	else if (same && prev != w->ts && !(w->deleted && prev == 0))
		problem_at(w, tablet, id, ts, "does not follow the one before it");
	else if (!same && sqlite3_column_int(w->st, 4) && prev == 0)
		problem_at(w, tablet, id, ts, "deletes a document that was never there");
}

static status
take_revision(struct revisions *w, struct err *e)
{
	str  tablet = sqlite_column_bytes(w->st, 0), id = sqlite_column_bytes(w->st, 1);
	bool same;

	if (tablet.n != sizeof w->tablet.b || id.n != sizeof w->id.b) {
		verify_problem(w->v, "an id in the table 'documents' does not have 16 bytes");
		return ST_OK;
	}
	same = w->any && memcmp(tablet.p, w->tablet.b, tablet.n) == 0 &&
	    memcmp(id.p, w->id.b, id.n) == 0;
	if (!same)
		TRY(finish_doc(w, e));
	doc_unref(w->doc);
	w->doc = NULL;
	memcpy(w->tablet.b, tablet.p, tablet.n);
	memcpy(w->id.b, id.p, id.n);
	if (w->check) {
		check_sum(w, &w->tablet, &w->id);
		check_chain(w, w->tablet, w->id, same);
	}
	w->any = true;
	w->ts = (ts_t)sqlite3_column_int64(w->st, 2);
	w->deleted = sqlite3_column_int(w->st, 4) != 0;
	if (!w->deleted && !verify_read_doc(w->v, w->st, &w->doc) && w->check)
		problem_at(w, w->tablet, w->id, w->ts, "cannot be read");
	return ST_OK;
}

static status
walk_revisions(struct revisions *w, struct err *e)
{
	int    rc = SQLITE_DONE;
	status st = ST_OK;

	while (st == ST_OK && (rc = sqlite3_step(w->st)) == SQLITE_ROW)
		st = take_revision(w, e);
	if (st == ST_OK)
		st = finish_doc(w, e);
	doc_unref(w->doc);
	if (st == ST_OK && rc != SQLITE_DONE)
		verify_problem(w->v, "the document log cannot be read to its end: %s",
		    sqlite3_errmsg(w->v->db));
	return st;
}

static status
count_commits(struct verify *v, uint64_t *ret, struct err *e)
{
	sqlite3_stmt *st = NULL;

	TRY(verify_prepare(v,
	    "SELECT (SELECT count(*) FROM (SELECT 1 FROM main.documents GROUP BY ts)) +"
	    " (SELECT count(*) FROM (SELECT 1 FROM temp.log_documents GROUP BY ts))",
	    &st, e));
	if (sqlite3_step(st) == SQLITE_ROW)
		*ret = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return ST_OK;
}

static status
check_totals(struct revisions *w, struct err *e)
{
	sqlite3_stmt *st = NULL;
	uint64_t      count = 0, sum = 0;
	int           rc;

	TRY(verify_prepare(w->v, "SELECT count, sum FROM main.fresnel_totals", &st, e));
	if ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		count = (uint64_t)sqlite3_column_int64(st, 0);
		sum = (uint64_t)sqlite3_column_int64(st, 1);
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_ROW)
		verify_problem(w->v, "the totals of the document log are missing");
	else if (w->totals.count < count)
		verify_problem(w->v, "%llu of %llu revisions are missing from the document log",
		    (unsigned long long)(count - w->totals.count), (unsigned long long)count);
	else if (w->totals.count > count)
		verify_problem(w->v, "the document log has %llu revisions that nobody wrote",
		    (unsigned long long)(w->totals.count - count));
	else if (w->totals.sum != sum)
		verify_problem(
		    w->v, "the revisions of the document log are not those that were written");
	return ST_OK;
}

status
verify_revisions(struct verify *v, doc_fn *fn, void *arg, struct verify_counts *ret,
    struct err *e)
{
	struct revisions w = { .v = v, .check = true, .fn = fn, .arg = arg };
	status           st;

	TRY(verify_prepare(v,
	    v->sums ? VERIFY_DOCUMENTS("sum", "") " ORDER BY 1, 2, 3"
		    : VERIFY_DOCUMENTS("NULL", "") " ORDER BY 1, 2, 3",
	    &w.st, e));
	st = walk_revisions(&w, e);
	sqlite3_finalize(w.st);
	TRY(st);
	if (v->sums)
		TRY(check_totals(&w, e));
	TRY(count_commits(v, &w.counts.commits, e));
	w.counts.log_records = v->log_records;
	*ret = w.counts;
	return ST_OK;
}

status
verify_documents(struct verify *v, struct uid tablet, doc_fn *fn, void *arg, struct err *e)
{
	struct revisions w = { .v = v, .fn = fn, .arg = arg };
	status           st;

	TRY(verify_prepare(v, VERIFY_DOCUMENTS("NULL", "WHERE table_id = ?1") " ORDER BY 1, 2, 3",
	    &w.st, e));
	sqlite_bind_uid(w.st, 1, &tablet);
	st = walk_revisions(&w, e);
	sqlite3_finalize(w.st);
	return st;
}

/* --- index entries --- */

struct entries {
	struct verify      *v;
	sqlite3_stmt       *st;
	bool                any, deleted; /* there is a newest one so far; it is a tombstone */
	struct verify_entry newest;       /* its key is `key` */
	struct buf          key;
	status (*fn)(void *arg, const struct verify_entry *entry, struct err *e);
	void *arg;
};

static status
finish_entry(struct entries *w, struct err *e)
{
	if (!w->any || w->deleted)
		return ST_OK;
	w->newest.key = buf_str(&w->key);
	return w->fn(w->arg, &w->newest, e);
}

static status
take_entry(struct entries *w, struct err *e)
{
	struct verify_entry next;
	bool                deleted;

	if (!verify_read_entry(w->v, w->st, &next, &deleted))
		return ST_OK;
	if (!w->any || !uid_eq(next.index, w->newest.index) ||
	    !str_eq(next.key, buf_str(&w->key))) {
		TRY(finish_entry(w, e));
		buf_reset(&w->key);
		buf_add(&w->key, next.key);
	}
	w->newest = next;
	w->deleted = deleted;
	w->any = true;
	return ST_OK;
}

status
verify_entries(struct verify *v, const struct uid *only,
    status (*fn)(void *arg, const struct verify_entry *entry, struct err *e), void *arg,
    struct err *e)
{
	struct entries w = { .v = v, .fn = fn, .arg = arg };
	status         st = ST_OK;
	int            rc = SQLITE_DONE;

	TRY(verify_prepare(v,
	    only ? VERIFY_ENTRIES("WHERE index_id = ?1") " ORDER BY 1, 2, 3, 7"
		 : VERIFY_ENTRIES("") " ORDER BY 1, 2, 3, 7",
	    &w.st, e));
	if (only)
		sqlite_bind_uid(w.st, 1, only);
	buf_init(&w.key, BUF_MAX_DEFAULT);
	while (st == ST_OK && (rc = sqlite3_step(w.st)) == SQLITE_ROW)
		st = take_entry(&w, e);
	if (st == ST_OK)
		st = finish_entry(&w, e);
	if (st == ST_OK && rc != SQLITE_DONE)
		verify_problem(v, "the index log cannot be read to its end: %s",
		    sqlite3_errmsg(v->db));
	sqlite3_finalize(w.st);
	buf_clear(&w.key);
	return st;
}

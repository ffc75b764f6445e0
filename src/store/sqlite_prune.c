/* sqlite_prune.c - erasing history (spec 03 section 7.7).
 *
 * Rows are found by the primary key of the index log and by documents_by_table_and_id; what
 * they had added to the totals of the document log is subtracted in the same transaction.
 *
 * Thread: whoever has the writer.  Memory: none.
 */
#include "runtime/thread.h"
#include "store/sqlite_int.h"

/* Runs a deletion that returns the checksums of what it has deleted. */
static status
delete_rows(struct sqlite_writer *w, enum write_stmt which, size_t *ret_rows, struct err *e)
{
	sqlite3_stmt *st = w->stmts[which];
	size_t        rows = 0;
	status        failed = ST_OK;
	int           rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		rows++;
		if (sqlite3_column_type(st, 0) == SQLITE_NULL)
			continue;
		w->totals.count--;
		w->totals.sum -= (uint64_t)sqlite3_column_int64(st, 0);
	}
	if (rc == SQLITE_DONE)
		*ret_rows = rows;
	else
		failed = sqlite_fail(w->db, e, sqlite_write_sql[which]);
	sqlite3_reset(st);
	return failed;
}

static sqlite3_int64
clamp(uint64_t v)
{
	return v > (uint64_t)INT64_MAX ? INT64_MAX : (sqlite3_int64)v;
}

static status
prune_key(struct sqlite_writer *w, const struct store_dead_key *k, struct err *e)
{
	sqlite3_stmt *st = w->stmts[WRITE_PRUNE_KEY];
	int           rc;

	rc = sqlite_bind_uid(st, 1, &k->index);
	rc |= sqlite_bind_bytes(st, 2, k->key);
	rc |= sqlite3_bind_int64(st, 3, clamp(k->upto));
	return rc == SQLITE_OK ? sqlite_run(w, WRITE_PRUNE_KEY, e)
			       : sqlite_fail(w->db, e, "bind a dead key");
}

static status
prune_doc(struct sqlite_writer *w, const struct store_dead_doc *d, struct err *e)
{
	sqlite3_stmt *st = w->stmts[WRITE_PRUNE_DOC];
	size_t        rows;
	int           rc;

	rc = sqlite_bind_uid(st, 1, &d->tablet);
	rc |= sqlite_bind_uid(st, 2, &d->id);
	rc |= sqlite3_bind_int64(st, 3, clamp(d->upto));
	return rc == SQLITE_OK ? delete_rows(w, WRITE_PRUNE_DOC, &rows, e)
			       : sqlite_fail(w->db, e, "bind a dead document");
}

static status
prune_all(struct sqlite_writer *w, const struct store_prune *p, struct err *e)
{
	TRY(sqlite_run(w, WRITE_BEGIN, e));
	for (size_t i = 0; i < p->nkeys; i++)
		TRY(prune_key(w, &p->keys[i], e));
	for (size_t i = 0; i < p->ndocs; i++)
		TRY(prune_doc(w, &p->docs[i], e));
	for (size_t i = 0; i < p->nglobals; i++)
		TRY(sqlite_put_global(w, &p->globals[i], e));
	return sqlite_commit(w, e);
}

status
sqlite_prune_rows(struct sqlite_writer *w, const struct store_prune *p, struct err *e)
{
	status st = prune_all(w, p, e);

	if (st != ST_OK)
		sqlite_roll_back(w);
	return st;
}

static status
erase(struct sqlite_writer *w, enum write_stmt which, size_t *ret_erased, struct err *e)
{
	TRY(sqlite_run(w, WRITE_BEGIN, e));
	TRY(delete_rows(w, which, ret_erased, e));
	return sqlite_commit(w, e);
}

status
sqlite_erase_rows(struct sqlite_writer *w, enum write_stmt which, struct uid owner, size_t limit,
    size_t *ret_erased, struct err *e)
{
	size_t erased;
	status st;

	if (sqlite_bind_uid(w->stmts[which], 1, &owner) != SQLITE_OK ||
	    sqlite3_bind_int64(w->stmts[which], 2, clamp(limit)) != SQLITE_OK)
		return sqlite_fail(w->db, e, "bind what to erase");
	st = erase(w, which, &erased, e);
	if (st == ST_OK)
		*ret_erased = erased;
	else
		sqlite_roll_back(w);
	return st;
}

/* --- the plain store --- */

status
sqlite_prune(void *self, const struct store_prune *p, struct err *e)
{
	struct sqlite_store *s = self;
	MUTEX_GUARD(&s->write_lock);

	must(s->magic == SQLITE_STORE_MAGIC);
	return sqlite_prune_rows(&s->writer, p, e);
}

status
sqlite_erase_index(void *self, struct uid index, size_t limit, size_t *ret_erased, struct err *e)
{
	struct sqlite_store *s = self;
	MUTEX_GUARD(&s->write_lock);

	must(s->magic == SQLITE_STORE_MAGIC);
	return sqlite_erase_rows(&s->writer, WRITE_ERASE_INDEX, index, limit, ret_erased, e);
}

status
sqlite_erase_table(void *self, struct uid tablet, size_t limit, size_t *ret_erased, struct err *e)
{
	struct sqlite_store *s = self;
	MUTEX_GUARD(&s->write_lock);

	must(s->magic == SQLITE_STORE_MAGIC);
	return sqlite_erase_rows(&s->writer, WRITE_ERASE_TABLE, tablet, limit, ret_erased, e);
}

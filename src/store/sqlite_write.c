/* sqlite_write.c - group commit: one SQL transaction for a whole batch.
 *
 * This is the path that every mutation waits for.  Statements are prepared once, values are
 * bound without copying, and all documents are written through one JSON buffer.
 *
 * Log rows and index entries are inserted plainly: a second row with the same key is an error
 * and fails the batch.  Backfilled entries and globals overwrite (spec 03 section 7.1).
 *
 * Every document row has a checksum of all its columns, and the transaction that writes it adds
 * it to the totals of the log: `fresnel verify` compares.
 *
 * Thread: whoever has the writer.  Memory: the writer's buffer, kept between batches.
 */
#include "base/hash.h"
#include "runtime/thread.h"
#include "store/sqlite_int.h"
#include "value/vjson.h"

const char *const sqlite_write_sql[WRITE_STMTS] = {
	[WRITE_BEGIN] = "BEGIN IMMEDIATE",
	[WRITE_COMMIT] = "COMMIT",
	[WRITE_ROLLBACK] = "ROLLBACK",
	[WRITE_DOC] = "INSERT INTO documents (id, ts, table_id, json_value, deleted, prev_ts, sum)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[WRITE_KEY] = "INSERT INTO indexes (index_id, ts, key, deleted, table_id, document_id)"
		      " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[WRITE_BACKFILL] =
	    "INSERT OR REPLACE INTO indexes (index_id, ts, key, deleted, table_id, document_id)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[WRITE_GLOBAL] =
	    "INSERT OR REPLACE INTO persistence_globals (key, json_value) VALUES (?1, ?2)",
	[WRITE_TOTALS] = "UPDATE fresnel_totals SET count = ?1, sum = ?2",
	[WRITE_PRUNE_KEY] = "DELETE FROM indexes WHERE index_id = ?1 AND key = ?2 AND ts <= ?3",
	[WRITE_PRUNE_DOC] =
	    "DELETE FROM documents WHERE table_id = ?1 AND id = ?2 AND ts <= ?3 RETURNING sum",
	[WRITE_ERASE_INDEX] =
	    "DELETE FROM indexes WHERE (index_id, key, ts) IN"
	    " (SELECT index_id, key, ts FROM indexes WHERE index_id = ?1 LIMIT ?2) RETURNING NULL",
	[WRITE_ERASE_TABLE] =
	    "DELETE FROM documents WHERE (ts, table_id, id) IN"
	    " (SELECT ts, table_id, id FROM documents WHERE table_id = ?1 LIMIT ?2) RETURNING sum",
};

/* Bindings stay, pointing at what they pointed at; every use binds all of them again. */
status
sqlite_run(struct sqlite_writer *w, enum write_stmt which, struct err *e)
{
	sqlite3_stmt *st = w->stmts[which];
	int           rc = sqlite3_step(st);
	status        failed;

	if (LIKELY(rc == SQLITE_DONE) && LIKELY(sqlite3_reset(st) == SQLITE_OK))
		return ST_OK;
	failed = sqlite_fail(w->db, e, sqlite_write_sql[which]);
	sqlite3_reset(st);
	return failed;
}

/* Some failures have rolled back already. */
void
sqlite_roll_back(struct sqlite_writer *w)
{
	w->totals = w->committed;
	if (!sqlite3_get_autocommit(w->db) &&
	    sqlite3_step(w->stmts[WRITE_ROLLBACK]) == SQLITE_DONE)
		sqlite3_reset(w->stmts[WRITE_ROLLBACK]);
}

status
sqlite_commit(struct sqlite_writer *w, struct err *e)
{
	if (w->totals.count != w->committed.count || w->totals.sum != w->committed.sum) {
		sqlite3_bind_int64(w->stmts[WRITE_TOTALS], 1, (sqlite3_int64)w->totals.count);
		sqlite3_bind_int64(w->stmts[WRITE_TOTALS], 2, (sqlite3_int64)w->totals.sum);
		TRY(sqlite_run(w, WRITE_TOTALS, e));
	}
	TRY(sqlite_run(w, WRITE_COMMIT, e));
	w->committed = w->totals;
	return ST_OK;
}

/* The text is hashed with a key that is the hash of the other columns. */
uint64_t
sqlite_sum(ts_t ts, const struct uid *tablet, const struct uid *id, str json, ts_t prev_ts)
{
	struct {
		uint64_t   ts, prev_ts, deleted;
		struct uid tablet, id;
	} head = { ts, prev_ts, json.p == NULL, *tablet, *id };

	_Static_assert(sizeof head == 56, "no padding");
	return hash_keyed(hash_keyed(0, 0, str_of((const char *)&head, sizeof head)), 0, json);
}

status
sqlite_put_doc(struct sqlite_writer *w, ts_t ts, const struct uid *tablet, const struct uid *id,
    str json, ts_t prev_ts, struct err *e)
{
	sqlite3_stmt *st = w->stmts[WRITE_DOC];
	uint64_t      sum = sqlite_sum(ts, tablet, id, json, prev_ts);
	int           rc;

	rc = sqlite_bind_uid(st, 1, id);
	rc |= sqlite3_bind_int64(st, 2, (sqlite3_int64)ts);
	rc |= sqlite_bind_uid(st, 3, tablet);
	rc |= json.p ? sqlite3_bind_text64(st, 4, json.p, json.n, SQLITE_STATIC, SQLITE_UTF8)
		     : sqlite3_bind_null(st, 4);
	rc |= sqlite3_bind_int(st, 5, json.p == NULL);
	rc |= prev_ts ? sqlite3_bind_int64(st, 6, (sqlite3_int64)prev_ts)
		      : sqlite3_bind_null(st, 6);
	rc |= sqlite3_bind_int64(st, 7, (sqlite3_int64)sum);
	if (rc != SQLITE_OK)
		return sqlite_fail(w->db, e, "bind a document");
	w->totals.count++;
	w->totals.sum += sum;
	return sqlite_run(w, WRITE_DOC, e);
}

static status
write_doc(struct sqlite_writer *w, ts_t ts, const struct store_doc_write *d, struct err *e)
{
	str json = { NULL, 0 };

	if (d->doc) {
		must(!d->doc->has_commit_ts);
		buf_reset(&w->json);
		vjson_write(&w->json, doc_val(d->doc), VJSON_ENCODED);
		must(buf_ok(&w->json));
		json = buf_str(&w->json);
	}
	return sqlite_put_doc(w, ts, &d->tablet, &d->id.uid, json, d->prev_ts, e);
}

status
sqlite_put_key(struct sqlite_writer *w, enum write_stmt which, ts_t ts,
    const struct store_index_write *k, struct err *e)
{
	sqlite3_stmt *st = w->stmts[which];
	int           rc;

	rc = sqlite_bind_uid(st, 1, &k->index);
	rc |= sqlite3_bind_int64(st, 2, (sqlite3_int64)ts);
	rc |= sqlite_bind_bytes(st, 3, k->key);
	rc |= sqlite3_bind_int(st, 4, k->deleted);
	rc |= k->deleted ? sqlite3_bind_null(st, 5) : sqlite_bind_uid(st, 5, &k->tablet);
	rc |= k->deleted ? sqlite3_bind_null(st, 6) : sqlite_bind_uid(st, 6, &k->doc);
	return rc == SQLITE_OK ? sqlite_run(w, which, e)
			       : sqlite_fail(w->db, e, "bind an index entry");
}

status
sqlite_put_global(struct sqlite_writer *w, const struct store_global *g, struct err *e)
{
	sqlite3_stmt *st = w->stmts[WRITE_GLOBAL];
	int           rc;

	rc = sqlite3_bind_text64(st, 1, g->key.p, g->key.n, SQLITE_STATIC, SQLITE_UTF8);
	rc |= sqlite3_bind_text64(st, 2, g->json.p, g->json.n, SQLITE_STATIC, SQLITE_UTF8);
	return rc == SQLITE_OK ? sqlite_run(w, WRITE_GLOBAL, e)
			       : sqlite_fail(w->db, e, "bind a global");
}

static status
write_commit(struct sqlite_writer *w, const struct store_commit *c, struct err *e)
{
	for (size_t i = 0; i < c->ndocs; i++)
		TRY(write_doc(w, c->ts, &c->docs[i], e));
	for (size_t i = 0; i < c->nkeys; i++)
		TRY(sqlite_put_key(w, WRITE_KEY, c->ts, &c->keys[i], e));
	return ST_OK;
}

static status
write_batch(struct sqlite_writer *w, const struct store_batch *b, struct err *e)
{
	TRY(sqlite_run(w, WRITE_BEGIN, e));
	for (size_t i = 0; i < b->ncommits; i++)
		TRY(write_commit(w, b->commits[i], e));
	for (size_t i = 0; i < b->nbackfill; i++)
		TRY(sqlite_put_key(w, WRITE_BACKFILL, b->backfill[i].ts, &b->backfill[i].key, e));
	for (size_t i = 0; i < b->nglobals; i++)
		TRY(sqlite_put_global(w, &b->globals[i], e));
	return sqlite_commit(w, e);
}

status
sqlite_write(void *self, const struct store_batch *b, struct err *e)
{
	struct sqlite_store  *s = self;
	struct sqlite_writer *w = &s->writer;
	status                st;
	MUTEX_GUARD(&s->write_lock);

	must(s->magic == SQLITE_STORE_MAGIC);
	st = write_batch(w, b, e);
	if (st != ST_OK)
		sqlite_roll_back(w);
	return st;
}

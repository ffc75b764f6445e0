/* logged_prune.c - erasing history behind the commit log.
 *
 * What is erased is in SQLite already (store.h: at or below the settled time), so nothing of
 * this goes through the log: it is done on SQLite's writing connection, between two
 * transactions of the applier.  Like those it is not synced: a power failure may undo it,
 * together with everything that SQLite was told later.
 *
 * A read that took its view before rows were applied and looks into SQLite after they were
 * erased would see an old row in the view and miss its tombstone.  `erasures` tells it to look
 * again (logged_read.c).
 *
 * Thread: any.  Memory: none.
 */
#include "store/logged_int.h"

/* Pages go to the file when there are many, as in the applier; only it knows what the commit log
 * may forget. */
static void
checkpoint_sometimes(struct logged_store *s)
{
	if (s->frames >= (int)s->opts.checkpoint_frames)
		logged_call_checkpoint(s);
}

status
logged_prune(void *self, const struct store_prune *p, struct err *e)
{
	struct logged_store *s = self;
	status               st;
	LOGGED_SQL_GUARD(s);

	must(s->magic == LOGGED_MAGIC);
	s->erasures++;
	st = sqlite_prune_rows(&s->sql->writer, p, e);
	checkpoint_sometimes(s);
	return st;
}

static status
erase(struct logged_store *s, enum write_stmt which, struct uid owner, size_t limit,
    size_t *ret_erased, struct err *e)
{
	status st;
	LOGGED_SQL_GUARD(s);

	must(s->magic == LOGGED_MAGIC);
	s->erasures++;
	st = sqlite_erase_rows(&s->sql->writer, which, owner, limit, ret_erased, e);
	checkpoint_sometimes(s);
	return st;
}

status
logged_erase_index(void *self, struct uid index, size_t limit, size_t *ret_erased, struct err *e)
{
	return erase(self, WRITE_ERASE_INDEX, index, limit, ret_erased, e);
}

status
logged_erase_table(void *self, struct uid tablet, size_t limit, size_t *ret_erased, struct err *e)
{
	return erase(self, WRITE_ERASE_TABLE, tablet, limit, ret_erased, e);
}

ts_t
logged_settled_ts(void *self)
{
	struct logged_store *s = self;
	MUTEX_GUARD(&s->lock);

	return s->settled;
}

status
logged_stats(void *self, struct store_stats *ret, struct err *e)
{
	struct logged_store *s = self;

	must(s->magic == LOGGED_MAGIC);
	TRY(sqlite_stats(s->sql, ret, e));
	ret->file_bytes += commitlog_bytes(s->log);
	return ST_OK;
}

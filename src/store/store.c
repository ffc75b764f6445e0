/* store.c - what all stores share.
 *
 * Thread: the owner of the rows.  Memory: see store.h.
 */
#include "base/arena.h"
#include "store/store.h"

void
store_rows_init(struct store_rows *r)
{
	memset(r, 0, sizeof *r);
}

void
store_rows_clear(struct store_rows *r)
{
	for (size_t i = 0; i < r->rows.n; i++)
		doc_unref(r->rows.v[i].doc);
	vec_clear(&r->rows);
	arena_free(r->arena);
	store_rows_init(r);
}

status
store_no_revision(struct err *e)
{
	return err_set(e, ST_NOT_FOUND, "RevisionNotFound",
	    "the document has no revision at or before this time");
}

void
store_close(struct store *s)
{
	if (!s->v)
		return;
	s->v->close(s->self);
	*s = (struct store){ NULL, NULL };
}

status
store_full(struct err *e)
{
	return err_set(e, ST_OVERLOADED, "DatabaseFull",
	    "The disk that holds the database is full: writes are refused until there is space "
	    "again. Reads go on.");
}

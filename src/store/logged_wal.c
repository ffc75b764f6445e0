/* logged_wal.c - SQLite's files, as a stopped process left them, are made sure of.
 *
 * What a process finds need not be on the disk: its predecessor may have been killed before a
 * sync, or stopped because one failed, and after that the kernel may count pages as written that
 * are not (commitlog_recover.c).  For the commit log that is mended when it is read.  SQLite's own
 * log matters when a checkpoint moves it into the database, because it must be there to repair what
 * is half moved when the power goes; and when its word is taken that there is a commit log, or not.
 * So before the first checkpoint, and before the first use of a commit log, what was found in it
 * is written again as it is, and synced.  The database's first pages are so too: if SQLite finds
 * an empty file it throws its log away.
 *
 * All goes through SQLite's own descriptors: closing another one would drop its locks.
 *
 * Thread: whoever has sql_lock.  Memory: a piece of a file at a time.
 */
#include "store/logged_int.h"

/* SQLite's files take less than 128 KiB at once (os_unix.c cuts what is longer). */
enum { PIECE = 64 << 10, FIRST_PAGES = 64 << 10 };

/* Of the database or of SQLite's log; NULL: not open. */
static sqlite3_file *
file_of(struct logged_store *s, int which)
{
	sqlite3_file *f = NULL;

	if (sqlite3_file_control(s->sql->writer.db, "main", which, &f) != SQLITE_OK)
		return NULL;
	return f && f->pMethods ? f : NULL;
}

static sqlite3_int64
size_of(sqlite3_file *f)
{
	sqlite3_int64 size = 0;

	return f && f->pMethods->xFileSize(f, &size) == SQLITE_OK ? size : 0;
}

static status
rewrite(struct logged_store *s, sqlite3_file *f, sqlite3_int64 size, struct err *e)
{
	char *piece = mem_alloc(PIECE);
	int   rc = SQLITE_OK;

	for (sqlite3_int64 at = 0; at < size && rc == SQLITE_OK; at += PIECE) {
		int n = size - at < PIECE ? (int)(size - at) : PIECE;

		rc = f->pMethods->xRead(f, piece, n, at);
		if (rc == SQLITE_OK)
			rc = f->pMethods->xWrite(f, piece, n, at);
	}
	if (rc == SQLITE_OK)
		rc = f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
	mem_free(piece);
	if (rc != SQLITE_OK)
		return err_internal(e, "cannot make sure of SQLite's files of '%s': error %d",
		    s->sql->path, rc);
	return ST_OK;
}

void
logged_find_wal(struct logged_store *s)
{
	s->old_wal = size_of(file_of(s, SQLITE_FCNTL_JOURNAL_POINTER));
}

status
logged_harden_wal(struct logged_store *s, struct err *e)
{
	if (s->old_wal == 0)
		return ST_OK;
	TRY(rewrite(s, file_of(s, SQLITE_FCNTL_JOURNAL_POINTER), s->old_wal, e));
	s->old_wal = 0;
	return ST_OK;
}

status
logged_harden_database(struct logged_store *s, struct err *e)
{
	sqlite3_file *f = file_of(s, SQLITE_FCNTL_FILE_POINTER);
	sqlite3_int64 size = size_of(f);

	if (size > 0)
		TRY(rewrite(s, f, size < FIRST_PAGES ? size : FIRST_PAGES, e));
	return logged_harden_wal(s, e);
}

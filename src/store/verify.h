/* verify.h - a database that nobody has open, looked at without changing it.
 *
 * The file is opened read-only under the server's lock.  What a killed server has left in the
 * commit log is laid over it from temporary tables, so what is looked at is what the next start
 * will find.  Nothing here is proportional to the size of the data: rows are walked in the order of
 * keys, and a caller that wants to compare two sides adds up hashes.
 *
 * What is wrong is no failure: it is told to the sink, one sentence each, and looking goes on.
 *
 * Thread: one.  Memory: one row at a time; temporary tables are SQLite's, in files if large.
 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store/store.h"

struct verify_sink {
	void (*problem)(void *arg, str text);
	/* Appends how a document is called; NULL, or false: by its raw ids. */
	bool (*name)(void *arg, struct buf *out, struct uid tablet, struct uid id);
	void *arg;
};

struct verify_counts {
	uint64_t commits;
	uint64_t revisions;
	uint64_t unsummed;    /* of those: written before there were checksums */
	uint64_t documents;   /* that exist now */
	uint64_t log_records; /* of the commit log, not in SQLite yet */
};

struct verify_entry { /* the newest version of an index entry */
	struct uid index;
	str        key; /* valid for the call */
	ts_t       ts;
	struct uid tablet, doc;
};

struct verify;

/* CONFLICT: a server has it open; NOT_FOUND: there is no such file; OPERATIONAL: it is no
 * database, or one of a newer program. */
NODISCARD status verify_open(const char *path, const struct verify_sink *sink, struct verify **ret,
    struct err *e);
void             verify_close(struct verify *v); /* NULL is fine */
/* Appends "document ... of table ...". */
void             verify_name(struct verify *v, struct buf *out, struct uid tablet, struct uid id);
void             verify_problem(struct verify *v, const char *fmt, ...) PRINTF(2, 3);

/* The trees of the file (SQLite's quick_check), and the global entries. */
NODISCARD status verify_pages(struct verify *v, struct err *e);
/* Every revision: its checksum, its place in the chain of its document; all of them: the totals.
 * fn: the newest one of each document, in the order of (table, id); tombstones are left out. */
NODISCARD status verify_revisions(struct verify *v, status (*fn)(void *arg, struct doc *d,
    struct err *e), void *arg, struct verify_counts *ret, struct err *e);

/* The newest revisions of one table, nothing checked but that they can be read. */
NODISCARD status verify_documents(struct verify *v, struct uid tablet,
    status (*fn)(void *arg, struct doc *d, struct err *e), void *arg, struct err *e);
/* The newest version of every entry in the order of (index, key); tombstones are left out.
 * `only`: of one index; NULL: of all. */
NODISCARD status verify_entries(struct verify *v, const struct uid *only,
    status (*fn)(void *arg, const struct verify_entry *entry, struct err *e), void *arg,
    struct err *e);
/* NOT_FOUND if there is none, or a tombstone. */
NODISCARD status verify_entry(struct verify *v, struct uid index, str key,
    struct verify_entry *ret, struct err *e);
NODISCARD status verify_document(struct verify *v, struct uid tablet, struct uid id,
    struct doc **ret, struct err *e);
NODISCARD status verify_global(struct verify *v, str key, struct buf *ret_json, struct err *e);

#endif

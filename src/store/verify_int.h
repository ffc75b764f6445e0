/* verify_int.h - what the files of the verifier share.
 *
 * verify.c         opening, the commit log laid over the file, pages and single rows
 * verify_walk.c    the walks through all revisions and all index entries
 *
 * Thread and memory: verify.h.
 */
#ifndef STORE_VERIFY_INT_H
#define STORE_VERIFY_INT_H

#include "store/sqlite_int.h"
#include "store/verify.h"

struct verify {
	char                *path;
	int                  lock_fd;
	sqlite3             *db;
	bool                 sums; /* the format has checksums */
	struct verify_sink   sink;
	struct sqlite_reader parser; /* its pack and arena, nothing else */
	uint64_t             log_records;
};

/* Prepares a statement in which %s stands for nothing but constants of the callers. */
NODISCARD status verify_prepare(struct verify *v, const char *sql, sqlite3_stmt **ret,
    struct err *e);
/* A row of the document log as the statements here select it: table_id, id, ts, json_value,
 * deleted, prev_ts.  false: it cannot be read. */
bool verify_read_doc(struct verify *v, sqlite3_stmt *st, struct doc **ret);
/* index_id, key, ts, deleted, table_id, document_id.  false: told as a problem. */
bool verify_read_entry(struct verify *v, sqlite3_stmt *st, struct verify_entry *ret,
    bool *ret_deleted);

/* Both logs, with what the commit log adds.  src 1: from there. */
#define VERIFY_DOCUMENTS(sum, where)                                                               \
	"SELECT table_id, id, ts, json_value, deleted, prev_ts, " sum ", 0 AS src"                 \
	" FROM main.documents INDEXED BY documents_by_table_and_id " where                         \
	" UNION ALL SELECT table_id, id, ts, json_value, deleted, prev_ts, NULL, 1"                \
	" FROM temp.log_documents " where
#define VERIFY_ENTRIES(where)                                                                      \
	"SELECT index_id, key, ts, deleted, table_id, document_id, 0 AS src FROM main.indexes "    \
	where " UNION ALL SELECT index_id, key, ts, deleted, table_id, document_id, 1"             \
	" FROM temp.log_indexes " where

#endif

/* ddl.h - changes of tables, indexes and schemas, inside a transaction.
 *
 * What a push does to the catalogue (spec 03 sections 3.5, 4.4, 4.6; spec 02 section 7), in
 * terms of system documents.  The transaction sees its own changes at once.
 *
 * Thread: the transaction's.
 */
#ifndef DATABASE_DDL_H
#define DATABASE_DDL_H

#include "database/txn.h"

/* Creates the table with by_id and by_creation_time unless it exists.  number 0: next free.
 * InvalidTableName, TooManyTables. */
NODISCARD status ddl_ensure_table(struct txn *t, str name, uint32_t number,
    const struct table_info **ret, struct err *e);
/* Sets it to deleting and removes its indexes; schema checks of spec 03 section 4.3. */
NODISCARD status ddl_delete_table(struct txn *t, str name, struct err *e);

/* The system tables that each component owns (spec 03 section 3.2), for the transaction's
 * component; those that exist are left alone. */
NODISCARD status ddl_create_namespace(struct txn *t, struct err *e);

struct index_change {
	str              table;
	struct index_def def;
};

/* Spec 02 section 5.4. */
struct index_diff {
	/* In the transaction's arena; never cleared. */
	VEC(struct index_change) added, removed, enabled, disabled;
};

/* Section 7.3, the start_push column.  schema NULL: nothing is prepared, the diff is against
 * the empty set.  dry: compute the diff only. */
NODISCARD status ddl_prepare_indexes(struct txn *t, const struct schema *s, bool dry,
    struct index_diff *ret, struct err *e);
/* The finish_push column: everything wanted must be backfilled (else INTERNAL). */
NODISCARD status ddl_commit_indexes(struct txn *t, const struct schema *s, struct index_diff *ret,
    struct err *e);

/* Section 7.2.  *ret: the id of the pending, validated or active row that now stands for it. */
NODISCARD status ddl_submit_schema(struct txn *t, const struct schema *s, struct docid *ret,
    struct err *e);
/* id NULL: clears the active schema.  SchemaAlreadyFailed, SchemaAlreadyOverwritten,
 * INTERNAL if still pending. *ret_prev, *ret_next: stored texts, p == NULL: none. */
NODISCARD status ddl_activate_schema(struct txn *t, const struct docid *id, str *ret_prev,
    str *ret_next, struct err *e);

enum ddl_progress { DDL_IN_PROGRESS, DDL_COMPLETE, DDL_FAILED, DDL_RACE };
struct ddl_state {
	enum ddl_progress progress;
	bool   schema_complete;
	size_t indexes_complete, indexes_total;
	str    error;  /* DDL_FAILED */
	str    table;  /* DDL_FAILED; p == NULL: none */
};
/* What wait_for_schema reports (spec 02 section 7.1); reads are in the transaction's read set. */
NODISCARD status ddl_schema_state(struct txn *t, const struct docid *schema_id,
    struct ddl_state *ret, struct err *e);

/* Background work: validates pending schemas against existing documents, backfills indexes and
 * drops schema rows that failed or were overwritten more than an hour ago; a bounded step at
 * a time (500 documents), each step in transactions of its own.  Any one thread.  *ret_more:
 * call again, but leave the store a millisecond, a step may be waiting for rows to become
 * durable; else wait for the next catalogue change. */
NODISCARD status ddl_background_step(struct db *db, bool *ret_more, struct err *e);

#endif

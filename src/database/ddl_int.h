/* ddl_int.h - what the ddl*.c files and backfill.c share.
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#ifndef DATABASE_DDL_INT_H
#define DATABASE_DDL_INT_H

#include "database/ddl.h"
#include "database/txn_int.h"

/* Packing a row: ddl_row() opens the object in t->pack, ddl_row_done() closes it into the arena. */
struct pack *ddl_row(struct txn *t);
NODISCARD status ddl_row_done(struct txn *t, struct val *ret, struct err *e);

NODISCARD status ddl_insert_index(struct txn *t, struct uid tablet, const struct index_def *def,
    enum index_state state, bool staged, struct err *e);
/* Changes state and flag in place; `ix` is of the transaction's catalogue. */
NODISCARD status ddl_set_index(struct txn *t, const struct table_info *table,
    const struct index_info *ix, enum index_state state, bool staged, struct err *e);
/* All entries of a Backfilling index are there; *ret_was: its row says so already. */
NODISCARD status ddl_fill_index(struct txn *t, const struct table_info *table,
    const struct index_info *ix, bool *ret_was, struct err *e);
/* With what is left of its backfill. */
NODISCARD status ddl_drop_index(struct txn *t, const struct index_info *ix, struct err *e);
/* The row of _index_backfills; *ret NULL: none. */
NODISCARD status ddl_backfill_row(struct txn *t, struct uid index, struct doc **ret,
    struct err *e);

/* --- tables --- */

/* InvalidTableName; TooManyTables if there is no room for one more. */
NODISCARD status ddl_check_table_name(str name, struct err *e);
NODISCARD status ddl_check_table_count(struct txn *t, str name, struct err *e);
/* With by_id and by_creation_time, or the indexes of the system table. */
NODISCARD status ddl_insert_table(struct txn *t, str name, uint32_t number,
    enum table_state state, struct docid *ret, struct err *e);
/* TableConflict: `other` has the number that `name` should have. */
status ddl_number_conflict(struct txn *t, str name, const struct table_info *other,
    struct err *e);
/* Sets it to deleting and drops its indexes, whatever the schemas say. */
NODISCARD status ddl_discard_table(struct txn *t, const struct table_info *info, struct err *e);

/* "validated", "active", "overwritten" */
NODISCARD status ddl_set_schema_state(struct txn *t, struct docid id, const char *state,
    struct err *e);
/* The row of _schema_validation_progress; *ret NULL: none. */
NODISCARD status ddl_validation_row(struct txn *t, struct docid schema, struct doc **ret,
    struct err *e);

#endif

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
/* With what is left of its backfill. */
NODISCARD status ddl_drop_index(struct txn *t, const struct index_info *ix, struct err *e);
/* The row of _index_backfills; *ret NULL: none. */
NODISCARD status ddl_backfill_row(struct txn *t, struct uid index, struct doc **ret,
    struct err *e);

/* "validated", "active", "overwritten" */
NODISCARD status ddl_set_schema_state(struct txn *t, struct docid id, const char *state,
    struct err *e);
/* The row of _schema_validation_progress; *ret NULL: none. */
NODISCARD status ddl_validation_row(struct txn *t, struct docid schema, struct doc **ret,
    struct err *e);

#endif

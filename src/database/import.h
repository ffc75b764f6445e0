/* import.h - documents that bring their ids, and tables replaced as a whole.
 *
 * What a snapshot import is made of (spec 03 sections 2.5, 3.5): a hidden table is filled over
 * many transactions while the old one goes on serving; one more puts it in its place.  Readers
 * see either.  A hidden table that nobody activates is deleted after 14 days (retention.h).
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#ifndef DATABASE_IMPORT_H
#define DATABASE_IMPORT_H

#include "database/txn.h"

/* Creates a hidden table for `name` with the indexes that the active one of that name has.
 * number 0: the next free one; another one is checked when the table is activated, for ids of
 * the table that it replaces may well have the same.  InvalidTableName. */
NODISCARD status import_begin(
    struct txn *t, str name, uint32_t number, struct uid *ret_tablet, struct err *e);

/* Inserts into a hidden or an active table.  _id and _creationTime of `value` are kept; what is
 * absent is made up.  No schema is looked at.  InvalidDocumentError, DocumentExists,
 * DocumentDeleted; the last two also from txn_commit(), which checks against the revisions
 * that the store retains, and returns OCC while it is behind. */
NODISCARD status import_insert(
    struct txn *t, struct uid tablet, struct val value, struct docid *ret, struct err *e);

/* The hidden table becomes active; one of its name that is active is deleted.  TableConflict,
 * TooManyTables; CONFLICT if the other one's indexes have changed since import_begin(). */
NODISCARD status import_activate(struct txn *t, struct uid tablet, struct err *e);
/* Gives a hidden table up. */
NODISCARD status import_abandon(struct txn *t, struct uid tablet, struct err *e);

#endif

/* txn.h - a transaction: a snapshot, the writes laid over it, the intervals it read.
 *
 * Everything that depends on the documents alone (packing, sort keys, validation) happens
 * here, on the worker; the committer only checks and splices.
 *
 * Two faces: the user's (txn_get and friends take table and id texts, enforce visibility,
 * schemas and limits, and fail with the texts of spec 03) and the system's (txn_sys_*, for
 * our own code on system tables: no limits, no schemas).
 *
 * Thread: one owner.  Memory: one arena; documents returned are borrowed until txn_free().
 */
#ifndef DATABASE_TXN_H
#define DATABASE_TXN_H

#include "database/db.h"

/* Limits of spec 03 section 5.6 and their use so far. */
struct txn_usage {
	uint64_t bytes_read, docs_read, intervals;
	uint64_t bytes_written, docs_written;
	uint64_t functions_scheduled, scheduled_args_bytes;
	/* Of one call, for warnings. */
	uint64_t     scheduled_args_largest;
	uint64_t     largest_doc_bytes; /* written */
	struct docid largest_doc;
};

struct txn_limits {
	uint64_t bytes_read;           /* 16 MiB */
	uint64_t docs_read;            /* 32,000 */
	uint64_t intervals;            /* 4,096 */
	uint64_t bytes_written;        /* 16 MiB */
	uint64_t docs_written;         /* 16,000 */
	uint64_t functions_scheduled;  /* 1,000 */
	uint64_t scheduled_args_bytes; /* 16 MiB */
};

struct txn_opts {
	struct snapshot *snapshot;  /* taken over: one reference */
	bool             writable;
	bool             system;    /* a system function: sees every table (spec 03 section 3.1) */
	struct uid       component; /* zero: root */
	str              writer;    /* function path, for conflict reports; copied */
};

/* The npm package that a caller was bundled with, by what changed since (spec 03 section 3.1):
 * before 1.9.0 _storage tells its hashes in hex, before 1.6.1 there are no virtual tables. */
enum npm_age { NPM_CURRENT, NPM_BEFORE_1_9, NPM_BEFORE_1_6_1 };

struct txn;

struct txn *txn_begin(const struct txn_opts *opts);
void        txn_free(struct txn *t);

struct arena    *txn_arena(struct txn *t);    /* lives as long as the transaction */
struct catalog  *txn_catalog(struct txn *t);  /* with its own DDL */
struct snapshot *txn_snapshot(struct txn *t);
ts_t             txn_ts(const struct txn *t); /* of the snapshot */
bool             txn_writable(const struct txn *t);
struct uid       txn_component(const struct txn *t);
const struct txn_usage  *txn_usage(struct txn *t);
const struct txn_limits *txn_limits(const struct txn *t);
/* For a nested call's budget (spec 03 section 5.5); returns the limits that it replaced. */
struct txn_limits txn_set_limits(struct txn *t, const struct txn_limits *l);
/* For the operations that follow, until it is set again; a query keeps what it was opened with. */
void             txn_set_npm(struct txn *t, enum npm_age age);
/* Queries end with OPERATIONAL TXN_SLOW when the monotonic clock has passed `mono_ns`; 0: never. */
#define TXN_SLOW "QueryTooSlow"
void             txn_deadline(struct txn *t, uint64_t mono_ns);
struct readlog  *txn_reads(struct txn *t);
bool             txn_has_writes(const struct txn *t);

/* --- the user's face: spec 03 sections 2.2, 3.1, 5.4, 5.6; messages name db.get etc. --- */

/* table: n == 0 if not given.  `is_system`: called through db.system.  *ret NULL: no document. */
NODISCARD status txn_get(struct txn *t, str table, str id, bool is_system, struct doc **ret,
    struct err *e);
NODISCARD status txn_insert(struct txn *t, str table, struct val value, struct docid *ret,
    struct err *e);
/* Members that are UNDEFINED remove the field. */
NODISCARD status txn_patch(struct txn *t, str table, str id, struct val value, struct doc **ret,
    struct err *e);
NODISCARD status txn_replace(struct txn *t, str table, str id, struct val value, struct doc **ret,
    struct err *e);
NODISCARD status txn_delete(struct txn *t, str table, str id, struct doc **ret_old, struct err *e);
/* *ret_ok false: null.  `ret` receives the canonical text. */
NODISCARD status txn_normalize_id(struct txn *t, str table, str id, bool *ret_ok,
    char ret[ID_TEXT_MAX], struct err *e);
NODISCARD status txn_count(struct txn *t, str table, double *ret, struct err *e);

/* Nested calls (spec 03 section 5.5).  Marks nest; the newest is rolled back or released. */
struct txn_mark;
struct txn_mark *txn_mark(struct txn *t);
void             txn_rollback(struct txn *t, struct txn_mark *m);
void             txn_release(struct txn *t, struct txn_mark *m);
struct uid       txn_set_component(struct txn *t, struct uid component); /* returns the old one */
NODISCARD status txn_note_scheduled(struct txn *t, uint64_t args_bytes, struct err *e);

/* --- the system's face --- */

/* First document whose index key begins with the n values of `eq`; *ret NULL if none.
 * INTERNAL if table or index does not exist. */
NODISCARD status txn_sys_first(struct txn *t, str table, str index, const struct val *eq, size_t n,
    struct doc **ret, struct err *e);
/* All of them in index order; fn returns false to stop.  fn may write. */
NODISCARD status txn_sys_each(struct txn *t, str table, str index, const struct val *eq, size_t n,
    bool (*fn)(void *arg, struct doc *d), void *arg, struct err *e);
NODISCARD status txn_sys_get(struct txn *t, struct docid id, struct doc **ret, struct err *e);
NODISCARD status txn_sys_insert(struct txn *t, str table, struct val value, struct docid *ret,
    struct err *e);
NODISCARD status txn_sys_replace(struct txn *t, struct docid id, struct val value, struct err *e);
NODISCARD status txn_sys_delete(struct txn *t, struct docid id, struct err *e);

/* --- the end --- */

/* The intervals read so far; one reference for the caller. */
struct readset *txn_readset(struct txn *t);
/* db_commit() of what was written.  The transaction is only good for txn_free() afterwards. */
NODISCARD status txn_commit(struct txn *t, ts_t *ret_ts, struct conflict *ret_conflict,
    struct err *e);

#endif

/* txn_int.h - the inside of a transaction, for txn*.c, query*.c, page.c and ddl*.c.
 *
 * What it wrote is kept twice: by document (struct twrite, what db_commit() gets) and by
 * index key (struct overlay, what its own scans see).  Each change of either leaves an entry
 * in the undo log while a mark is open; rolling back replays it backwards.
 *
 * What it read is kept in two logs: `reads` are the intervals that count toward the limit
 * of spec 03 section 5.6, `derived` those of the catalogue and of our own system reads.
 *
 * Thread: the transaction's.  Memory: its arena; it holds a reference to every document that
 * it returned, read for a write, or made.
 */
#ifndef DATABASE_TXN_INT_H
#define DATABASE_TXN_INT_H

#include "base/map.h"
#include "database/catalog_int.h"
#include "database/overlay_int.h"
#include "database/txn.h"

/* A table as this transaction sees it, with the catalogue reads already recorded. */
struct ttable {
	const struct table_info *info;   /* of the transaction's catalogue; refreshed by name */
	struct uid               tablet;
	bool                     noted;  /* its row of _tables is in the read set */
	bool                     noted_write;
	bool                     fresh;  /* created by this transaction: the snapshot has nothing */
	uint64_t                 noted_indexes; /* bit i: row of indexes[i] is in the read set */
};

struct tkey { /* of one index */
	uint32_t no;
	str      key;
};

/* A document's state after a write, with its index keys; immutable. */
struct tversion {
	struct doc *doc; /* held; NULL: deleted */
	uint64_t    gen; /* of the catalogue that the keys were made for */
	size_t      nkeys;
	struct tkey keys[];
};

struct twrite {
	struct uid             tablet;
	struct docid           id;
	const struct tversion *old; /* before the transaction */
	const struct tversion *cur; /* NULL: rolled back, nothing written */
};

struct undo {
	struct twrite         *write; /* else a node of the overlay */
	const struct tversion *cur;
	struct over_node      *node;
	struct doc            *doc;
	bool                   on;
};

/* An id that came with its document: nobody may have had it before. */
struct claimed_id {
	const struct claimed_id *next;
	struct uid               tablet;
	struct docid             id;
};

struct query;

struct txn {
	struct arena    *arena;
	struct snapshot *snap;
	struct db       *db;
	struct catalog  *catalog;     /* one reference; the snapshot's or a copy with our DDL */
	bool             catalog_own; /* a copy that no mark shares */
	uint64_t         catalog_gen; /* never the same for two states of the catalogue */
	uint64_t         gen_counter;
	/* Rolled back, but their tables and indexes are still pointed at; one reference each. */
	VEC(struct catalog *) undone;
	bool             writable, system;
	struct uid       component;
	struct uid       mounted; /* the last component that was found to be so */
	enum npm_age     npm;
	str              writer;

	struct readlog reads;
	struct readlog derived;
	bool           noted_tables, noted_indexes;
	VEC(struct uid) noted_schemas; /* components whose schema states were recorded */
	const struct table_info *root_tables, *root_index; /* _tables and _index */
	VEC(struct ttable *) tables;

	VEC(struct doc *)    held;
	VEC(struct twrite *) writes;
	struct map          *by_doc;  /* tablet and uid to twrite; NULL: no writes yet */
	size_t               active;  /* writes with a current version */
	struct overlay       overlay;
	VEC(struct undo)     undo;
	struct txn_mark     *mark;    /* innermost; NULL: none */
	struct query        *queries; /* open ones */
	const struct claimed_id *claimed;

	struct txn_usage  usage;
	struct txn_limits limits;
	uint64_t          system_docs_written, system_bytes_written;
	uint64_t          deadline_ns; /* monotonic; 0: none */
	double            clock;      /* next _creationTime; 0: not started */
	uint8_t           random[14 * 16];
	size_t            random_left; /* ids still in `random` */
	struct pack       pack;
	struct buf        key;
};

/* --- tables and catalogue reads: txn_table.c --- */

/* NULL: no active table of that name in `component`; the absence is recorded. */
struct ttable *ttable_named(struct txn *t, struct uid component, str name);
struct ttable *ttable_numbered(struct txn *t, struct uid component, uint32_t number);
struct ttable *ttable_of(struct txn *t, const struct table_info *info);
/* Without visibility: the component's, else (for global system tables) the root's. */
struct ttable *ttable_system(struct txn *t, str name);
struct ttable *ttable_system_numbered(struct txn *t, uint32_t number);
void txn_note_index(struct txn *t, struct ttable *tt, const struct index_info *ix);
void txn_note_all_tables(struct txn *t);
void txn_note_all_indexes(struct txn *t);
/* Which schemas the component has. */
void txn_note_schemas(struct txn *t);
/* What every write to `tt` depends on (spec 03 section 5.2). */
void txn_note_write(struct txn *t, struct ttable *tt, bool schemas);

enum virtual_kind { VIRTUAL_NONE, VIRTUAL_STORAGE, VIRTUAL_SCHEDULED };
enum virtual_kind virtual_named(str table, str *ret_backing);
enum virtual_kind virtual_numbered(uint32_t number, str *ret_name);

/* --- reading under the overlay: txn_read.c --- */

/* The document at one full key; NULL: none.  Held by the transaction. */
NODISCARD status txn_lookup(struct txn *t, struct ttable *tt, const struct index_info *ix,
    str full_key, struct doc **ret, struct err *e);
/* Full key of a document in by_id, in t->key: good until the next use of it. */
str txn_by_id_key(struct txn *t, const struct table_info *info, struct docid id);
/* The newest version of a document by id, written or not; records nothing. */
NODISCARD status txn_current(struct txn *t, struct ttable *tt, struct docid id, struct doc **ret,
    struct err *e);
struct doc *txn_hold(struct txn *t, struct doc *d);      /* takes the reference */
NODISCARD status txn_charge_read(struct txn *t, const struct table_info *info, struct doc *d,
    struct err *e);
NODISCARD status txn_check_intervals(struct txn *t, struct err *e);

struct tscan { /* snapshot and overlay, merged; lives in the caller's memory */
	struct txn             *t;
	struct scan            *scan; /* NULL: nothing there or not needed */
	str                     lo, hi;
	bool                    desc;
	bool                    borrow; /* do not hold documents: good until the next call only */
	bool                    peeked;
	str                     snap_key;
	struct doc             *snap_doc; /* NULL with peeked: the snapshot is exhausted */
	str                     pos;      /* last key that was returned; p == NULL: none */
	struct over_node       *cand;     /* next node of the overlay */
	uint64_t                version;  /* of the overlay when cand was found */
};

void tscan_open(struct tscan *s, struct txn *t, struct ttable *tt, const struct index_info *ix,
    str lo, str hi, bool desc, size_t size_hint);
/* *ret_doc NULL at the end.  The document is held by the transaction, the key borrowed until
 * tscan_close(). */
NODISCARD status tscan_next(struct tscan *s, str *ret_key, struct doc **ret_doc, struct err *e);
void tscan_close(struct tscan *s);

/* Records what open queries have read so far (query.c). */
void txn_flush_queries(struct txn *t);

/* --- writing: txn_put.c, txn_doc.c --- */

/* Makes `next` (NULL: deleted; the reference is taken over) the document's new state.  `prev`
 * is the present one, NULL: none.  No checks, no limits; follows the catalogue if the table
 * shapes it. */
NODISCARD status txn_put(struct txn *t, struct ttable *tt, struct docid id, struct doc *prev,
    struct doc *next, struct err *e);
struct docid txn_new_id(struct txn *t, uint32_t table_number);
double       txn_next_creation_time(struct txn *t);
/* Private copy of the catalogue for one more edit. */
NODISCARD status txn_catalog_apply(struct txn *t, const struct doc *old, const struct doc *new,
    struct err *e);

/* A document of `body`'s members and the system fields; one reference for the caller.  Members
 * called _id and _creationTime in `body` are left out. */
NODISCARD status txn_build(struct txn *t, const struct table_info *info, struct docid id,
    double creation_time, struct val body, struct doc **ret, struct err *e);
/* `old` with the members of `patch` laid over it, as one value in t->pack. */
NODISCARD status txn_merge(struct txn *t, struct val old, struct val patch, struct val *ret,
    struct err *e);
/* The rules of spec 03 section 2.5 on what a write says about the system fields. */
NODISCARD status txn_check_system_fields(struct val body, struct docid id, double creation_time,
    struct err *e);
/* Structure (section 2.5) and size (1.4) of a user's document. */
NODISCARD status txn_check_doc(const struct doc *d, struct err *e);

/* A size with a binary unit, in `ret`. */
const char *bytes_text(uint64_t n, char *ret, size_t cap);

/* At the commit: DocumentExists, DocumentDeleted; OCC if it is not known yet (import.c). */
NODISCARD status import_check_claims(struct txn *t, struct conflict *ret_conflict, struct err *e);

/* --- schemas: txn_schema.c --- */

/* Fails if the active schema refuses the document; fails the pending schema if that does. */
NODISCARD status txn_enforce_schema(struct txn *t, const struct table_info *info,
    const struct doc *d, struct err *e);
/* Sets a pending or validated schema to failed. */
NODISCARD status txn_fail_schema(struct txn *t, const struct schema_info *s, str error, str table,
    struct err *e);

/* --- virtual tables: virtual.c --- */

/* Callers with a package that did not know virtual tables yet are told to upgrade. */
NODISCARD status virtual_check_npm(enum npm_age age, struct err *e);
/* What applications see of a backing document (spec 03 section 3.1); held. */
NODISCARD status virtual_doc(struct txn *t, enum virtual_kind kind, enum npm_age age,
    struct doc *backing, struct doc **ret, struct err *e);

/* --- system face, without the lookup by name --- */

NODISCARD status txn_sys_put_new(struct txn *t, struct ttable *tt, struct val value,
    struct docid *ret, struct err *e);

/* "Invalid argument `arg` for `method`: " in front of what is in `e`, code InvalidArgument. */
status bad_argument(struct err *e, const char *arg, const char *method);

#endif

/* doc.h - one revision of a document.
 *
 * Immutable and shared: indexes, snapshots, query results and frames that mention it hold
 * references to one blob.  `ts` is written once, by the committer, before the document is
 * published.
 *
 * Thread: any; the count is atomic.  Memory: one malloc block.
 */
#ifndef VALUE_DOC_H
#define VALUE_DOC_H

#include "base/buf.h"
#include "value/id.h"
#include "value/val.h"

typedef uint64_t ts_t; /* nanoseconds since the epoch; 0: none */
#define TS_MAX ((ts_t)INT64_MAX)

struct doc {
	_Atomic uint32_t refs;
	uint32_t         bytes;    /* of `packed` */
	struct uid       tablet;   /* the table's row in _tables */
	struct docid     id;
	uint16_t         held;     /* by so many entries of the database's tree; its owner's */
	bool             has_commit_ts; /* holds a COMMIT_TS token still to be resolved */
	ts_t             ts;       /* commit that wrote this revision; 0 while pending */
	double           creation_time;
	uint8_t          packed[]; /* an object with _id and _creationTime */
};

/* Copies `v`, an object that has _id and _creationTime already; one reference for the caller. */
struct doc *doc_new(struct uid tablet, struct docid id, double creation_time, struct val v);
struct doc *doc_ref(struct doc *d);   /* returns d */
void        doc_unref(struct doc *d); /* NULL is fine */

size_t      doc_bytes(const struct doc *d); /* of memory, as malloc rounds it */

static inline struct val
doc_val(const struct doc *d)
{
	return (struct val){ d->packed, d->bytes };
}

/* A copy with every COMMIT_TS token replaced by INT64 ts. */
struct doc *doc_resolve_commit_ts(const struct doc *d, ts_t ts);

#endif

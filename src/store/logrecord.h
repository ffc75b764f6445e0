/* logrecord.h - a batch as bytes: what a record of the commit log holds.
 *
 * Format 1, little-endian, varints of seven bits per byte, low bits first:
 *
 *     commits:  count, then for each  ts u64; documents; keys
 *     documents: count, then for each  flags u8 (1: deleted); tablet; id 16 bytes; prev_ts u64;
 *               unless deleted: JSON text with its length in front
 *     keys:     count, then for each  flags u8 (1: deleted, 2: the id is one of the commit's
 *               documents); index; unless deleted: tablet, id 16 bytes or the document's
 *               position; the key with its length in front
 *     backfill: count, then for each  ts u64; a key
 *     globals:  count, then for each  name and JSON text, lengths in front
 *
 * Tablets and indexes repeat a lot: 0 and 16 bytes spell one and put it into the slot that its
 * hash says; 1 and a slot number repeat it.
 *
 * Thread: any.  Memory: what a reader returns points into the payload.
 */
#ifndef STORE_LOGRECORD_H
#define STORE_LOGRECORD_H

#include "store/store.h"

enum { LOGRECORD_SLOTS = 64 };

enum logrecord_kind {
	LOGRECORD_END,
	LOGRECORD_DOC,
	LOGRECORD_KEY,
	LOGRECORD_BACKFILL,
	LOGRECORD_GLOBAL
};

struct logrecord_row {
	ts_t       ts; /* not of a global */
	bool       deleted;
	struct uid index;  /* of a key */
	struct uid tablet; /* of a document; of a key that is not deleted */
	struct uid id;     /* the same */
	ts_t       prev_ts;
	str        key;  /* of a key; a global's name */
	str        json; /* of a document that is not deleted; of a global */
};

/* A pull parser.  `state` says which list it is in. */
struct logrecord_reader {
	const uint8_t *p, *end;
	enum { IN_COMMITS, IN_DOCS, IN_KEYS, IN_BACKFILL, IN_GLOBALS, AT_END } state;
	uint64_t   commits, left; /* of the list of commits, of the list that it is in */
	ts_t       ts;
	VEC(const uint8_t *) ids; /* of the documents of the commit */
	struct uid slots[LOGRECORD_SLOTS];
};

/* Appends. */
void logrecord_write(struct buf *out, const struct store_batch *b);

void logrecord_reader_init(struct logrecord_reader *r, str payload);
void logrecord_reader_clear(struct logrecord_reader *r);
/* ST_INTERNAL: not a payload of this format (no text: a caller knows where it came from). */
NODISCARD status logrecord_next(struct logrecord_reader *r, enum logrecord_kind *ret_kind,
    struct logrecord_row *ret);

#endif

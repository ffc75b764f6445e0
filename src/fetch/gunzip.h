/* gunzip.h - gzip bodies, decoded no faster than they are read.
 *
 * Input is kept until there is room for what it unfolds to, so that a small body that would become
 * a huge one costs its reader's memory, not ours.  Members in a row are one body (RFC 1952);
 * what follows and is no gzip is ignored, as browsers do.
 *
 * Thread: one owner.  Memory: zlib's window and the input that waits.
 */
#ifndef FETCH_GUNZIP_H
#define FETCH_GUNZIP_H

#include "base/buf.h"

struct gunzip;

struct gunzip *gunzip_new(void);
void           gunzip_free(struct gunzip *g); /* NULL is fine */
void           gunzip_add(struct gunzip *g, str bytes); /* copied */

enum gunzip_state {
	GUNZIP_MORE,  /* needs input */
	GUNZIP_FULL,  /* `max` is reached; call again */
	GUNZIP_BROKEN
};

/* Appends decoded bytes until ret->n >= max or the input is used up. */
enum gunzip_state gunzip_read(struct gunzip *g, struct buf *ret, size_t max);
/* True if what was read is complete: nothing at all, or whole members. */
bool gunzip_complete(const struct gunzip *g);

#endif

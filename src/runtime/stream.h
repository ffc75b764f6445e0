/* stream.h - bytes from one thread to another, with an end.
 *
 * One writer, one reader, each on any thread.  Bodies travel in streams: of requests and
 * responses, incoming and outgoing, and of stored files.  Nobody blocks: a reader that finds
 * nothing asks to be told, and so does a writer that finds too much waiting.
 *
 * Callbacks are called once per request, on the thread of the other side and with the stream's
 * lock held: they only remember and wake; they must not use the stream.
 *
 * Thread: any; a lock inside.  Memory: reference-counted; what is written and not yet read.
 */
#ifndef RUNTIME_STREAM_H
#define RUNTIME_STREAM_H

#include "base/buf.h"

struct stream;

struct stream *stream_new(void); /* one reference */
struct stream *stream_ref(struct stream *s);
void           stream_unref(struct stream *s); /* NULL is fine */

/* --- the writer --- */

#define STREAM_HELD_MAX ((size_t)128 << 20)

/* Copies.  False: the reader is gone, write no more.  A writer that does not wait for room and
 * gets STREAM_HELD_MAX bytes ahead of the reader has failed the stream. */
bool stream_write(struct stream *s, str bytes);
/* One of these ends it; a later one has no effect. */
void stream_end(struct stream *s);
void stream_fail(struct stream *s, str why); /* copied */
/* fn(arg) when at most `low` bytes wait or the reader is gone; from inside this call if so now.
 * fn NULL: no longer. */
void stream_when_room(struct stream *s, size_t low, void (*fn)(void *arg), void *arg);
/* fn(arg) when the reader is gone; from inside this call if it is.  fn NULL: no longer. */
void stream_when_closed(struct stream *s, void (*fn)(void *arg), void *arg);

/* --- the reader --- */

enum stream_state { STREAM_EMPTY, STREAM_DATA, STREAM_END, STREAM_FAILED };

/* DATA: appended up to `max` bytes, at least one.  END and FAILED come after the last byte. */
enum stream_state stream_read(struct stream *s, struct buf *ret, size_t max);
/* The same without taking anything. */
enum stream_state stream_peek(struct stream *s);
/* Why it failed; valid once stream_read() said so. */
str  stream_error(const struct stream *s);
/* fn(arg) when stream_read() would not say EMPTY; from inside this call if so now.  fn NULL: no
 * longer. */
void stream_when_ready(struct stream *s, void (*fn)(void *arg), void *arg);
/* The reader leaves: what waits is dropped, writes are refused. */
void stream_close(struct stream *s);

/* --- both --- */

size_t   stream_held(struct stream *s);  /* bytes written and not read */
uint64_t stream_total(struct stream *s); /* bytes ever written */
bool     stream_closed(struct stream *s); /* the reader has left */
bool     stream_over(struct stream *s);   /* ended or failed, though not all may be read */

#endif

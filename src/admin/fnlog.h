/* fnlog.h - the function log: what ran, how it went, what it printed.
 *
 * A ring of the newest 1,000 entries, fewer if they are large: runs when they are over, and what
 * actions print while they run, read by long polls (spec 05 section 9.1, spec 02 section 13).
 *
 * Thread: the loop thread.  Memory: the entries, bounded.
 */
#ifndef ADMIN_FNLOG_H
#define ADMIN_FNLOG_H

#include "functions/call.h"

struct fnlog;

struct fnlog *fnlog_new(const struct os *os);
void          fnlog_free(struct fnlog *l);
/* What a reader wants: lines as objects (CLI, dashboard), as texts, or runs only, with all their
 * lines as texts. */
enum fnlog_form { FNLOG_OBJECTS, FNLOG_TEXTS, FNLOG_RUNS, FNLOG_FORMS };

/* One finished run; system functions are skipped. */
void fnlog_add(struct fnlog *l, const struct fn_call *c, const struct fn_result *r, bool cached);
void fnlog_add_progress(struct fnlog *l, const struct fn_progress *p);
/* Writes {"entries":[...],"newCursor":n} and returns true, or returns false if there is nothing
 * newer than `cursor` yet (the caller waits and asks again, at most 60 s; fnlog_empty() then).
 * session/counter: spec 05 section 9.1 filter, p == NULL: none. */
bool fnlog_read(struct fnlog *l, double cursor, enum fnlog_form form, str session, str counter,
    struct buf *out);
void fnlog_empty(double cursor, struct buf *out);
/* Called when an entry was added; one listener. */
void fnlog_on_add(struct fnlog *l, void (*fn)(void *arg), void *arg);

#endif

/* guard.h - leaving an engine in the middle of it, and what host code does about that.
 *
 * A run ends by a jump to its guard when memory runs out, when the engine calls abort(), and when
 * it is past its time in a place that never asks (an engine function written in C that loops
 * long).  The jump goes through whatever host functions lie between the guard and
 * the engine.  It can start at any instruction of the engine, but at none of ours and none of a
 * library's.  So while it calls the engine, host code
 *
 *   - keeps memory in arenas, or names it: UNDO_ON_JUMP(buf_clear, &b);
 *   - holds no lock;
 *   - or is inside of guard_hold() and guard_release(), which put the end of time off.
 *
 * Thread: the isolate's.
 */
#ifndef ISOLATE_GUARD_H
#define ISOLATE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct engine;

enum jump { JUMP_NONE, JUMP_ABORT, JUMP_TIME };

/* Calls fn(arg).  JUMP_NONE: it returned.  Else it did not, and the engine is only good for
 * engine_free().  The time of a run (limits.h) ends only runs of `en`. */
enum jump guard_call(struct engine *en, void (*fn)(void *arg), void *arg);

/* What the engine calls in place of abort(), and the allocator when there is no memory. */
void engine_abort(void);

/* A stack of what to undo, innermost first; each lives in the frame that it belongs to. */
struct undo {
	struct undo *outer;
	void (*fn)(void *arg);
	void *arg;
};

extern _Thread_local struct undo *undo_top; /* private */

static inline void
undo_enter(struct undo *u, void (*fn)(void *arg), void *arg)
{
	*u = (struct undo){ undo_top, fn, arg };
	undo_top = u;
}

static inline void
undo_leave(struct undo *u)
{
	undo_top = u->outer;
}

/* fn(arg) if a jump leaves this scope; `arg` must be ready for it from here on. */
#define UNDO_NAME2(line) undo_##line
#define UNDO_NAME(line)  UNDO_NAME2(line)
#define UNDO_ON_JUMP(fn, arg)                                                                      \
	__attribute__((cleanup(undo_leave))) struct undo UNDO_NAME(__LINE__);                      \
	undo_enter(&UNDO_NAME(__LINE__), fn, arg)

void undo_buf(void *buf);     /* buf_clear() */
void undo_mem(void *p);       /* mem_free() of what the pointer at p points to */
void undo_arena(void *arena); /* arena_free(); NULL is fine */
void undo_blob(void *blob);   /* blob_unref() */

/* No end of time in between; they nest. */
void guard_hold(void);
void guard_release(void);

#endif

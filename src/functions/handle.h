/* handle.h - function handles (spec 04 section 8.3): names of functions that can be stored.
 *
 * A handle is `function://` and the id of a row of _function_handles, which pushes write for each
 * function and keep when it goes (deploy/handles.c).  There are no components: they are all of
 * the application.
 *
 * Thread: any with a transaction of its own.  Memory: results in the given arena.
 */
#ifndef FUNCTIONS_HANDLE_H
#define FUNCTIONS_HANDLE_H

#include "database/txn.h"

#define HANDLE_TABLE S("_function_handles")
#define HANDLE_INDEX S("by_component_path")

/* The handle of a canonical path.  BAD_REQUEST FunctionHandleNotFound. */
NODISCARD status handle_create(struct txn *t, str path, struct arena *a, str *ret, struct err *e);
/* The way back; the same error. */
NODISCARD status handle_resolve(
    struct txn *t, str handle, struct arena *a, str *ret_path, struct err *e);

#endif

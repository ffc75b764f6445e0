/* syscall_int.h - the operations of the npm helpers' JSON contract (spec 04 sections 1.5, 1.6).
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#ifndef ISOLATE_SYSCALL_INT_H
#define ISOLATE_SYSCALL_INT_H

#include "isolate/ctx_int.h"

/* Appends the JSON of the result to `out`. */
typedef status syscall_fn(struct engine *en, const struct json *args, struct buf *out,
    struct err *e);

struct syscall {
	const char *name;
	syscall_fn *fn;
};

/* syscall_db.c */
extern const struct syscall syscalls_db_sync[], syscalls_db_async[];
extern const size_t         syscalls_db_sync_count, syscalls_db_async_count;
/* syscall_host.c */
extern const struct syscall syscalls_host_sync[], syscalls_host_async[];
extern const size_t         syscalls_host_sync_count, syscalls_host_async_count;

/* Any of them by its name; its phase and environment are the engine's, which needs no heap.  `text`
 * is valid UTF-8.  Deterministic errors are the caller's exceptions. */
NODISCARD status syscall_perform(struct engine *en, str name, str text, bool async,
    struct buf *out, struct err *e);

/* A string member; else "Invalid arguments for `method`: missing field `key`". */
NODISCARD status syscall_str(const struct json *args, const char *key, const char *method,
    str *ret, struct err *e);
/* The same, but an absent or null member gives p == NULL. */
NODISCARD status syscall_opt_str(const struct json *args, const char *key, const char *method,
    str *ret, struct err *e);
/* A member that is an object value; tokens as `allow` says (enum vjson_allow). */
NODISCARD status syscall_object(struct engine *en, const struct json *args, const char *key,
    const char *method, int allow, struct val *ret, struct err *e);
/* "Invalid argument `arg` for `method`: " before the text; the status of `e`. */
status syscall_bad(struct err *e, const char *arg, const char *method);

#endif

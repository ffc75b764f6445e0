/* bytecode.h - source text to bytecode, once.
 *
 * Contexts that run user code cannot compile (no eval): code comes from here.  Bytecode is
 * keyed by engine build, specifier and source, kept in memory for all isolates of the process
 * and, with a cache directory, in files.
 *
 * Thread: any; the cache has a lock, compiling happens outside of it.
 * Memory: at most BYTECODE_CACHE_BYTES, beyond it the cache starts over.
 * Disk: about BYTECODE_DISK_BYTES, beyond it the files that were used longest ago go.
 * Format: a file holds the SHA-256 of the rest, then the engine's own serialization; a file
 *         that does not verify is as good as absent.
 */
#ifndef ISOLATE_BYTECODE_H
#define ISOLATE_BYTECODE_H

#include "base/blob.h"
#include "base/err.h"

#define BYTECODE_CACHE_BYTES ((size_t)256 << 20)
#define BYTECODE_DISK_BYTES  ((size_t)256 << 20)

enum code_kind { CODE_MODULE, CODE_SCRIPT };

/* One reference for the caller.  BAD_REQUEST: a syntax error, "Uncaught SyntaxError: ...".
 * cache_dir n == 0: memory only. */
NODISCARD status bytecode_get(enum code_kind kind, str specifier, str source, str cache_dir,
    struct blob **ret, struct err *e);

#endif

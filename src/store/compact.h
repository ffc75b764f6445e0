/* compact.h - a database that nobody has open, written anew without its history.
 *
 * The newest revision of each document and the newest version of each index entry go into a
 * new file, in the order of their keys, which then takes the place of the old one.  Killed at any
 * point it leaves the old file or the new one.
 *
 * Thread: one.  Memory: SQLite's page cache.
 */
#ifndef STORE_COMPACT_H
#define STORE_COMPACT_H

#include "store/store.h"

struct compact_opts {
	/* Puts up to COMPACT_GLOBALS globals that are to replace the old ones: history now
	 * begins at `newest`, the time of the last commit. */
	size_t (*globals)(void *arg, struct arena *a, ts_t newest, struct store_global *ret);
	void    *arg;
	uint64_t documents; /* as the caller has counted them: another number is a failure */
};

enum { COMPACT_GLOBALS = 8 };

struct compact_sizes {
	uint64_t before, after;
};

/* A database that was killed is brought up to date first.  CONFLICT: a server has it open;
 * NOT_FOUND: there is no such file; OPERATIONAL: it is no sound database. */
NODISCARD status compact_file(const char *path, const struct compact_opts *opts,
    struct compact_sizes *ret, struct err *e);

#endif

/* package_int.h - what the files about packages share.
 *
 * package.c names packages and writes them, package_deps.c installs what they depend on,
 * package_files.c removes folders.
 */
#ifndef NODE_PACKAGE_INT_H
#define NODE_PACKAGE_INT_H

#include <pthread.h>

#include "base/map.h"
#include "node/package.h"

struct node_packages {
	char           *folder;  /* owned */
	pthread_mutex_t lock;    /* guards used */
	struct map     *used;    /* key -> struct node_package *, those with references */
	pthread_mutex_t making;  /* held while a folder is written or removed */
};

struct node_package {
	struct node_packages *ps;
	_Atomic uint32_t      refs;
	struct arena         *arena; /* owned */
	str                   key;
	str                   deps_key; /* n == 0: none */
	const char           *folder;
	uint64_t              bytes;
};

/* --- package_deps.c --- */

/* deps/KEY with node_modules in it; adds its size to *bytes. */
NODISCARD status node_deps_install(struct node_packages *ps, str key, const struct node_dep *deps,
    size_t n, uint64_t *bytes, struct err *e);

/* --- package_files.c --- */

void     folder_remove(const char *path); /* with all that is in it; absent is fine */
uint64_t folder_bytes(const char *path);
void     folder_touch(const char *path);  /* it was used now */
/* Removes all but the `keep` folders in `path` that were used last; keep_it() protects some. */
void folder_trim(const char *path, size_t keep, bool (*keep_it)(void *arg, str name), void *arg);
/* A new empty folder "PATH/.new-XXXXXX": *ret in `a`. */
NODISCARD status folder_new(struct arena *a, const char *path, const char **ret, struct err *e);

#endif

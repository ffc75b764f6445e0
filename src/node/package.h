/* package.h - the modules of "use node" functions as files (spec 04 section 10.2).
 *
 * Node.js loads modules from files.  A package is a folder named by its content:
 *
 *     packages/KEY/package.json     {"type":"module"}
 *     packages/KEY/modules/...      the modules, and their source maps beside them (.map)
 *     packages/KEY/node_modules     a link to deps/KEY/node_modules, if there are external packages
 *     deps/KEY/                     what npm installed for one list of packages
 *
 * What is in these folders can be made again from the database (and from the npm registry), so
 * old ones are removed: those that were not used for longest, and none that is in use.
 *
 * The rows: modules for Node name their package in sourcePackageId; the one row of
 * _source_packages names it and the row of _external_deps_packages that lists the dependencies.
 *
 * Thread: any; a lock inside.  Memory: packages are reference-counted.
 */
#ifndef NODE_PACKAGE_H
#define NODE_PACKAGE_H

#include "database/txn.h"

#define NODE_PACKAGES_KEPT 12 /* folders of each kind, those in use apart */
#define NODE_PACKAGE_MAX_BYTES ((uint64_t)230000000) /* unzipped, dependencies included */

struct node_module {
	str path;       /* "a/b.js" */
	str source;
	str source_map; /* p == NULL: none */
};

struct node_dep {
	str name, version;
};

struct node_content {
	size_t                    nmodules;
	const struct node_module *modules;
	size_t                    ndeps;
	const struct node_dep    *deps;
};

struct node_packages;
struct node_package;

/* `folder` is made if absent; of what an earlier process left there only installed dependencies
 * are kept. */
NODISCARD status node_packages_open(const char *folder, struct node_packages **ret, struct err *e);
void             node_packages_close(struct node_packages *ps); /* NULL is fine; none in use */

/* Names of contents: 64 hex digits. */
str node_package_key(struct arena *a, const struct node_content *c);
str node_deps_key(struct arena *a, const struct node_dep *deps, size_t n);

/* Makes the folder unless it exists, dependencies installed first.  BAD_REQUEST ModulesTooLarge,
 * InvalidExternalModules.  A reference. */
NODISCARD status node_package_make(struct node_packages *ps, const struct node_content *c,
    struct node_package **ret, struct err *e);
/* The package that this module of the transaction's belongs to, made from the rows if needed.
 * BAD_REQUEST if it is no module for Node.js. */
NODISCARD status node_package_of_module(struct node_packages *ps, struct txn *t, str path,
    struct node_package **ret, struct err *e);
struct node_package *node_package_ref(struct node_package *p);
void                 node_package_unref(struct node_package *p); /* NULL is fine */

const char *node_package_folder(const struct node_package *p);
str         node_package_name(const struct node_package *p); /* its key */
uint64_t    node_package_bytes(const struct node_package *p); /* without dependencies */
/* The source map of a module; false: it has none. */
bool node_package_map(const struct node_package *p, str path, struct buf *ret);
bool node_package_has(const struct node_package *p, str path);

#endif

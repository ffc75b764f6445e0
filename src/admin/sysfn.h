/* sysfn.h - the system functions that the CLI calls (spec 02 section 17), as native functions.
 *
 * Thread: function workers.  Memory: the table is static.
 */
#ifndef ADMIN_SYSFN_H
#define ADMIN_SYSFN_H

#include "functions/worker.h"

struct sysfn_env {
	str cloud_url, site_url; /* borrowed for the life of the process */
};

/* The table, with `env` as each function's arg (borrowed). */
const struct native_fn *sysfn_table(const struct sysfn_env *env, size_t *ret_n);

#endif

/* child.h - starting other programs: Node.js and npm.
 *
 * A child leads a process group of its own, so that what it starts ends with it; it has no
 * descriptors but those it is given, and only the environment that it is given.
 *
 * Thread: any.
 */
#ifndef NODE_CHILD_H
#define NODE_CHILD_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct child_opts {
	const char *const *argv;   /* argv[0]: the program's path; NULL ends */
	const char *const *envp;   /* NULL ends */
	const char        *folder; /* working directory */
	int                link;   /* becomes descriptor 3; -1: none */
	int                output; /* becomes standard output and error; -1: our standard error */
	int                nice;
};

/* INTERNAL if it cannot be started.  It leaves no core. */
NODISCARD status child_start(const struct child_opts *o, pid_t *ret, struct err *e);
/* The system ends it once it has used `seconds` of CPU from now on: when we are killed there is
 * nobody else to end a program that computes for ever. */
void child_limit_cpu(pid_t pid, uint64_t seconds);
/* Its whole group, at once; waits until it is gone. */
void child_end(pid_t pid);

/* Runs a program to its end and keeps what it printed, as far as `out` has room.  False: it did
 * not end within timeout_ns (then it was killed) or not with exit code 0. */
NODISCARD status child_run(const struct child_opts *o, uint64_t timeout_ns, struct buf *out,
    bool *ret_good, struct err *e);

/* The program's path according to PATH; NULL: there is none. */
const char *child_find(struct arena *a, const char *name);
/* "NAME=value" for the listed variables that we have; a name that ends in '*' is a prefix. */
const char *const *child_environment(struct arena *a, const char *const *names);

#endif

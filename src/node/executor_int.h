/* executor_int.h - what the files of the executor share.
 *
 * executor.c finds Node.js and keeps packages; executor_process.c starts and ends processes;
 * executor_link.c speaks with one over a connection; executor_run.c runs an action,
 * executor_analyze.c looks at modules, executor_error.c writes what was thrown.
 */
#ifndef NODE_EXECUTOR_INT_H
#define NODE_EXECUTOR_INT_H

#include <pthread.h>
#include <sys/un.h>

#include "node/executor.h"
#include "node/nframe.h"
#include "os/os.h"
#include "runtime/thread.h"

#define NODE_START_NS ((uint64_t)15 * 1000000000u) /* until a process must be ready */
#define NODE_HELLO_NS ((uint64_t)5 * 1000000000u)  /* until one must answer a connection */

/* A process.  All but the constants are guarded by node_executor.lock. */
struct node_process {
	struct node_process *next;
	struct node_package *package;  /* a reference */
	uint8_t              env_hash[32];
	pid_t                pid;
	int                  control;  /* its descriptor 3 is the other end */
	struct sockaddr_un   address;
	bool                 starting; /* nobody may use it yet */
	bool                 retired;  /* takes no more runs; ends with the last one */
	unsigned             running;
	uint64_t             idle_since_ns; /* while nothing runs */
};

struct node_executor {
	struct arena    *arena;      /* names */
	const struct os *os;
	const char      *folder;
	uint64_t         timeout_ns, idle_ns;
	const char      *given_node; /* NULL: of PATH */

	pthread_mutex_t       lock;    /* guards what follows */
	pthread_cond_t        changed; /* a process is ready, gone, or we are closing */
	bool                  checked;
	const char           *node;    /* NULL: none that we can use */
	str                   why_not;
	struct node_packages *packages; /* NULL: not opened yet */
	const char           *temp;    /* NULL: not made yet: sockets and the executor's text */
	struct node_process  *processes;
	unsigned              names;   /* of sockets */
	struct thread        *keeper;  /* ends idle and dead processes; NULL: not started */
	bool                  closing;
};

/* --- executor.c --- */

/* The temporary folder, with the executor's text in it. */
NODISCARD status executor_temp(struct node_executor *x, const char **ret, struct err *e);

/* --- executor_process.c --- */

struct node_env {
	str     json;     /* {"NAME":"value",...} */
	uint8_t hash[32];
};
void node_env_of(struct arena *a, const struct env_var *vars, size_t n, struct node_env *ret);

/* A process for the package and variables, started if there is none; it counts one more run. */
NODISCARD status process_acquire(struct node_executor *x, struct node_package *p,
    const struct node_env *env, struct node_process **ret, struct err *e);
/* The run is over; `poisoned`: no other may begin there. */
void process_release(struct node_executor *x, struct node_process *p, bool poisoned);
void processes_end(struct node_executor *x); /* all; nothing runs */

/* --- executor_link.c --- */

/* A connection to a process; one invocation. */
struct node_link {
	int        fd;
	struct buf in;
	size_t     used; /* of `in`: frames that were taken */
};

enum link_got { LINK_FRAME, LINK_NOTHING, LINK_CLOSED };

NODISCARD bool link_open(struct node_link *l, const struct node_process *p);
void           link_close(struct node_link *l);
/* False: the other side is gone, or `stop(arg)` said so while it did not read. */
bool link_send(struct node_link *l, str header, str bytes, bool (*stop)(void *arg), void *arg);
/* Without blocking; the frame is valid until the next call. */
enum link_got link_next(struct node_link *l, struct nframe *ret);
/* The same, blocking until deadline_ns or stop(). */
enum link_got link_wait(struct node_link *l, struct nframe *ret, uint64_t deadline_ns,
    bool (*stop)(void *arg), void *arg);

/* --- executor_error.c --- */

/* Text and frames of what the executor described: {message, frames}, through source maps. */
str node_error_text(const struct node_package *p, const struct json *thrown, struct arena *a);

#endif

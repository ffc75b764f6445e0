/* tier_int.h - what the files of the tier share.
 *
 * tier_process.c starts, keeps and ends processes; tier.c runs functions in them.
 */
#ifndef NODE_TIER_INT_H
#define NODE_TIER_INT_H

#include <pthread.h>
#include <sys/types.h>
#include <time.h>

#include "node/tier.h"
#include "os/os.h"
#include "runtime/thread.h"

/* A process; the taker's, or in the list of idle ones. */
struct tier_process {
	struct tier_process *next;
	pid_t                pid;
	int                  link;
	clockid_t            cpu;
	bool                 ready;     /* it has a context and waits for a run */
	bool                 old;       /* it will have no other run */
	enum tier_kind       kind;      /* of its run */
	struct buf           in;        /* read, not taken yet */
	uint64_t             idle_since_ns;
};

struct tier {
	const struct os *os;
	struct arena    *arena;
	const char      *node;     /* NULL: none */
	size_t           max[TIER_KINDS]; /* runs at once */
	uint64_t         idle_ns;
	struct buf       hello;    /* the first frame: scripts for contexts */

	pthread_mutex_t      lock; /* guards what follows */
	pthread_cond_t       freed;
	struct tier_process *idle; /* the one used last first */
	size_t               alive, busy[TIER_KINDS];
	str                  why_not; /* p != NULL: given up */
	bool                 proven;  /* a process has become ready once */
	bool                 told;    /* why_not is in the log */
	struct thread       *keeper;  /* NULL: not started */
	bool                 closing;
};

/* A process that is ready for a run.  FEATURE_UNAVAILABLE, or OVERLOADED after a long wait. */
NODISCARD status tier_process_take(struct tier *t, enum tier_kind kind,
    struct tier_process **ret, struct err *e);
/* After a run; `good`: it can have another. */
void tier_process_give(struct tier *t, struct tier_process *p, bool good);

enum tier_read { TIER_FRAME, TIER_LATER, TIER_GONE };
/* Reads until there is a frame in p->in (nframe_next), or for at most `ms`. */
enum tier_read tier_process_read(struct tier_process *p, int ms);
/* False: it is gone, or does not read. */
bool tier_process_write(struct tier_process *p, str header, str bytes);

/* The tier's JavaScript (js/tier), linked into the binary. */
extern const unsigned char tier_main_js[], tier_context_js[];
extern const size_t        tier_main_js_len, tier_context_js_len;

#endif

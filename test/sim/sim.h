/* sim.h - the whole server in one thread, from one seed.
 *
 * Real: the database, the function runner, the sync sessions.  Simulated: time, randomness,
 * the network, the clients, the store's latency, the workers' interleaving, and crashes.
 * Everything that happens is an event at a virtual time; whatever is random is drawn from the
 * seed; so a run can be repeated exactly, and the hash of its trace proves that it was.
 *
 *     world.c     virtual time, events, dice, the trace
 *     worker.c    jobs as coroutines that stop at every read: where interleavings come from
 *     bank.c      the functions: transfers, sums, accounts that come and go
 *     checker.c   the model: what every read must have seen, what every crash must have kept
 *     server.c    db, runner, sessions; the store's thread; killing and restarting
 *     client.c    clients of the sync protocol that lose connections and send again
 *     sim.c       flags, the loop over seeds
 *
 * Thread: one.  Memory: one struct sim per seed.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/mem.h"
#include "base/vec.h"
#include "database/db.h"
#include "functions/runner.h"
#include "sync/session.h"

#define ACCOUNTS 24  /* owners 0..; not all of them have an account */
#define CLIENTS  6
#define WORKERS  4
#define MS       ((uint64_t)1000000)

struct sim;

/* --- world.c --- */

typedef void (*event_fn)(struct sim *s, void *arg, uint64_t n);

struct event {
	uint64_t time, order;
	event_fn fn;
	void    *arg;
	uint64_t n;
};

struct world {
	uint64_t now;   /* virtual ns; also the monotonic clock */
	int64_t  skew;  /* of the wall clock */
	uint64_t dice;
	uint64_t trace; /* hash of all that happened */
	uint64_t orders;
	uint64_t steps;
	VEC(struct event) heap;
	struct os os;
	bool     verbose;
};

void     world_init(struct sim *s, uint64_t seed);
void     world_clear(struct sim *s);
uint32_t draw(struct sim *s, uint32_t below); /* below > 0 */
/* `fn` is called with arg and n after `delay` ns. */
void     after(struct sim *s, uint64_t delay, event_fn fn, void *arg, uint64_t n);
uint64_t latency(struct sim *s, uint64_t usual); /* mostly short, sometimes ten times as long */
bool     world_step(struct sim *s); /* false: nothing is left to happen */
/* Adds a line to the trace (and to stdout with --verbose). */
void     trace(struct sim *s, const char *fmt, ...) PRINTF(2, 3);
/* A promise was broken: says so and ends the process. */
NORETURN void sim_fail(struct sim *s, const char *fmt, ...) PRINTF(2, 3);

/* --- checker.c --- */

/* The bank at one moment: balances by owner, -1 where there is no account. */
struct bank {
	int64_t balance[ACCOUNTS];
};

struct read {
	uint32_t lo, hi; /* owners */
	struct bank seen; /* in [lo, hi) */
};

/* One run of a function, as far as it came. */
struct attempt {
	ts_t         snapshot;
	char         op[32];  /* of the client; empty for queries */
	size_t       nreads;
	struct read  reads[4];
	size_t       nwrites;
	struct {
		uint32_t owner;
		int64_t  balance; /* -1: closed */
	} writes[4];
	int64_t      result;
};

struct moment {
	ts_t        ts;
	struct bank bank;
	char        op[32]; /* what led here */
	int64_t     result;
};

struct checker {
	VEC(struct moment) history; /* ascending ts; committed and not lost */
};

void checker_start(struct sim *s, ts_t ts, const struct bank *b);
/* What an attempt has read must be what the bank was at its snapshot. */
void checker_reads(struct sim *s, const struct attempt *a);
/* It commits at ts: nothing it read has changed since its snapshot; its op is new. */
void checker_commit(struct sim *s, ts_t ts, const struct attempt *a);
/* Commits after `durable` are lost. */
void checker_crash(struct sim *s, ts_t durable);
const struct bank   *checker_at(struct sim *s, ts_t ts);
const struct moment *checker_op(struct sim *s, const char *op); /* NULL: not committed */
int64_t bank_sum(const struct bank *b, uint32_t lo, uint32_t hi);
/* The database itself, read at the newest snapshot, equals the model. */
void checker_database(struct sim *s);

/* --- bank.c --- */

extern const struct native_fn bank_functions[];
extern const size_t           bank_function_count;
void bank_setup(struct sim *s, struct db *db);
/* Accounts of owners [lo, hi) as the transaction sees them. */
status bank_read(struct txn *t, uint32_t lo, uint32_t hi, struct bank *ret, struct err *e);
size_t bank_count_ops(struct txn *t, const char *op);

/* --- worker.c --- */

struct coroutine;

struct worker {
	struct sim       *s;
	struct fn_worker *fn;
	struct coroutine *co;
	struct job       *job;     /* NULL: idle */
	struct attempt    attempt; /* the latest of the job */
	bool              finished;
	uint64_t          pause; /* usual time until it goes on, ns */
};

void workers_start(struct sim *s);
void workers_submit(void *arg, struct job *j);
/* The server died: jobs end, their results go nowhere. */
void workers_stop(struct sim *s);
/* Lets others run for about `usual` ns; called on a worker, else nothing happens. */
void sim_pause(struct sim *s, uint64_t usual);
struct worker *sim_worker(struct sim *s); /* the one that is running; NULL: none */

/* --- server.c --- */

struct conn {
	struct sim     *s;
	struct session *session;  /* NULL: the server's side is gone */
	struct client  *client;   /* NULL: the client's side is gone */
	uint64_t        to_client, to_server; /* when the last message of that way arrives */
	ts_t            limit;    /* nothing above it may be told: what a crash has left */
	size_t          refs;     /* both sides, and what is under way */
};

struct server {
	bool                  up;
	uint64_t              life; /* counts restarts: old events are void */
	struct store          store;
	struct store_vtable   slow; /* the store's table, with pauses and failures */
	bool                  store_dead;
	struct db            *db;
	struct auth          *auth;
	struct functions     *functions;
	struct runner        *runner;
	struct pending_batch *batch; /* being written */
	bool                  store_woken, commits_due, flush_due;
	VEC(struct job *)     jobs;  /* waiting for a worker */
	struct worker         workers[WORKERS];
	struct worker        *running;
	VEC(struct conn *)    conns;
};

void server_init(struct sim *s);
void server_clear(struct sim *s);
void server_start(struct sim *s);
void server_crash(struct sim *s);
/* Client's side. */
struct conn *conn_open(struct sim *s, struct client *c);
void         conn_send(struct conn *c, str message);
void         conn_drop(struct conn *c); /* the network is gone, messages under way too */
struct conn *conn_ref(struct conn *c);
void         conn_unref(struct conn *c);

/* --- client.c --- */

struct op {
	uint32_t request;
	char     name[32];
	char     path[24];
	char     args[96];
	bool     sent;      /* at some time */
	bool     sent_here; /* for the first time, on this connection */
	bool     answered;  /* with success */
	ts_t     ts;        /* of the response */
};

struct watch {
	uint32_t id;
	uint32_t lo, hi;
	bool     full;      /* from the whole table */
	bool     has_value; /* on this connection */
	int64_t  value;
};

struct client {
	struct sim  *s;
	uint32_t     no;
	struct conn *conn;      /* NULL: not connected */
	bool         connecting;
	uint32_t     connections;
	uint32_t     next_request, next_query, next_op;
	uint32_t     sent_set;
	uint32_t     have_set;  /* version.querySet */
	ts_t         have_ts;
	ts_t         max_ts;
	VEC(struct op)    ops;     /* not complete yet, in order of requests */
	VEC(struct op)    done;    /* all that were answered with success */
	VEC(struct op)    failed;  /* all that were answered with failure */
	VEC(struct watch) watches;
};

void clients_start(struct sim *s);
void clients_clear(struct sim *s);
void client_message(struct client *c, str text);
void client_closed(struct client *c);
void clients_crash(struct sim *s, ts_t durable); /* checks what they were told */
bool clients_quiet(struct sim *s);               /* every operation is complete */
void clients_check_end(struct sim *s);

struct sim {
	struct world   world;
	struct checker checker;
	struct server  server;
	struct client  clients[CLIENTS];
	uint64_t       seed;
	uint32_t       owners; /* that are written to: few are hot */
	uint64_t       disk;   /* usual time of a write, ns */
	bool           ending; /* no new operations, no more faults */
	bool           over;   /* nothing has an effect any more */
	uint64_t       ncommits, nretries, nrefusals, ncrashes, ntransitions, ndrops;
};

#endif

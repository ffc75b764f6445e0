/* sim.h - the whole server in one thread, from one seed.
 *
 * Real: the database, the function runner, the sync sessions.  Simulated: time, randomness,
 * the network, the clients, the store's latency, the workers' interleaving, and crashes.
 * Everything that happens is an event at a virtual time; whatever is random is drawn from the
 * seed; so a run can be repeated exactly, and the hash of its trace proves that it was.
 *
 *     world.c     virtual time, events, dice, the trace
 *     fiber.c     threads as coroutines that stop anywhere: where interleavings come from
 *     worker.c    function workers, the store's thread, the background thread
 *     disk.c      the store: slow, full, failing, surviving the server's death
 *     bank.c      the functions: transfers, sums, accounts that come and go
 *     pages.c     a page of the accounts by balance
 *     later.c     transfers that are scheduled: each happens once
 *     beats.c     a cron: none of its times comes twice
 *     notes.c     more functions: tables that come and go, rows that fit a schema or do not
 *     admin.c     pushes of schemas and indexes, tables deleted, old snapshots read
 *     checker.c   the model: what every read must have seen, what every crash must have kept
 *     server.c    db, runner, sessions; killing and restarting
 *     client.c    clients of the sync protocol that lose connections and send again
 *     chaos.c     crashes, restarts, clocks, evictions, full disks: when they happen
 *     sim.c       flags, the loop over seeds
 *
 * Thread: one.  Memory: one struct sim per seed.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/mem.h"
#include "base/vec.h"
#include "database/retention.h"
#include "functions/runner.h"
#include "functions/scheduler.h"
#include "fiber.h"
#include "sync/session.h"

#define ACCOUNTS 24  /* owners 0..; not all of them have an account */
#define NOTES    3   /* tables notes0.. that come and go */
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

struct notes {
	int32_t ints, texts; /* rows; the strict schema knows ints only */
};

/* The world of the functions at one moment. */
struct bank {
	int64_t      balance[ACCOUNTS]; /* -1: no account */
	struct notes notes[NOTES];
	bool         strict[NOTES];     /* the active schema says so */
};

#define NOT_SEEN (-2) /* a balance outside of what was read */

enum read_kind {
	READ_OWNERS,   /* accounts of owners in [lo, hi) */
	READ_BALANCES, /* accounts with balances in [lo, hi) */
	READ_NOTES,    /* all rows of table lo */
	READ_STRICT    /* what the schema says about table lo */
};

struct read {
	enum read_kind kind;
	uint32_t       lo, hi;
	struct bank    seen; /* as far as it was read */
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
	uint32_t     table;   /* of notes */
	struct notes added;   /* to it; may be negative */
	bool         dropped; /* the table */
	bool         push;    /* `strict` is what a schema says from now on */
	bool         strict[NOTES];
	int64_t      result;
};

struct moment {
	ts_t        ts;
	struct bank bank;
	char        op[32]; /* what led here; empty: no client's doing */
	bool        dropped[NOTES];
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
/* Was there a moment in [from, to] when a text was in this table, or the table was deleted? */
bool    checker_had_text(struct sim *s, uint32_t table, ts_t from, ts_t to);
int64_t bank_sum(const struct bank *b, uint32_t lo, uint32_t hi); /* by owners */
int64_t bank_rich(const struct bank *b, uint32_t lo, uint32_t hi); /* by balances */
/* The database itself, read at the newest snapshot, equals the model, and every index agrees
 * with its table. */
void checker_database(struct sim *s);
/* What a transaction sees is the model at its snapshot. */
status checker_look(struct sim *s, struct txn *t, struct err *e);

/* --- bank.c, notes.c --- */

extern const struct native_fn sim_functions[];
extern const size_t           sim_function_count;
void bank_setup(struct sim *s, struct db *db);
/* Accounts of owners [lo, hi) as the transaction sees them. */
status bank_read(struct txn *t, uint32_t lo, uint32_t hi, struct bank *ret, struct err *e);
size_t bank_count_ops(struct txn *t, const char *op);
status notes_read(struct txn *t, uint32_t table, struct notes *ret, struct err *e);
str    notes_table(uint32_t table);

/* --- beats.c --- */

/* A cron that notes each of its times. */
status beats_setup(struct txn *t, struct err *e);
status beat(const struct native_call *c, struct val *ret, struct err *e);
void   beats_check_end(struct sim *s);

/* --- later.c --- */

/* Transfers that mutations schedule. */
status later_schedule(const struct native_call *c, struct val *ret, struct err *e);
bool   later_is_due(const char *op); /* the name of such a transfer */
bool   later_quiet(struct sim *s);   /* none waits any more */
void   later_check_end(struct sim *s);

/* --- worker.c --- */

struct worker {
	struct fiber      fiber; /* first: found from it */
	struct sim       *s;
	struct fn_worker *fn;
	struct job       *job;     /* NULL: idle */
	struct attempt    attempt; /* the latest of the job */
};

void workers_start(struct sim *s);
void workers_submit(void *arg, struct job *j);
/* What runs comes to its end, unpaused. */
void workers_drain(struct sim *s);
/* The server died: jobs end, their results go nowhere. */
void workers_stop(struct sim *s);
struct worker *sim_worker(struct sim *s); /* the one that is running; NULL: none */
/* There may be something to write. */
void store_wake(struct sim *s);

/* --- disk.c --- */

struct platter {
	struct store        store;  /* survives crashes */
	struct store_vtable table;  /* of the store as the server sees it */
	ts_t                stored; /* newest commit in the store */
	ts_t                synced; /* what the server was told to be durable */
	ts_t                promised; /* no commit comes at or below it any more */
	bool                full;   /* refuses reservations */
	bool                dying;  /* the next write fails */
	bool                dead;   /* with its server */
	bool                gasp;   /* of the dead: the write under way may get through */
	struct simdisk     *real;   /* under a logged store */
	char                dir[64]; /* of its lock file */
};

void disk_init(struct sim *s);
void disk_clear(struct sim *s);
/* A new process begins with what is there. */
void disk_revive(struct sim *s);
/* After the server's end, crashed or not. */
void disk_boot(struct sim *s);
/* The server is dead: its writes fail from now on, but perhaps the one that is under way. */
void disk_die(struct sim *s);
/* What the disk holds at a time that can still be read is the bank at that time. */
void disk_check_past(struct sim *s);

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
	struct db            *db;
	struct auth          *auth;
	struct functions     *functions;
	struct runner        *runner;
	struct scheduler     *scheduler;
	bool                  commits_due, flush_due;
	VEC(struct job *)     jobs;  /* waiting for a worker */
	struct worker         workers[WORKERS];
	struct fiber          storer, background;
	struct retention     *retention; /* NULL: nothing is forgotten */
	VEC(struct conn *)    conns;
};

void server_init(struct sim *s);
void server_clear(struct sim *s);
void server_start(struct sim *s);
void server_crash(struct sim *s);
void server_stop(struct sim *s); /* loses nothing */
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

enum watch_kind { WATCH_SUM, WATCH_RICH, WATCH_NOTES, WATCH_PAGE };

struct watch {
	uint32_t        id;
	enum watch_kind kind;
	uint32_t        lo, hi;
	bool            full;      /* from the whole table */
	bool            has_value; /* on this connection */
	int64_t         value;
	/* WATCH_PAGE: the pages of a chain stand one behind the other. */
	bool            desc, last;
	int64_t         rows[ACCOUNTS]; /* balance by owner; NOT_SEEN: not on the page */
	size_t          nrows;
	char            cursor[512], next[512], journal[512];
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

/* --- watch.c --- */

void watch_make(struct client *c, struct watch *ret); /* any query */
void watch_add_json(struct buf *b, const struct watch *w);
/* Takes what a transition says about it. */
void watch_take(struct client *c, struct watch *w, const struct json *modification);
/* Everything that the client sees is the bank at one moment. */
void watch_check(struct client *c, ts_t ts);
/* The page behind this one, if there is one to watch. */
bool watch_next_page(struct client *c, struct watch *ret);

/* --- client.c --- */

void clients_start(struct sim *s);
void clients_clear(struct sim *s);
void client_message(struct client *c, str text);
void client_closed(struct client *c);
void clients_told(struct sim *s, ts_t synced); /* checks what they were told */
void clients_lost(struct sim *s); /* what was acknowledged is still there */
bool clients_quiet(struct sim *s);               /* every operation is complete */
void clients_check_end(struct sim *s);

/* --- admin.c --- */

struct admin {
	bool            busy;      /* with a task, in the server's life `life` */
	uint64_t        life;
	bool            pushing;   /* a schema was submitted */
	uint32_t        extra;     /* which index of accounts the schema has */
	bool            strict[NOTES];
	struct docid    schema;
	ts_t            submitted;
	struct snapshot *held;     /* NULL: none */
	ts_t            pinned;    /* 0: none */
	uint64_t        pinned_at;
	uint64_t        pushes, failures, drops, looks;
};

void admin_start(struct sim *s);
void admin_crash(struct sim *s);  /* the server dies: lets go of its snapshots */
void admin_crashed(struct sim *s); /* what a push is left with */
bool admin_quiet(struct sim *s);  /* no index is being filled, no schema is pending */

/* --- chaos.c --- */

void chaos_start(struct sim *s);
void chaos_end(struct sim *s);
void chaos_restart(struct sim *s); /* after the server's death, at some time */

struct sim {
	struct world   world;
	struct checker checker;
	struct platter    disk;
	struct server  server;
	struct client  clients[CLIENTS];
	struct admin   admin;
	struct fiber  *fibers[WORKERS + 4];
	size_t         nfibers;
	struct fiber  *fiber;  /* that is running; NULL: the core */
	uint64_t       turns;  /* suspensions so far */
	uint32_t       calm;   /* above 0: nothing pauses */
	size_t         wlog_bytes, cache_bytes; /* 0: all stays in memory */
	uint64_t       window_ns; /* of retention; 0: for ever */
	uint32_t       nerves; /* one in so many pause points is taken */
	bool           logged; /* the store is that of the product, on a simulated disk */
	uint64_t       seed;
	uint32_t       owners; /* that are written to: few are hot */
	uint64_t       disk_ns; /* usual time of a write */
	bool           ending; /* no new operations, no more faults */
	bool           over;   /* nothing has an effect any more */
	uint64_t       ncommits, nretries, nrefusals, ncrashes, ntransitions, ndrops, npauses;
};

#endif

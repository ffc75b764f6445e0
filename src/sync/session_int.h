/* session_int.h - one client's state, as the files of this folder see it.
 *
 * messages.c reads what the client sends; session.c reacts to it and keeps time; request.c
 * runs mutations and actions; transition.c computes the next state of all queries; frames.c
 * writes what the client receives.
 *
 *   received ----begin----> transition (one at a time) ----sent----> current
 *
 * Thread: the loop thread.
 */
#ifndef SYNC_SESSION_INT_H
#define SYNC_SESSION_INT_H

#include "base/blob.h"
#include "base/json.h"
#include "base/map.h"
#include "base/vec.h"
#include "sync/session.h"

#define QUERIES_AT_ONCE     20   /* spec 01 section 7.3 */
#define MUTATIONS_MAX       1001 /* unanswered: 1000 and the one that runs */
#define ACTIONS_MAX         1001
#define REQUEST_BYTES_MAX   ((size_t)256 << 20) /* arguments of unanswered requests */
#define QUERIES_MAX         10000
#define MODS_MAX            100000
#define MODS_BYTES_MAX      ((size_t)64 << 20)  /* modifications not yet applied */
#define HELD_BYTES_MAX      ((size_t)64 << 20)  /* messages behind a token whose keys come */
#define TRANSITIONS_QUEUED_MAX 2
#define CHUNK_BYTES         5000000
#define UUID_CHARS          36
#define PING_NS             (15ull * 1000000000ull)
#define MUTATION_NS         (60ull * 1000000000ull)
#define UNAVAILABLE_RETRY_NS (3ull * 1000000000ull)

/* --- messages.c: from text to these --- */

enum client_kind { CLIENT_CONNECT, CLIENT_MODIFY, CLIENT_MUTATION, CLIENT_ACTION, CLIENT_AUTH,
	CLIENT_EVENT };
enum token_kind { TOKEN_USER, TOKEN_ADMIN, TOKEN_NONE };

/* A function and its arguments; for Add, Mutation and Action. */
struct client_call {
	str  path;       /* canonical */
	str  component;  /* empty: root */
	str  args;       /* JSON text, of an array if the client is a good one */
	str  journal;    /* p == NULL: none */
};

struct client_mod {
	bool     add;
	uint32_t id;
	struct client_call call; /* add */
};

struct client_message {
	enum client_kind kind;
	str      session_id;                    /* CONNECT: lower case, hyphenated */
	bool     has_max_ts, has_client_ts;
	ts_t     max_ts;
	double   client_ts_ms;
	uint32_t base, next;                    /* MODIFY, AUTH (base) */
	size_t   nmods;
	struct client_mod *mods;
	uint32_t request;                       /* MUTATION, ACTION */
	struct client_call call;
	enum token_kind token_kind;             /* AUTH */
	str      token;
	const struct json *impersonating;       /* NULL: none */
};

/* Lives in `a`, points into `text`.  BAD_REQUEST: WSMessageInvalidJson, InvalidComponentPath. */
NODISCARD status client_message_parse(struct arena *a, str text, struct client_message *ret,
    struct err *e);

/* --- the session --- */

enum query_state { QUERY_KEPT, QUERY_WAITING, QUERY_RUNNING, QUERY_RETRY, QUERY_FRESH };

struct query {
	struct session    *s;
	uint32_t           id;
	enum query_state   state;    /* in the transition under way */
	struct fn_call    *call;     /* one reference */
	struct live_watch *watch;
	struct fn_result  *fresh;    /* one reference: to be sent */
	struct blob       *journal;  /* of the last result; NULL: none */
	bool               has_result;
	uint8_t            hash[32]; /* of what the client was told */
	unsigned           retries;
	uint64_t           retry_ns; /* monotonic; QUERY_RETRY */
};

/* A mutation or an action. */
struct request {
	struct link          link; /* in session.waiting, .executed or .actions */
	struct session      *s;
	uint32_t             id;
	bool                 mutation;
	struct fn_call      *call;    /* one reference */
	struct pending_call *pending; /* NULL: not started */
	ts_t                 ts;      /* executed: what it shows */
};

struct version {
	uint32_t query_set, identity;
	ts_t     ts;
};

struct transition {
	bool             active;
	bool             pumping;  /* evaluations are being started */
	bool             computed; /* all results are there */
	bool             durable;
	struct snapshot *at;       /* one reference */
	struct version   to;
	VEC(uint32_t)    removed;
	size_t           cursor;   /* queries before it are not waiting */
	size_t           running, retrying;
	unsigned         restarts;
	uint64_t         restart_ns; /* monotonic; 0: no restart is due */
	struct durable_wait *wait;
};

struct session {
	struct session_opts opts;
	struct arena    *arena;   /* of the session's own texts */
	struct arena    *scratch; /* of one message */
	bool             closed;
	bool             chunks;  /* the client understands TransitionChunk */
	char             session_id[UUID_CHARS + 1]; /* empty: no Connect yet */
	bool             has_skew;
	int64_t          skew_ms;

	struct identity *identity;
	struct version   current;                       /* end of the last transition */
	uint32_t         received_query_set, received_identity;
	VEC(struct client_mod) pending_mods;            /* texts in mods_arena */
	struct arena    *mods_arena, *mods_arena_next;  /* pending; being applied */
	VEC(struct query *) queries;                    /* ascending ids */
	struct map      *ids;                           /* live once pending_mods are applied */
	bool             update_scheduled;
	struct transition t;
	size_t           unsent;                        /* transitions in the outgoing buffer */
	uint64_t         unavailable_ns;                /* 0: nothing to retry */

	struct request  *running;  /* the mutation that is executing */
	uint64_t         running_since_ns;
	struct link      waiting;  /* mutations behind it */
	struct link      executed; /* mutations whose response is not durable yet */
	struct link      actions;
	size_t           nmutations, nactions, request_bytes;

	struct auth_wait keys;     /* of the token in the first of the held messages */
	bool             waits;    /* for them */
	VEC(struct blob *) held;   /* messages as they came, from held_at on */
	size_t           held_at, held_bytes;

	uint64_t         last_sent_ns;
	struct deferred  later;
};

/* --- session.c --- */

/* Ends the connection as spec 01 section 2.4 says for this kind of error. */
void session_fail(struct session *s, status st, str code, str text);
bool session_identity_valid(struct session *s); /* false: the session was ended */
void session_step(struct session *s);           /* begins a transition if one is due */
uint64_t session_backoff_ns(struct session *s, uint64_t first_ns, unsigned retries);

/* --- request.c --- */

void request_add(struct session *s, const struct client_message *m);
/* True while a transition to `ts` would show a mutation whose response is still to come. */
bool request_holds(struct session *s, ts_t ts);
void requests_free(struct session *s);

/* --- transition.c --- */

void transition_begin(struct session *s);
void transition_try_send(struct session *s);
void transition_tick(struct session *s, uint64_t now_ns);
uint64_t transition_next_ns(const struct session *s);
void transition_free(struct session *s);
struct query *session_query(struct session *s, uint32_t id, size_t *ret_at);

/* --- frames.c --- */

void frame_transition(struct session *s);
void frame_response(struct session *s, const struct request *q, const struct fn_result *res);
void frame_auth_error(struct session *s, str text, bool attempted);
void frame_fatal(struct session *s, str text);
void frame_ping(struct session *s);

#endif

/* api_int.h - what the files of the API share.
 *
 * Handlers of the route table (api.c) run while a request is read: they answer with api_done(), or
 * fill in x->state, set x->post.run and api_post() the exchange to the core.
 *
 * Thread: stated at each declaration.
 */
#ifndef NET_API_INT_H
#define NET_API_INT_H

#include "base/vec.h"
#include "functions/link.h"
#include "net/api.h"
#include "net/client.h"

#define API_BODY_MAX   16779216u          /* spec 01 section 17 */
#define PUSH_BODY_MAX  200000000u
#define ECHO_BODY_MAX  ((size_t)128 << 20)
#define SKIP_BODY_MAX  ((size_t)256 << 20) /* bodies that nobody reads */
#define LOG_POLL_NS    (60ull * 1000000000ull)

struct api_session;
struct log_poll;
struct schema_poll;

struct api {
	struct api_opts opts;
	struct arena   *arena; /* owned: names */

	/* of the core's turns */
	struct link sessions;     /* struct api_session */
	struct link log_polls;    /* struct log_poll */
	struct link schema_polls; /* struct schema_poll */
	struct link uploads;      /* api_storage.c: bodies that are coming */
	bool        sessions_ended; /* some are to be freed */
	bool        logs_added;
	bool        stopping;
	size_t      busy;
	uint64_t    next_tick_ns;
};

enum body_class { BODY_SKIP, BODY_API, BODY_PUSH, BODY_ECHO, BODY_STREAM };

struct api_route {
	enum http_verb  verb;
	const char     *path;
	bool            prefix;
	enum body_class body;
	void (*handle)(struct api *a, struct http_exchange *x); /* while reading */
	const void     *arg;
};

/* --- while reading: api.c, api_request.c --- */

void api_done(struct http_exchange *x);  /* answered here */
void api_fail(struct http_exchange *x, const struct err *e);
/* On to the core: `run` gets it there. */
void api_post(struct api *a, struct http_exchange *x, void (*run)(struct post *p));

struct client api_client(const struct http_exchange *x); /* already checked */
/* Who asks, by header or query parameter. One reference. */
NODISCARD status api_identity(struct api *a, struct http_exchange *x, struct identity **ret,
    struct err *e);
/* The same for administrators who may do `op`. */
NODISCARD status api_admin(struct api *a, struct http_exchange *x, const char *op,
    struct identity **ret, struct err *e);
/* The body as JSON; BAD_REQUEST BadJsonBody.  Any thread that holds the exchange. */
NODISCARD status api_json(struct http_exchange *x, const struct json **ret, struct err *e);
/* A required text member: BAD_REQUEST BadJsonBody. */
NODISCARD status api_member_str(const struct json *body, const char *name, str *ret, struct err *e);
NODISCARD status api_members_missing(const char *name, struct err *e);
str api_param(struct http_exchange *x, const char *name); /* p == NULL: absent */
/* X-Forwarded-For or the peer; p == NULL: unknown.  User-Agent likewise. */
str api_client_ip(const struct http_exchange *x);
str api_user_agent(const struct http_exchange *x);

/* --- in the core's turn --- */

static inline struct http_exchange *
api_exchange(struct post *p)
{
	return LINK_OWNER(p, struct http_exchange, post);
}

/* Counted in on arrival, out when the answer leaves.  False: refused and answered, because the
 * server is stopping; x is gone. */
NODISCARD bool api_enter(struct api *a, struct http_exchange *x);
void api_refuse(struct api *a, struct http_exchange *x); /* the same for one that was let in */
void api_answer(struct api *a, struct http_exchange *x);

/* --- handlers, by file --- */

/* api_meta.c */
void api_banner(struct api *a, struct http_exchange *x);
void api_instance_name(struct api *a, struct http_exchange *x);
void api_version(struct api *a, struct http_exchange *x);
void api_echo(struct api *a, struct http_exchange *x);
void api_metrics(struct api *a, struct http_exchange *x);
void api_jwks(struct api *a, struct http_exchange *x);
void api_openid(struct api *a, struct http_exchange *x);
void api_check_admin_key(struct api *a, struct http_exchange *x);
void api_debug_event(struct api *a, struct http_exchange *x);

/* api_http.c */
void api_http_action(struct api *a, struct http_exchange *x);

/* api_call.c; route->arg: const enum fn_want * */
void api_function(struct api *a, struct http_exchange *x);
void api_function_get(struct api *a, struct http_exchange *x);
void api_any_function(struct api *a, struct http_exchange *x);
void api_run_function(struct api *a, struct http_exchange *x);

/* A call as it was read, in x->state. */
struct api_call {
	struct api        *api;
	struct fn_call    *call;    /* the exchange's arena holds the reference */
	str                format;  /* as asked; p == NULL: the default */
	bool               bad_format;
};
/* The members path, args and format of `body` as a call. */
NODISCARD status api_call_make(struct api *a, struct http_exchange *x, struct identity *id,
    const struct json *body, enum fn_want want, struct api_call *ret, struct err *e);
/* Fills in the refusal of a format that does not exist. */
void api_bad_format(str name, struct err *e);

/* api_batch.c */
void api_query_ts(struct api *a, struct http_exchange *x);
void api_query_at_ts(struct api *a, struct http_exchange *x);
void api_query_batch(struct api *a, struct http_exchange *x);

/* api_push.c; route->arg: const struct push_route * */
struct push_route {
	deploy_fn fn;
	bool      key_in_body; /* the header's is not looked at if it is broken */
	bool      waits;       /* wait_for_schema */
};
void api_push(struct api *a, struct http_exchange *x);
void api_push_settle(struct api *a);
uint64_t api_push_tick(struct api *a, uint64_t mono_ns);
void api_push_stop(struct api *a);

/* api_logs.c; route->arg: const bool *, lines as text only */
void api_logs(struct api *a, struct http_exchange *x);
void api_logs_settle(struct api *a);
uint64_t api_logs_tick(struct api *a, uint64_t mono_ns);
void api_logs_stop(struct api *a);

/* api_storage.c */
void api_storage_upload(struct api *a, struct http_exchange *x);
void api_storage_get(struct api *a, struct http_exchange *x);
uint64_t api_storage_tick(struct api *a, uint64_t mono_ns);
void api_storage_stop(struct api *a);

/* api_shapes.c */
void api_shapes(struct api *a, struct http_exchange *x);

/* api_sync.c */
/* Checks the handshake; false: x has an error reply. */
bool api_sync_head(struct http_exchange *x, str version_segment);
void api_sync_describe(void *arg, const struct http_exchange *x, struct ws_event *ev);
void api_sync_event(void *arg, struct ws_event *ev);
void api_sync_settle(struct api *a);
uint64_t api_sync_tick(struct api *a, uint64_t mono_ns);
void api_sync_stop(struct api *a);

#endif

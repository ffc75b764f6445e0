/* api.h - what the server answers to: the route table and everything behind it.
 *
 * A request is looked up, its client, identity and body are checked as it is read; what can
 * be answered there is.  The rest waits for the core's turn (functions, long polls, sessions)
 * or from there to a worker (pushes), and back.
 *
 * Thread: the loop thread: while reading up to the post, in the core's turn behind it.
 * Memory: requests waiting for their answers, and sessions.
 */
#ifndef NET_API_H
#define NET_API_H

#include "admin/fnlog.h"
#include "deploy/deploy.h"
#include "functions/gate.h"
#include "functions/storage.h"
#include "net/http_server.h"
#include "sync/session.h"

struct api;

struct api_opts {
	struct db       *db;
	struct auth     *auth;
	struct runner   *runner;
	struct fnlog    *fnlog;
	struct deploy   *deploy;
	const struct os *os;
	struct core_port core;
	struct gate      gate;         /* from other threads */
	const struct storage *storage; /* borrowed */
	str  instance_name, version; /* copied */
	bool redact;                 /* function errors without details, no log lines */
	bool metrics;                /* GET /metrics */
	str  origin;                 /* CONVEX_CLOUD_URL; copied */
	str  site_origin;            /* CONVEX_SITE_URL; copied */
};

struct api *api_new(const struct api_opts *opts);
void        api_free(struct api *a); /* no request may be out */

/* For http_server_opts. */
struct http_app api_app(struct api *a);

/* --- in the core's turn --- */

/* Long polls that can be answered now, sessions that have ended: after each batch of posts. */
void api_settle(struct api *a);
/* There are new commits: polls that watch the catalogue look again. */
void api_commits(struct api *a);
/* Time passes; cheap when nothing is due.  Returns the monotonic ns of what is due next,
 * UINT64_MAX: nothing.  Other calls may bring that forward: ask again before each wait. */
uint64_t api_tick(struct api *a, uint64_t mono_ns);
/* Shutting down: long polls end with 500, sessions are closed, what comes now is refused. */
void   api_stop(struct api *a);
size_t api_busy(const struct api *a); /* requests that the core or a worker holds */

#endif

/* api.c - the route table, and the way of a request to its handler and back.
 *
 * Unknown routes get their 404 at once: the CLI retries a 404 for half a minute in the hope that
 * the server is about to know the route (spec 02 section 2.4), and a slow one would add to that.
 *
 * Thread: the loop thread: head and request while reading, the rest in the core's turn.
 */
#include "base/mem.h"
#include "net/api_int.h"

static const enum fn_want query = WANT_QUERY, mutation = WANT_MUTATION, action = WANT_ACTION;
static const bool runs_only = true, everything = false;

static const struct push_route
    config_hashes = { deploy_get_config_hashes, true, false },
    start_push = { deploy_start_push, true, false },
    evaluate_push = { deploy_evaluate_push, true, false },
    wait_for_schema = { deploy_wait_for_schema, true, true },
    finish_push = { deploy_finish_push, true, false },
    report_push = { deploy_report_push_completed, true, false },
    update_env = { deploy_update_environment_variables, false, false },
    test_function = { deploy_run_test_function, true, false },
    list_env = { deploy_list_environment_variables, false, false },
    canonical_urls = { deploy_get_canonical_urls, false, false },
    cancel_job = { deploy_cancel_job, false, false },
    cancel_all_jobs = { deploy_cancel_all_jobs, false, false },
    delete_jobs = { deploy_delete_scheduled_functions_table, false, false };

static const struct api_route routes[] = {
	{ VERB_GET, "/", false, BODY_SKIP, api_banner, NULL },
	{ VERB_GET, "/instance_name", false, BODY_SKIP, api_instance_name, NULL },
	{ VERB_GET, "/instance_version", false, BODY_SKIP, api_version, NULL },
	{ VERB_GET, "/version", false, BODY_SKIP, api_version, NULL },
	{ VERB_POST, "/echo", false, BODY_ECHO, api_echo, NULL },
	{ VERB_GET, "/metrics", false, BODY_SKIP, api_metrics, NULL },
	{ VERB_GET, "/.well-known/jwks.json", false, BODY_SKIP, api_jwks, NULL },
	{ VERB_GET, "/.well-known/openid-configuration", false, BODY_SKIP, api_openid, NULL },
	{ VERB_GET, "/api/check_admin_key", false, BODY_SKIP, api_check_admin_key, NULL },
	{ VERB_POST, "/api/debug_event", false, BODY_SKIP, api_debug_event, NULL },

	{ VERB_POST, "/api/query", false, BODY_API, api_function, &query },
	{ VERB_GET, "/api/query", false, BODY_SKIP, api_function_get, &query },
	{ VERB_POST, "/api/mutation", false, BODY_API, api_function, &mutation },
	{ VERB_POST, "/api/action", false, BODY_API, api_function, &action },
	{ VERB_POST, "/api/function", false, BODY_API, api_any_function, NULL },
	{ VERB_POST, "/api/run/", true, BODY_API, api_run_function, NULL },
	{ VERB_POST, "/api/query_ts", false, BODY_SKIP, api_query_ts, NULL },
	{ VERB_POST, "/api/query_at_ts", false, BODY_API, api_query_at_ts, NULL },
	{ VERB_POST, "/api/query_batch", false, BODY_API, api_query_batch, NULL },

	{ VERB_POST, "/api/run_test_function", false, BODY_PUSH, api_push, &test_function },
	{ VERB_POST, "/api/get_config_hashes", false, BODY_API, api_push, &config_hashes },
	{ VERB_POST, "/api/deploy2/start_push", false, BODY_PUSH, api_push, &start_push },
	{ VERB_POST, "/api/deploy2/evaluate_push", false, BODY_PUSH, api_push, &evaluate_push },
	{ VERB_POST, "/api/deploy2/wait_for_schema", false, BODY_PUSH, api_push, &wait_for_schema },
	{ VERB_POST, "/api/deploy2/finish_push", false, BODY_PUSH, api_push, &finish_push },
	{ VERB_POST, "/api/deploy2/report_push_completed", false, BODY_PUSH, api_push,
	    &report_push },
	{ VERB_POST, "/api/update_environment_variables", false, BODY_API, api_push, &update_env },
	{ VERB_POST, "/api/v1/update_environment_variables", false, BODY_API, api_push,
	    &update_env },
	{ VERB_GET, "/api/list_environment_variables", false, BODY_SKIP, api_push, &list_env },
	{ VERB_GET, "/api/v1/list_environment_variables", false, BODY_SKIP, api_push, &list_env },
	{ VERB_GET, "/api/v1/get_canonical_urls", false, BODY_SKIP, api_push, &canonical_urls },

	{ VERB_POST, "/api/storage/upload", false, BODY_STREAM, api_storage_upload, NULL },
	{ VERB_GET, "/api/storage/", true, BODY_SKIP, api_storage_get, NULL },

	{ VERB_POST, "/api/cancel_job", false, BODY_API, api_push, &cancel_job },
	{ VERB_POST, "/api/cancel_all_jobs", false, BODY_API, api_push, &cancel_all_jobs },
	{ VERB_POST, "/api/delete_scheduled_functions_table", false, BODY_API, api_push,
	    &delete_jobs },

	{ VERB_GET, "/api/shapes2", false, BODY_SKIP, api_shapes, NULL },
	{ VERB_GET, "/api/stream_function_logs", false, BODY_SKIP, api_logs, &everything },
	{ VERB_GET, "/api/app_metrics/stream_function_logs", false, BODY_SKIP, api_logs,
	    &everything },
	{ VERB_GET, "/api/stream_udf_execution", false, BODY_SKIP, api_logs, &runs_only },
	{ VERB_GET, "/api/app_metrics/stream_udf_execution", false, BODY_SKIP, api_logs,
	    &runs_only },
};

static const struct api_route http_action_route = { VERB_GET, "/http/", true, BODY_STREAM,
	api_http_action, NULL };

struct api *
api_new(const struct api_opts *opts)
{
	struct api *a = MEM_NEW(struct api);

	a->opts = *opts;
	a->arena = arena_new();
	a->opts.instance_name = arena_str(a->arena, opts->instance_name);
	a->opts.version = arena_str(a->arena, opts->version);
	a->opts.origin = arena_str(a->arena, opts->origin);
	a->opts.site_origin = arena_str(a->arena, opts->site_origin);
	link_init(&a->sessions);
	link_init(&a->log_polls);
	link_init(&a->schema_polls);
	link_init(&a->uploads);
	a->next_tick_ns = UINT64_MAX;
	return a;
}

void
api_free(struct api *a)
{
	if (!a)
		return;
	must(a->busy == 0 && !link_joined(&a->sessions));
	arena_free(a->arena);
	mem_free(a);
}

/* --- while reading --- */

static bool
is_http_action(const struct http_exchange *x)
{
	return x->site || str_starts(x->path, S("/http/")) || str_eq(x->path, S("/http"));
}

/* NULL: no such route; *ret_other_verb: the path exists under another one. */
static const struct api_route *
find_route(const struct http_exchange *x, bool *ret_other_verb)
{
	enum http_verb verb = x->verb == VERB_HEAD ? VERB_GET : x->verb;

	*ret_other_verb = false;
	if (is_http_action(x))
		return &http_action_route;
	for (size_t i = 0; i < COUNT_OF(routes); i++) {
		const struct api_route *r = &routes[i];
		str                     path = str_z(r->path);

		if (r->prefix ? !str_starts(x->path, path) : !str_eq(x->path, path))
			continue;
		if (r->verb == verb)
			return r;
		*ret_other_verb = true;
	}
	return NULL;
}

/* "/api/sync" or "/api/<version>/sync"; *ret_version p == NULL: none in the path. */
static bool
is_sync(const struct http_exchange *x, str *ret_version)
{
	str    rest;
	size_t slash;

	*ret_version = (str){ NULL, 0 };
	if (x->site || !str_starts(x->path, S("/api/")))
		return false;
	rest = str_from(x->path, 5);
	if (str_eq(rest, S("sync")))
		return true;
	if (!str_find_char(rest, '/', &slash) || !str_eq(str_from(rest, slash), S("/sync")))
		return false;
	*ret_version = str_head(rest, slash);
	return true;
}

static void
body_rule(enum body_class class, struct http_rule *ret)
{
	ret->over_status = 400;
	ret->over_code = "BadJsonBody";
	ret->over_text = "Failed to buffer the request body: length limit exceeded";
	switch (class) {
	case BODY_SKIP:
		ret->body_max = SKIP_BODY_MAX;
		ret->discard = true;
		break;
	case BODY_API:
		ret->body_max = API_BODY_MAX;
		break;
	case BODY_PUSH:
		ret->body_max = PUSH_BODY_MAX;
		break;
	case BODY_ECHO:
		ret->body_max = ECHO_BODY_MAX;
		ret->over_status = 413;
		ret->over_code = "PayloadTooLarge";
		ret->over_text = "Bodies to echo may have at most 128 MiB";
		break;
	case BODY_STREAM:
		ret->stream = true;
		break;
	}
}

static void
api_head(void *arg, struct http_exchange *x, struct http_rule *ret)
{
	bool other_verb;
	str  version;

	(void)arg;
	x->cors = !is_http_action(x);
	if (is_sync(x, &version)) {
		ret->websocket = api_sync_head(x, version);
		return;
	}
	x->route = x->verb == VERB_OPTIONS && x->cors ? NULL : find_route(x, &other_verb);
	body_rule(x->route ? x->route->body : BODY_SKIP, ret);
}

/* The checks of spec 01 section 2.1 come before every handler but two. */
static bool
client_ok(struct http_exchange *x)
{
	struct client c;
	struct err    e = err_in(x->arena);

	if (str_eq(x->path, S("/version")) || str_eq(x->path, S("/metrics")))
		return true;
	if (client_parse(http_header(x, "convex-client"), &c, &e) == ST_OK)
		return true;
	if (str_eq(e.code, S("ClientVersionUnsupported")))
		x->extra_headers = arena_fmt(x->arena, "x-convex-deprecation-state: Unsupported\r\n"
		    "x-convex-deprecation-message: %.*s\r\n", STR_ARG(e.text));
	http_reply_err(x, &e);
	return false;
}

static void
no_route(struct http_exchange *x)
{
	bool other_verb;
	str  text;

	(void)find_route(x, &other_verb);
	text = arena_fmt(x->arena, other_verb ? "The method is not allowed for %.*s" :
	                                        "There is nothing at %.*s", STR_ARG(x->path));
	if (other_verb)
		http_reply_error(x, 405, S("MethodNotAllowed"), text);
	else
		http_reply_error(x, 404, S("NotFound"), text);
}

/* A request whose token can be checked only with keys that must be downloaded. */
struct key_wait {
	struct auth_wait      wait;
	struct api           *api;
	struct http_exchange *x;
};

static void
on_keys(void *arg)
{
	struct key_wait      *k = arg;
	struct http_exchange *x = k->x;

	k->api->busy--;
	x->route->handle(k->api, x);
}

static bool
wait_for_keys(struct api *a, struct http_exchange *x)
{
	struct key_wait *k;

	if (!http_header(x, "authorization").p)
		return false;
	k = ARENA_NEW(x->arena, struct key_wait);
	*k = (struct key_wait){ .wait = { .ready = on_keys, .arg = k }, .api = a, .x = x };
	if (!auth_header_wait(a->opts.auth, http_header(x, "authorization"), &k->wait))
		return false;
	a->busy++;
	return true;
}

static void
api_request(void *arg, struct http_exchange *x)
{
	struct api *a = arg;

	if (x->verb == VERB_OPTIONS && x->cors) {
		http_reply_preflight(x);
		api_done(x);
		return;
	}
	if (!client_ok(x)) {
		api_done(x);
		return;
	}
	if (!x->route) {
		no_route(x);
		api_done(x);
		return;
	}
	if (!wait_for_keys(a, x))
		x->route->handle(a, x);
}

struct http_app
api_app(struct api *a)
{
	return (struct http_app){
		.arg = a,
		.head = api_head,
		.request = api_request,
		.ws_describe = api_sync_describe,
		.ws_event = api_sync_event,
	};
}

void
api_done(struct http_exchange *x)
{
	http_server_answer(x);
}

void
api_fail(struct http_exchange *x, const struct err *e)
{
	http_reply_err(x, e);
	api_done(x);
}

void
api_post(struct api *a, struct http_exchange *x, void (*run)(struct post *p))
{
	x->post.run = run;
	a->opts.core.post(a->opts.core.arg, &x->post);
}

/* --- in the core's turn --- */

bool
api_enter(struct api *a, struct http_exchange *x)
{
	a->busy++;
	if (!a->stopping)
		return true;
	api_refuse(a, x);
	return false;
}

void
api_refuse(struct api *a, struct http_exchange *x)
{
	/* 500: clients come back */
	http_reply_error(x, 500, S("ServerShuttingDown"), S("The server is shutting down"));
	api_answer(a, x);
}

void
api_answer(struct api *a, struct http_exchange *x)
{
	must(a->busy > 0);
	a->busy--;
	http_server_answer(x);
}

size_t
api_busy(const struct api *a)
{
	return a->busy;
}

void
api_settle(struct api *a)
{
	if (a->logs_added) {
		a->logs_added = false;
		api_logs_settle(a);
	}
	if (a->sessions_ended) {
		a->sessions_ended = false;
		api_sync_settle(a);
	}
}

void
api_commits(struct api *a)
{
	if (link_joined(&a->schema_polls))
		api_push_settle(a);
}

uint64_t
api_tick(struct api *a, uint64_t mono_ns)
{
	uint64_t next, other;

	if (mono_ns < a->next_tick_ns)
		return a->next_tick_ns;
	a->next_tick_ns = UINT64_MAX;
	next = api_sync_tick(a, mono_ns);
	other = api_logs_tick(a, mono_ns);
	next = other < next ? other : next;
	other = api_push_tick(a, mono_ns);
	next = other < next ? other : next;
	other = api_storage_tick(a, mono_ns);
	next = other < next ? other : next;
	if (next < a->next_tick_ns)
		a->next_tick_ns = next;
	return a->next_tick_ns;
}

void
api_stop(struct api *a)
{
	a->stopping = true;
	api_logs_stop(a);
	api_push_stop(a);
	api_storage_stop(a);
	api_sync_stop(a);
	auth_stop(a->opts.auth);
	api_settle(a);
}

/* api_call.c - functions over HTTP: query, mutation, action, function, run (spec 01 section 9).
 *
 * The handler turns the body into a call; the core runs it; its callback writes the reply.
 * How a function fails is its caller's business and travels in a 200; everything else is an
 * error of the server and has a status of its own.
 *
 * Thread: the loop thread: handlers while reading, the rest in the core's turn.
 * Memory: struct api_call in the exchange's arena; the fn_call is shared with the runner.
 */
#include "base/json.h"
#include "base/url.h"
#include "net/api_int.h"

/* --- while reading --- */

static bool
identifier(str s)
{
	bool other = false;

	if (s.n == 0 || s.n > 64 || (s.p[0] >= '0' && s.p[0] <= '9'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c != '_' && !(c >= '0' && c <= '9') &&
		    !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
			return false;
		other = other || c != '_';
	}
	return other;
}

/* "a/b": names of components, joined (spec 01 section 1.2). */
static status
check_component(str path, struct err *e)
{
	str rest = path;

	while (path.n > 0 && rest.p) {
		size_t at = rest.n;
		bool   more = str_find_char(rest, '/', &at);

		if (!identifier(str_head(rest, at)))
			return err_set(e, ST_BAD_REQUEST, "InvalidComponentPath",
			    "'%.*s' is not a component path", STR_ARG(path));
		rest = more ? str_from(rest, at + 1) : (str){ NULL, 0 };
	}
	return ST_OK;
}

static enum vjson_format
call_format(struct http_exchange *x, const struct json *body, struct api_call *c)
{
	struct client     client = api_client(x);
	enum vjson_format f = VJSON_CLEAN;

	if (!json_is_null(json_get(body, "format"))) {
		/* a wrong one is reported after the function ran, as the reference does */
		c->bad_format = !json_get_str(body, "format", &c->format) ||
		    vjson_format_named(c->format, &f, NULL) != ST_OK;
		return f;
	}
	return client_wants_encoded(&client) ? VJSON_ENCODED : VJSON_CLEAN;
}

/* Everything of a call but its path and arguments. */
static struct fn_call *
call_new(struct api *a, struct http_exchange *x, struct identity *id, enum fn_want want)
{
	struct fn_call *call = fn_call_new();
	str             request_id = http_header(x, "convex-request-id");
	str             ip = api_client_ip(x), agent = api_user_agent(x);

	call->want = want;
	call->identity = identity_ref(id);
	call->caller = CALLER_HTTP_API;
	call->request_id = request_id.p ? arena_str(call->arena, request_id) :
	                                  fn_request_id(call->arena, a->opts.os);
	call->client_ip = ip.p ? arena_str(call->arena, ip) : ip;
	call->client_user_agent = agent.p ? arena_str(call->arena, agent) : agent;
	call->redact = a->opts.redact;
	return call;
}

static void
unref_call(void *call)
{
	fn_call_unref(call);
}

status
api_call_make(struct api *a, struct http_exchange *x, struct identity *id, const struct json *body,
    enum fn_want want, struct api_call *ret, struct err *e)
{
	const struct json *args = json_get(body, "args");
	str                path, canonical;

	TRY(api_member_str(body, "path", &path, e));
	if (!args)
		return api_members_missing("args", e);
	TRY(fn_path_parse(x->arena, path, &canonical, e));
	if (id->kind == IDENTITY_ADMIN_AS_USER)
		TRY(identity_require(id, "ActAsUser", e));
	ret->api = a;
	ret->call = call_new(a, x, id, want);
	arena_on_free(x->arena, unref_call, ret->call);
	ret->call->path = arena_str(ret->call->arena, canonical);
	ret->call->args_json = arena_str(ret->call->arena, args->source);
	ret->call->format = call_format(x, body, ret);
	return ST_OK;
}

/* --- in the core's turn --- */

void
api_bad_format(str name, struct err *e)
{
	enum vjson_format unused;

	must(vjson_format_named(name, &unused, e) != ST_OK);
}

static void
call_done(void *arg, struct fn_result *r)
{
	struct http_exchange *x = arg;
	struct api_call      *c = x->state;
	struct err            e = err_in(x->arena);

	if (r->st != ST_OK) {
		http_reply_error(x, status_http(r->st), r->code, r->text);
	} else if (c->bad_format) {
		api_bad_format(c->format, &e);
		http_reply_err(x, &e);
	} else {
		fn_result_write(&x->reply, r);
		http_reply_json(x, 200);
	}
	api_answer(c->api, x);
}

static void
run_call(struct post *p)
{
	struct http_exchange *x = api_exchange(p);
	struct api_call      *c = x->state;

	if (api_enter(c->api, x))
		(void)runner_call(c->api->opts.runner, c->call, call_done, x);
}

/* --- handlers, while reading --- */

/* Hands the prepared call on, or answers with the error. */
static void
submit(struct api *a, struct http_exchange *x, struct api_call *c, status st, const struct err *e)
{
	if (st != ST_OK) {
		api_fail(x, e);
		return;
	}
	x->state = c;
	api_post(a, x, run_call);
}

static status
prepare(struct api *a, struct http_exchange *x, enum fn_want want, bool admin_only,
    struct api_call *c, struct err *e)
{
	struct identity   *id = NULL;
	const struct json *body = NULL;
	status             st;

	/* every administrator may view data: only others fail here */
	TRY(admin_only ? api_admin(a, x, "ViewData", &id, e) : api_identity(a, x, &id, e));
	st = api_json(x, &body, e);
	if (st == ST_OK)
		st = api_call_make(a, x, id, body, want, c, e);
	identity_unref(id);
	return st;
}

void
api_function(struct api *a, struct http_exchange *x)
{
	struct api_call *c = ARENA_NEW(x->arena, struct api_call);
	struct err       e = err_in(x->arena);

	submit(a, x, c, prepare(a, x, *(const enum fn_want *)x->route->arg, false, c, &e), &e);
}

void
api_any_function(struct api *a, struct http_exchange *x)
{
	struct api_call   *c = ARENA_NEW(x->arena, struct api_call);
	struct err         e = err_in(x->arena);
	const struct json *body = NULL;
	str                component = STR_EMPTY;
	status             st = prepare(a, x, WANT_ANY, true, c, &e);

	if (st == ST_OK)
		st = api_json(x, &body, &e);
	if (st == ST_OK && json_get_str(body, "componentPath", &component))
		st = check_component(component, &e);
	if (c->call) {
		c->call->component = arena_str(c->call->arena, component);
		c->call->as_http_missing = true;
	}
	submit(a, x, c, st, &e);
}

/* A body made of query parameters. */
void
api_function_get(struct api *a, struct http_exchange *x)
{
	struct api_call *c = ARENA_NEW(x->arena, struct api_call);
	struct err       e = err_in(x->arena);
	struct json     *args = NULL, *values;
	str              path = api_param(x, "path"), text = api_param(x, "args");
	str              format = api_param(x, "format");
	struct identity *id = NULL;
	status           st;

	if (!path.p || !text.p || json_parse(x->arena, text, &args, NULL) != ST_OK) {
		err_set(&e, ST_BAD_REQUEST, "BadQueryArgs",
		    "The query needs the parameters `path` and `args`, the latter being JSON");
		api_fail(x, &e);
		return;
	}
	values = ARENA_ARRAY(x->arena, struct json, 3);
	values[0] = (struct json){ .kind = JSON_STRING, .string = path };
	values[1] = *args;
	values[2] = (struct json){ .kind = format.p ? JSON_STRING : JSON_NULL, .string = format };
	st = api_identity(a, x, &id, &e);
	if (st == ST_OK)
		st = api_call_make(a, x, id,
		    &(struct json){ .kind = JSON_OBJECT,
			.n = 3,
			.items = values,
			.keys = (str[]){ S("path"), S("args"), S("format") } },
		    WANT_QUERY, c, &e);
	identity_unref(id);
	submit(a, x, c, st, &e);
}

/* "/api/run/a/b/f" -> "a/b:f". */
static status
run_path(struct http_exchange *x, str *ret, struct err *e)
{
	struct buf b;
	size_t     at;
	status     st = ST_OK;

	buf_init(&b, HTTP_HEAD_MAX);
	if (!url_decode(&b, str_from(x->path, 9), false) ||
	    !str_rfind_char(buf_str(&b), '/', &at) || at == 0 || at + 1 == b.n)
		st = err_set(e, ST_BAD_REQUEST, "MissingIdentifier",
		    "The path must be /api/run/<module>/<function>");
	else
		*ret = arena_fmt(
		    x->arena, "%.*s:%.*s", (int)at, b.p, (int)(b.n - at - 1), b.p + at + 1);
	buf_clear(&b);
	return st;
}

static status
prepare_run(struct api *a, struct http_exchange *x, struct api_call *c, struct err *e)
{
	struct identity   *id = NULL;
	const struct json *body = NULL;
	struct json       *values = ARENA_ARRAY(x->arena, struct json, 3);
	str                path;
	status             st;

	TRY(run_path(x, &path, e));
	TRY(api_json(x, &body, e));
	if (!json_get(body, "args"))
		return api_members_missing("args", e);
	values[0] = (struct json){ .kind = JSON_STRING, .string = path };
	values[1] = *json_get(body, "args");
	values[2] = json_get(body, "format")
			? *json_get(body, "format")
			: (struct json){ .kind = JSON_STRING, .string = S("json") };
	if (values[2].kind == JSON_NULL)
		values[2] = (struct json){ .kind = JSON_STRING, .string = S("json") };
	TRY(api_identity(a, x, &id, e));
	st = api_call_make(a, x, id, &(struct json){ .kind = JSON_OBJECT, .n = 3, .items = values,
	        .keys = (str[]){ S("path"), S("args"), S("format") } }, WANT_ANY, c, e);
	identity_unref(id);
	return st;
}

void
api_run_function(struct api *a, struct http_exchange *x)
{
	struct api_call *c = ARENA_NEW(x->arena, struct api_call);
	struct err       e = err_in(x->arena);
	status           st = prepare_run(a, x, c, &e);

	if (st == ST_OK)
		c->call->as_http_missing = true;
	submit(a, x, c, st, &e);
}

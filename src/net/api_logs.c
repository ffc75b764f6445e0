/* api_logs.c - long polls of the function log (spec 02 section 13, spec 05 section 9.1).
 *
 * A poll is answered at once when there is something newer than its cursor, else when something
 * is added, else after 60 s with the cursor it came with.  The first poll of the CLI (cursor 0)
 * only asks where the log ends: an empty log answers it with the present time, so that the
 * first function that runs is not taken for that end.
 *
 * Thread: the loop thread: the handler while reading, the rest in the core's turn.
 * Memory: struct log_poll in the exchange's arena.
 */
#include <math.h>
#include <stdlib.h>

#include "net/api_int.h"

struct log_poll {
	struct link           waiting; /* in api.log_polls */
	struct api           *api;
	struct http_exchange *x;
	double                cursor;
	enum fnlog_form       form;
	str                   session, counter; /* p == NULL: no filter */
	uint64_t              deadline_ns;
};

static bool
try_read(struct log_poll *p)
{
	if (!fnlog_read(p->api->opts.fnlog, p->cursor, p->form, p->session, p->counter,
	        &p->x->reply))
		return false;
	http_reply_json(p->x, 200);
	api_answer(p->api, p->x);
	return true;
}

static void
answer_empty(struct log_poll *p, double cursor)
{
	fnlog_empty(cursor, &p->x->reply);
	http_reply_json(p->x, 200);
	api_answer(p->api, p->x);
}

static void
log_added(void *arg)
{
	struct api *a = arg;

	a->logs_added = true;
}

static void
run_poll(struct post *post)
{
	struct http_exchange *x = api_exchange(post);
	struct log_poll      *p = x->state;
	struct api           *a = p->api;

	if (!api_enter(a, x) || try_read(p))
		return;
	if (p->cursor == 0) {
		answer_empty(p, (double)os_now_ns(a->opts.os) / 1e6);
		return;
	}
	fnlog_on_add(a->opts.fnlog, log_added, a);
	p->deadline_ns = os_mono_ns(a->opts.os) + LOG_POLL_NS;
	if (p->deadline_ns < a->next_tick_ns)
		a->next_tick_ns = p->deadline_ns;
	link_before(&a->log_polls, &p->waiting);
}

void
api_logs_settle(struct api *a)
{
	struct link  waiting;
	struct link *l;

	link_take_all(&waiting, &a->log_polls);
	while ((l = link_first(&waiting))) {
		struct log_poll *p = LINK_OWNER(l, struct log_poll, waiting);

		link_leave(l);
		if (!try_read(p))
			link_before(&a->log_polls, l);
	}
}

uint64_t
api_logs_tick(struct api *a, uint64_t mono_ns)
{
	struct link *l;

	while ((l = link_first(&a->log_polls))) { /* in the order of their deadlines */
		struct log_poll *p = LINK_OWNER(l, struct log_poll, waiting);

		if (mono_ns < p->deadline_ns)
			return p->deadline_ns;
		link_leave(l);
		answer_empty(p, p->cursor);
	}
	return UINT64_MAX;
}

void
api_logs_stop(struct api *a)
{
	struct link *l;

	while ((l = link_first(&a->log_polls))) {
		link_leave(l);
		api_refuse(a, LINK_OWNER(l, struct log_poll, waiting)->x);
	}
}

/* Full precision both ways, or entries are lost or repeated. */
static bool
parse_cursor(struct http_exchange *x, double *ret)
{
	str   text = api_param(x, "cursor");
	char *z, *end;

	*ret = 0;
	if (!text.p)
		return true;
	z = arena_z(x->arena, text);
	*ret = strtod(z, &end);
	return text.n > 0 && *end == '\0' && isfinite(*ret);
}

void
api_logs(struct api *a, struct http_exchange *x)
{
	struct log_poll *p = ARENA_NEW(x->arena, struct log_poll);
	struct identity *id = NULL;
	struct err       e = err_in(x->arena);
	struct client    client = api_client(x);
	status           st = api_admin(a, x, "ViewLogs", &id, &e);

	identity_unref(id);
	if (st == ST_OK && !parse_cursor(x, &p->cursor))
		st = err_set(&e, ST_BAD_REQUEST, "InvalidCursor", "`cursor` must be a number");
	if (st != ST_OK) {
		api_fail(x, &e);
		return;
	}
	p->api = a;
	p->x = x;
	p->form = *(const bool *)x->route->arg ? FNLOG_RUNS :
	    client_is(&client, "npm-cli") || client_is(&client, "dashboard") ? FNLOG_OBJECTS :
	                                                                        FNLOG_TEXTS;
	p->session = api_param(x, "sessionId");
	p->counter = api_param(x, "clientRequestCounter");
	x->state = p;
	api_post(a, x, run_poll);
}

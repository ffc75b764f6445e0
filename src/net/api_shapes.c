/* api_shapes.c - GET /api/shapes2 (spec 03 section 9).
 *
 * The catalogue answers, so no worker is needed.
 *
 * Thread: the loop thread: the handler while reading, the rest in the core's turn.
 * Memory: struct shapes_call in the exchange's arena.
 */
#include "admin/shapes.h"
#include "net/api_int.h"

struct shapes_call {
	struct api *api;
	struct uid  component; /* zero: the root */
};

static void
run_shapes(struct post *p)
{
	struct http_exchange *x = api_exchange(p);
	struct shapes_call   *c = x->state;
	struct snapshot      *s;

	if (!api_enter(c->api, x))
		return;
	s = runner_snapshot(c->api->opts.runner);
	shapes_write(snapshot_catalog(s), c->component, &x->reply);
	snapshot_unref(s);
	http_reply_json(x, 200);
	api_answer(c->api, x);
}

/* The id of a row of _components, in either of its forms; none: the root. */
static status
component_param(struct http_exchange *x, struct uid *ret, struct err *e)
{
	str          text = api_param(x, "component");
	struct docid id;

	*ret = (struct uid){ { 0 } };
	if (text.n == 0 || uid_parse(text, ret))
		return ST_OK;
	if (id_parse(text, &id, NULL) != ST_OK)
		return err_set(e, ST_BAD_REQUEST, "InvalidComponentId",
		    "Invalid component id '%.*s'", STR_ARG(text));
	*ret = id.uid;
	return ST_OK;
}

void
api_shapes(struct api *a, struct http_exchange *x)
{
	struct shapes_call *c = ARENA_NEW(x->arena, struct shapes_call);
	struct identity    *id;
	struct err          e = err_in(x->arena);
	status              st = api_admin(a, x, "ViewData", &id, &e);

	if (st == ST_OK) {
		identity_unref(id);
		st = component_param(x, &c->component, &e);
	}
	if (st != ST_OK) {
		api_fail(x, &e);
		return;
	}
	c->api = a;
	x->state = c;
	api_post(a, x, run_shapes);
}

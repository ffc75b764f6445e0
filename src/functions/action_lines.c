/* action_lines.c - the console lines of an action that runs, on their way to the function log.
 *
 * They go out when the action waits for something, so that what it wrote in one go arrives in one
 * piece.  As long as the run may still begin anew in another engine nothing is told, for it would
 * be told twice.
 *
 * Thread: the action's; notice_run() is the core's.  Memory: a copy of the lines each.
 */
#include "functions/action_int.h"

struct notice {
	struct gate_post     post;
	struct action_state *a; /* one reference */
	struct arena        *arena;
	struct loglines      lines;
};

static void
notice_run(struct gate_post *post)
{
	struct notice                *n = (struct notice *)post;
	const struct action_services *s = &n->a->f->services;

	s->on_progress(s->on_progress_arg, &(struct fn_progress){ .call = n->a->call,
	    .kind = n->a->call->http ? UDF_HTTP_ACTION : UDF_ACTION, .lines = &n->lines });
	loglines_clear(&n->lines);
	action_state_unref(n->a);
	arena_free(n->arena); /* n lives in it */
}

void
action_tell_lines(struct action_state *a)
{
	struct action_services *s = &a->f->services;
	struct arena           *arena;
	struct notice          *n;

	if (!a->lines || a->told == a->lines->lines.n || a->may_leave || !s->on_progress)
		return;
	arena = arena_new();
	n = ARENA_NEW(arena, struct notice);
	*n = (struct notice){ { .run = notice_run }, action_state_ref(a), arena, { 0 } };
	loglines_init(&n->lines, arena);
	for (; a->told < a->lines->lines.n; a->told++)
		loglines_add(&n->lines, &a->lines->lines.v[a->told]);
	s->gate.post(s->gate.arg, &n->post);
}

void
action_forget_lines(struct action_state *a)
{
	loglines_clear(a->lines);
	loglines_init(a->lines, a->lines->arena);
	a->told = 0;
	a->may_leave = false;
}

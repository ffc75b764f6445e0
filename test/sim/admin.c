/* admin.c - what a developer does to the server while clients run: pushes, deletions, looks.
 *
 * A push is that of deploy/: schema and indexes are prepared, the background validates and
 * fills, a last transaction flips everything; here it is polled, sometimes given up for
 * another one, and survives restarts.  Each schema has another index over the balances of
 * accounts, or none, and is strict about some tables of notes.  A push may fail only if a
 * row that it forbids was there at some moment meanwhile.
 *
 * Looks: a snapshot is held for a while, or its timestamp pinned, and then read again; it must
 * be what it was.
 *
 * Thread: one; the transactions run on workers, as tasks of the runner.
 * Memory: one struct admin.
 */
#include <stdio.h>

#include "database/ddl.h"
#include "sim.h"

#define PIN_NS (10ull * 1000 * MS)

static struct txn *
begin(struct sim *s, struct snapshot *at, bool writable)
{
	return txn_begin(&(struct txn_opts){ .snapshot = at ? at : db_snapshot(s->server.db),
	    .writable = writable, .system = true, .writer = S("admin") });
}

/* The attempt of the task that is running: it is in the model from the commit on. */
static struct attempt *
attempt(struct sim *s, struct txn *t)
{
	struct attempt *a = &sim_worker(s)->attempt;

	memset(a, 0, sizeof *a);
	a->snapshot = txn_ts(t);
	return a;
}

/* Commits what went well; 0 if it was nothing. */
static ts_t
end(struct sim *s, struct txn *t, status st, struct err *e, const char *what)
{
	struct conflict conflict;
	ts_t            ts = 0;

	if (st == ST_OK)
		st = txn_commit(t, &ts, &conflict, e);
	sim_worker(s)->attempt.snapshot = 0;
	if (s->server.up)
		trace(s, "%s: %s %.*s", what, st == ST_OK ? "ok" : "failed",
		    STR_ARG(st == ST_OK ? STR_EMPTY : e->text));
	if (s->server.up && st != ST_OK && st != ST_OCC && st != ST_OVERLOADED &&
	    st != ST_OUT_OF_RETENTION)
		sim_fail(s, "%s: %.*s", what, STR_ARG(e->text));
	txn_free(t);
	return st == ST_OK ? ts : 0;
}

/* --- pushes --- */

static const struct schema *
make_schema(struct arena *a, const struct admin *ad)
{
	static const char *const extra[] = { "",
		",{\"indexDescriptor\":\"by_extra\",\"fields\":[\"balance\",\"owner\"]}",
		",{\"indexDescriptor\":\"by_extra\",\"fields\":[\"kind\",\"balance\"]}" };
	static const char by_kind[] =
	    ",{\"indexDescriptor\":\"by_kind\",\"fields\":[\"kind\",\"op\"]}";
	const struct schema *schema;
	struct json         *j;
	struct buf           b;

	buf_init(&b, 1 << 16);
	buf_fmt(&b,
	    "{\"tables\":[{\"tableName\":\"accounts\",\"indexes\":[{\"indexDescriptor\":"
	    "\"by_owner\",\"fields\":[\"owner\"]},{\"indexDescriptor\":\"by_balance\","
	    "\"fields\":[\"balance\"]}%s],\"documentType\":{\"type\":\"any\"}},"
	    "{\"tableName\":\"ops\",\"indexes\":[{\"indexDescriptor\":\"by_op\",\"fields\":"
	    "[\"op\"]}%s],\"documentType\":{\"type\":\"any\"}}",
	    extra[ad->extra], ad->extra == 1 ? by_kind : "");
	for (uint32_t i = 0; i < NOTES; i++)
		if (ad->strict[i])
			buf_fmt(&b,
			    ",{\"tableName\":\"%.*s\",\"indexes\":[],\"documentType\":{\"type\":"
			    "\"object\",\"value\":{\"v\":{\"fieldType\":{\"type\":\"bigint\"},"
			    "\"optional\":false}}}}",
			    STR_ARG(notes_table(i)));
	buf_addz(&b, "],\"schemaValidation\":true}");
	must(json_parse(a, arena_str(a, buf_str(&b)), &j, NULL) == ST_OK);
	must(schema_parse(a, j, &schema, NULL) == ST_OK);
	buf_clear(&b);
	return schema;
}

static ts_t
push_task(struct fn_worker *w, void *arg)
{
	struct sim          *s = arg;
	struct admin        *ad = &s->admin;
	struct txn          *t = begin(s, NULL, true);
	struct err           e = err_in(txn_arena(t));
	const struct schema *schema = make_schema(txn_arena(t), ad);
	struct index_diff    diff;
	struct docid         id = { .table = 0 };
	status               st;
	ts_t                 ts;

	(void)w;
	attempt(s, t)->snapshot = 0;
	st = ddl_prepare_indexes(t, schema, false, &diff, &e);
	if (st == ST_OK)
		st = ddl_submit_schema(t, schema, &id, &e);
	ts = end(s, t, st, &e, "push");
	if (s->server.up && ts) {
		ad->schema = id;
		ad->submitted = ts;
		ad->pushing = true;
		ad->pushes++;
	}
	return 0; /* admin_crashed() looks after durability */
}

/* The schema failed: one of its tables had a reason. */
static void
check_failure(struct sim *s, const struct ddl_state *state, ts_t now)
{
	struct admin *ad = &s->admin;

	for (uint32_t i = 0; i < NOTES; i++)
		if (ad->strict[i] && state->table.p && str_eq(state->table, notes_table(i)) &&
		    checker_had_text(s, i, ad->submitted, now))
			return;
	sim_fail(s, "a push failed without a reason: %.*s", STR_ARG(state->error));
}

static status
flip(struct sim *s, struct txn *t, struct err *e)
{
	struct admin     *ad = &s->admin;
	struct attempt   *a = attempt(s, t);
	struct index_diff diff;
	str               prev, next;

	a->push = true;
	memcpy(a->strict, ad->strict, sizeof a->strict);
	TRY(ddl_activate_schema(t, &ad->schema, &prev, &next, e));
	return ddl_commit_indexes(t, make_schema(txn_arena(t), ad), &diff, e);
}

static ts_t
poll_task(struct fn_worker *w, void *arg)
{
	struct sim      *s = arg;
	struct admin    *ad = &s->admin;
	struct txn      *t = begin(s, NULL, true);
	struct err       e = err_in(txn_arena(t));
	struct ddl_state state = { .progress = DDL_RACE };
	status           st;
	ts_t             ts;

	(void)w;
	attempt(s, t)->snapshot = 0;
	st = ddl_schema_state(t, &ad->schema, &state, &e);
	if (!s->server.up || (st == ST_BAD_REQUEST && str_eq(e.code, S("InvalidSchemaId")))) {
		ad->pushing = ad->pushing && !s->server.up; /* an hour later it is forgotten */
		txn_free(t);
		return 0;
	}
	if (st == ST_OK && state.progress == DDL_FAILED)
		check_failure(s, &state, txn_ts(t));
	if (st == ST_OK && state.progress == DDL_FAILED)
		ad->failures++;
	if (st == ST_OK && state.progress == DDL_COMPLETE)
		st = flip(s, t, &e);
	ts = end(s, t, st, &e, "poll");
	if (s->server.up && st == ST_OK && state.progress != DDL_IN_PROGRESS && ts)
		ad->pushing = false;
	return 0;
}

/* --- tables --- */

static ts_t
drop_task(struct fn_worker *w, void *arg)
{
	struct sim     *s = arg;
	struct txn     *t = begin(s, NULL, true);
	struct err      e = err_in(txn_arena(t));
	uint32_t        table = draw(s, NOTES);
	struct attempt *a = attempt(s, t);
	status          st = ddl_delete_table(t, notes_table(table), &e);
	bool            strict;

	(void)w;
	if (!s->server.up) {
		txn_free(t);
		return 0;
	}
	a->table = table;
	a->dropped = true;
	strict = checker_at(s, txn_ts(t))->strict[table];
	if (strict && st == ST_OK)
		sim_fail(s, "a table was deleted that the schema names");
	if (st == ST_BAD_REQUEST && (str_eq(e.code, S("TableDoesNotExist")) || strict)) {
		a->snapshot = 0;
		txn_free(t);
		return 0;
	}
	s->admin.drops++;
	(void)end(s, t, st, &e, "drop");
	return 0;
}

/* --- looks at the past --- */

static ts_t
look_task(struct fn_worker *w, void *arg)
{
	struct sim      *s = arg;
	struct admin    *ad = &s->admin;
	struct snapshot *at = ad->held;
	struct err       e = err_in(NULL);
	struct txn      *t;
	status           st;

	(void)w;
	ad->held = NULL;
	if (!at || !s->server.up) {
		snapshot_unref(at);
		return 0;
	}
	t = begin(s, at, false);
	st = checker_look(s, t, &e);
	if (st != ST_OK && st != ST_OUT_OF_RETENTION && s->server.up)
		sim_fail(s, "an old snapshot: %.*s", STR_ARG(e.text));
	ad->looks += st == ST_OK;
	txn_free(t);
	return 0;
}

/* The timestamp that was pinned is there for ten seconds at least. */
static void
take_pin(struct sim *s)
{
	struct admin *ad = &s->admin;
	struct err    e = err_in(NULL);
	status        st = db_snapshot_at(s->server.db, ad->pinned, &ad->held, &e);

	if (st != ST_OK &&
	    (st != ST_OUT_OF_RETENTION || s->world.now < ad->pinned_at + PIN_NS))
		sim_fail(s, "a pinned timestamp: %.*s", STR_ARG(e.text));
	if (st == ST_OK && snapshot_ts(ad->held) != ad->pinned)
		sim_fail(s, "a pinned timestamp became another one");
	ad->pinned = 0;
}

/* --- the developer --- */

static void
task_done(void *arg)
{
	struct sim *s = arg;

	s->admin.busy = false;
}

static void
task(struct sim *s, task_fn fn)
{
	s->admin.busy = true;
	s->admin.life = s->server.life;
	runner_task(s->server.runner, fn, task_done, s);
}

static void
new_push(struct sim *s)
{
	struct admin *ad = &s->admin;

	ad->pushing = false;
	ad->extra = draw(s, 3);
	for (uint32_t i = 0; i < NOTES; i++)
		ad->strict[i] = draw(s, 4) == 0;
	task(s, push_task);
}

static void
look(struct sim *s)
{
	struct admin *ad = &s->admin;

	if (ad->pinned && !ad->held)
		take_pin(s);
	if (ad->held) {
		task(s, look_task);
	} else if (draw(s, 2)) {
		ad->held = db_snapshot(s->server.db);
	} else {
		ad->pinned = db_pin_latest(s->server.db);
		ad->pinned_at = s->world.now;
	}
}

static void
act(struct sim *s)
{
	struct admin *ad = &s->admin;
	uint32_t      what = draw(s, 100);

	if (s->ending) {
		if (ad->pushing)
			task(s, poll_task);
	} else if (what < 40) {
		look(s);
	} else if (what < 46) {
		disk_check_past(s);
	} else if (what < 50) {
		task(s, drop_task);
	} else if (ad->pushing && what < 95) {
		task(s, poll_task);
	} else {
		new_push(s);
	}
}

static void
admin_event(struct sim *s, void *arg, uint64_t n)
{
	struct admin *ad = &s->admin;

	(void)arg;
	(void)n;
	if (s->over)
		return;
	if (s->server.up && !(ad->busy && ad->life == s->server.life))
		act(s);
	after(s, latency(s, 15 * MS), admin_event, NULL, 0);
}

void
admin_start(struct sim *s)
{
	after(s, latency(s, 50 * MS), admin_event, NULL, 0);
}

void
admin_crash(struct sim *s)
{
	snapshot_unref(s->admin.held);
	s->admin.held = NULL;
	s->admin.pinned = 0;
	s->admin.busy = false;
}

void
admin_crashed(struct sim *s)
{
	if (s->admin.submitted > s->disk.stored)
		s->admin.pushing = false; /* the push is lost with the rest */
}

bool
admin_quiet(struct sim *s)
{
	struct snapshot         *snap;
	const struct table_info *t;
	bool                     quiet = !s->admin.pushing && s->server.up;

	if (!quiet)
		return false;
	snap = db_snapshot(s->server.db);
	for (size_t i = 0; (t = catalog_table_at(snapshot_catalog(snap), i)); i++)
		for (size_t k = 0; k < t->nindexes; k++)
			if (t->indexes[k].state == INDEX_BACKFILLING)
				quiet = false;
	if (catalog_schema(snapshot_catalog(snap), (struct uid){ { 0 } }, SCHEMA_PENDING))
		quiet = false;
	snapshot_unref(snap);
	return quiet;
}

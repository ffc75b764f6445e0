/* server.c - the simulated server: its database, its core's events, its death.
 *
 * The core is whatever runs from an event: messages arriving, jobs coming back, commits and
 * durability becoming known.  A crash cuts everything between two events, wherever the
 * fibers are.  What is left of the dead process is run to its end without effect, so that its
 * memory can be freed.
 *
 * Thread: one.  Memory: the server's; the disk survives crashes.
 */
#include "sim.h"

static void hang_up(struct conn *c, ts_t durable);

/* --- the core's events --- */

static void
commits_event(struct sim *s, void *arg, uint64_t life)
{
	(void)arg;
	if (life != s->server.life)
		return;
	s->server.commits_due = false;
	runner_commits(s->server.runner);
	store_wake(s);
}

/* Under the commit lock: only remembers. */
static void
on_commit(void *arg)
{
	struct sim    *s = arg;
	struct worker *w = sim_worker(s);

	if (!s->server.up)
		return;
	if (w && w->attempt.snapshot) /* else the server's own housekeeping */
		checker_commit(s, db_latest_ts(s->server.db), &w->attempt);
	if (!s->server.commits_due)
		after(s, latency(s, MS / 50), commits_event, NULL, s->server.life);
	s->server.commits_due = true;
}

static void
flush_event(struct sim *s, void *arg, uint64_t life)
{
	(void)arg;
	if (life != s->server.life)
		return;
	s->server.flush_due = false;
	runner_flush(s->server.runner);
}

static void
on_deferred(void *arg)
{
	struct sim *s = arg;

	if (!s->server.up) /* jobs of the dead server come back */
		return;
	if (!s->server.flush_due)
		after(s, 0, flush_event, NULL, s->server.life);
	s->server.flush_due = true;
}

static void
on_finished(void *arg, const struct fn_call *c, const struct fn_result *r, bool cached)
{
	struct sim *s = arg;

	(void)c;
	(void)cached;
	if (s->server.up && r->st == ST_OCC)
		s->nrefusals++;
	if (s->server.up && r->st != ST_OK && r->st != ST_OCC && r->st != ST_OUT_OF_RETENTION &&
	    !(r->st == ST_OVERLOADED && str_eq(r->code, S("DatabaseFull"))))
		sim_fail(s, "%.*s: %.*s: %.*s", STR_ARG(c->path), STR_ARG(r->code),
		    STR_ARG(r->text));
}

static void
jobs_event(struct sim *s, void *arg, uint64_t life)
{
	uint64_t now = s->world.now, due;

	(void)arg;
	if (life != s->server.life || !s->server.up)
		return;
	due = scheduler_tick(s->server.scheduler, now);
	after(s, due > now && due - now < 10 * MS ? due - now : 10 * MS, jobs_event, NULL, life);
}

/* --- life and death --- */

static void
open_retention(struct sim *s)
{
	struct retention_opts o = { .index_ns = s->window_ns, .document_ns = 3 * s->window_ns,
		.chunk_rows = 1 + draw(s, 40) };
	struct err            e = err_in(NULL);

	s->server.retention = NULL;
	if (s->window_ns && retention_open(s->server.db, &o, &s->server.retention, &e) != ST_OK)
		sim_fail(s, "retention does not open: %.*s", STR_ARG(e.text));
}

static void
open_db(struct sim *s)
{
	struct server *v = &s->server;
	struct db_opts o = { .os = &s->world.os, .store = { &s->disk.table, s->disk.store.self },
		.on_commit = on_commit, .on_commit_arg = s, .instance_name = S("sim"),
		.wlog_max_bytes = s->wlog_bytes, .cache_bytes = s->cache_bytes };
	struct err     e = err_in(NULL);

	disk_revive(s);
	if (db_open(&o, &v->db, &e) != ST_OK)
		sim_fail(s, "the database does not open: %.*s", STR_ARG(e.text));
	if (s->checker.history.n == 0) {
		struct pending_batch *b;

		bank_setup(s, v->db);
		while ((b = db_take_batch(v->db, 1000)) != NULL)
			must(db_write_batch(v->db, b, NULL) == ST_OK);
	}
	if (db_latest_ts(v->db) < s->disk.synced)
		sim_fail(s, "time went back: %llu after %llu",
		    (unsigned long long)db_latest_ts(v->db), (unsigned long long)s->disk.synced);
	open_retention(s);
	checker_database(s);
}

void
server_start(struct sim *s)
{
	struct server        *v = &s->server;
	struct functions_opts fo = { .natives = sim_functions, .nnatives = sim_function_count,
		.instance_name = S("sim") };
	struct runner_opts    ro = { .executor = { s, workers_submit }, .os = &s->world.os,
		   .on_finished = on_finished, .on_finished_arg = s, .on_deferred = on_deferred,
		   .on_deferred_arg = s, .cache_max_bytes = 20000 };

	open_db(s);
	fo.db = v->db;
	v->functions = functions_new(&fo);
	ro.functions = v->functions;
	v->runner = runner_new(&ro);
	v->commits_due = v->flush_due = false;
	v->up = true;
	v->scheduler = scheduler_new(&(struct scheduler_opts){
	    .runner = v->runner, .os = &s->world.os, .parallel = 1 + draw(s, 6) });
	after(s, latency(s, MS), jobs_event, NULL, v->life);
	workers_start(s);
	trace(s, "start %llu", (unsigned long long)db_latest_ts(v->db));
}

static void
free_conn_side(struct conn *c)
{
	session_free(c->session);
	c->session = NULL;
}

/* From here on the server only remains to be freed. */
static void
hang_up_all(struct sim *s)
{
	struct server *v = &s->server;

	v->up = false;
	v->life++;
	scheduler_stop(v->scheduler);
	while (v->conns.n > 0) {
		struct conn *c = v->conns.v[--v->conns.n];

		free_conn_side(c);
		hang_up(c, s->disk.synced);
		conn_unref(c);
	}
}

void
server_crash(struct sim *s)
{
	struct server *v = &s->server;

	/* Who holds a lock is past the point where the model would have to guess. */
	for (size_t i = 0; i < s->nfibers; i++)
		fiber_unlock(s->fibers[i]);
	admin_crash(s);
	disk_die(s);
	trace(s, "crash at %llu", (unsigned long long)s->disk.synced);
	hang_up_all(s);
	clients_told(s, s->disk.synced);
	workers_stop(s);
	scheduler_free(v->scheduler);
	runner_free(v->runner);
	functions_free(v->functions);
	retention_close(v->retention);
	db_close(v->db);
	v->retention = NULL;
	v->db = NULL;
	disk_boot(s);
	checker_crash(s, s->disk.stored);
	clients_lost(s);
	admin_crashed(s);
	s->ncrashes++;
	chaos_restart(s);
}

void
server_stop(struct sim *s)
{
	workers_drain(s);
	if (!s->disk.dead && db_pending_commits(s->server.db) > 0)
		sim_fail(s, "commits are left behind");
	server_crash(s);
}

void
server_init(struct sim *s)
{
	disk_init(s);
}

void
server_clear(struct sim *s)
{
	if (s->server.up)
		server_crash(s);
	disk_clear(s);
	vec_clear(&s->server.jobs);
	vec_clear(&s->server.conns);
}

/* --- connections --- */

struct conn *
conn_ref(struct conn *c)
{
	c->refs++;
	return c;
}

void
conn_unref(struct conn *c)
{
	if (--c->refs == 0)
		mem_free(c);
}

struct message {
	struct conn *conn;
	struct blob *text; /* NULL: the connection was closed */
};

static struct message *
message_new(struct conn *c, struct blob *text)
{
	struct message *m = MEM_NEW(struct message);

	m->conn = conn_ref(c);
	m->text = text;
	return m;
}

static void
message_free(struct message *m)
{
	blob_unref(m->text);
	conn_unref(m->conn);
	mem_free(m);
}

/* Messages of one direction never overtake each other. */
static uint64_t
arrival(struct sim *s, uint64_t *last)
{
	uint64_t at = s->world.now + latency(s, MS);

	if (at <= *last)
		at = *last + 1;
	*last = at;
	return at - s->world.now;
}

/* The server's side ends; the client hears of it later, or never if it is gone. */
static void
drop_session(struct conn *c)
{
	struct server *v = &c->s->server;

	if (!c->session)
		return;
	free_conn_side(c);
	for (size_t i = 0; i < v->conns.n; i++) {
		if (v->conns.v[i] != c)
			continue;
		memmove(v->conns.v + i, v->conns.v + i + 1,
		    (v->conns.n - i - 1) * sizeof(struct conn *));
		v->conns.n--;
		conn_unref(c);
		return;
	}
}

static void
to_client(struct sim *s, void *arg, uint64_t n)
{
	struct message *m = arg;
	struct client  *c = m->conn->client;

	(void)n;
	if (c && m->text) {
		trace(s, "client %u < %.*s", c->no, STR_ARG(str_head(blob_str(m->text), 3000)));
		client_message(c, blob_str(m->text));
	} else if (c) {
		trace(s, "client %u closed", c->no);
		client_closed(c);
	}
	message_free(m);
}

/* The server has died: what it sent may still arrive, then the end of the connection. */
static void
hang_up(struct conn *c, ts_t durable)
{
	c->limit = durable;
	after(c->s, arrival(c->s, &c->to_client), to_client, message_new(c, NULL), 0);
}

static void
sent_event(struct sim *s, void *arg, uint64_t life)
{
	struct conn *c = arg;

	if (life == s->server.life && c->session)
		session_sent(c->session);
	conn_unref(c);
}

static void
io_send(void *arg, struct blob *message, bool transition)
{
	struct conn *c = arg;
	struct sim  *s = c->s;

	after(s, arrival(s, &c->to_client), to_client, message_new(c, message), 0);
	if (transition)
		after(s, latency(s, MS / 2), sent_event, conn_ref(c), s->server.life);
}

static void
closed_event(struct sim *s, void *arg, uint64_t life)
{
	struct conn *c = arg;

	if (life == s->server.life)
		drop_session(c);
	conn_unref(c);
}

static void
io_close(void *arg, int code, str reason)
{
	struct conn *c = arg;
	struct sim  *s = c->s;

	trace(s, "close %d %.*s", code, STR_ARG(reason));
	if (code != 1013)
		sim_fail(s, "a session was closed: %d %.*s", code, STR_ARG(reason));
	after(s, arrival(s, &c->to_client), to_client, message_new(c, NULL), 0);
	after(s, 0, closed_event, conn_ref(c), s->server.life);
}

static void
tick_event(struct sim *s, void *arg, uint64_t life)
{
	struct conn *c = arg;

	if (life == s->server.life && c->session) {
		session_tick(c->session, s->world.now);
		after(s, 200 * MS, tick_event, conn_ref(c), life);
	}
	conn_unref(c);
}

struct conn *
conn_open(struct sim *s, struct client *client)
{
	struct conn        *c = MEM_NEW(struct conn);
	struct session_opts o = { .runner = s->server.runner, .os = &s->world.os,
		.io = { c, io_send, io_close }, .client = S("npm-1.48.0") };

	must(s->server.up);
	c->s = s;
	c->client = client;
	c->limit = TS_MAX;
	c->refs = 2; /* the client's and the server's */
	c->session = session_new(&o);
	vec_push(&s->server.conns, c);
	after(s, 200 * MS, tick_event, conn_ref(c), s->server.life);
	return c;
}

static void
to_server(struct sim *s, void *arg, uint64_t life)
{
	struct message *m = arg;

	if (life == s->server.life && m->conn->session)
		session_message(m->conn->session, blob_str(m->text));
	message_free(m);
}

void
conn_send(struct conn *c, str text)
{
	trace(c->s, "client %u > %.*s", c->client->no, STR_ARG(text));
	after(c->s, arrival(c->s, &c->to_server), to_server, message_new(c, blob_new(text)),
	    c->s->server.life);
}

void
conn_drop(struct conn *c)
{
	c->client = NULL;
	/* What was sent just before may arrive or not; the server notices at some time. */
	after(c->s, latency(c->s, 5 * MS), closed_event, conn_ref(c), c->s->server.life);
	conn_unref(c);
}

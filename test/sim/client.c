/* client.c - clients of the sync protocol, as the official one behaves.
 *
 * Each watches some queries (watch.c) and sends mutations one after the other without waiting;
 * when the connection is gone it makes another, declares all its queries again and sends again
 * every mutation that it has not seen reflected (spec 01 sections 3.6 and 6.2).  What it is told is
 * checked on arrival: the version chain, the values against the model at the transition's
 * own timestamp, responses against what was committed, responses before effects; after a
 * crash, that nothing it was told is lost.
 *
 * Thread: one.  Memory: lists of what it asked and what it was answered.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/enc.h"
#include "base/json.h"
#include "sim.h"

static void think(struct sim *s, void *arg, uint64_t n);

/* --- sending --- */

static void
send_op(struct client *c, struct op *o)
{
	char text[320];

	snprintf(text, sizeof text,
	    "{\"type\":\"Mutation\",\"requestId\":%u,\"udfPath\":\"bank:%s\",\"args\":[%s]}",
	    o->request, o->path, o->args);
	conn_send(c->conn, str_z(text));
}

static void
send_set(struct client *c, struct buf *mods)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_fmt(&b, "{\"type\":\"ModifyQuerySet\",\"baseVersion\":%u,\"newVersion\":%u,"
	    "\"modifications\":[%.*s]}", c->sent_set, c->sent_set + 1, STR_ARG(buf_str(mods)));
	c->sent_set++;
	conn_send(c->conn, buf_str(&b));
	buf_clear(&b);
}

static void
send_connect(struct client *c)
{
	struct buf b;

	buf_init(&b, 4096);
	buf_fmt(&b, "{\"type\":\"Connect\",\"sessionId\":\"00000000-0000-4000-8000-%012u\","
	    "\"connectionCount\":%u,\"lastCloseReason\":null", c->no, c->connections++);
	if (c->max_ts) {
		buf_add(&b, S(",\"maxObservedTimestamp\":\""));
		enc_u64_base64(&b, c->max_ts);
		buf_add_byte(&b, '"');
	}
	buf_add_byte(&b, '}');
	conn_send(c->conn, buf_str(&b));
	buf_clear(&b);
}

/* --- connections --- */

static void
connect_event(struct sim *s, void *arg, uint64_t n)
{
	struct client *c = arg;
	struct buf     mods;

	(void)n;
	c->connecting = false;
	if (!s->server.up || c->conn || s->over)
		return; /* refused; think() tries again */
	c->conn = conn_open(s, c);
	c->sent_set = c->have_set = 0;
	c->have_ts = 0;
	send_connect(c);
	buf_init(&mods, 1 << 20);
	for (size_t i = 0; i < c->watches.n; i++)
		watch_add_json(&mods, &c->watches.v[i]);
	send_set(c, &mods);
	buf_clear(&mods);
	for (size_t i = 0; i < c->ops.n; i++) {
		c->ops.v[i].sent_here = !c->ops.v[i].sent;
		c->ops.v[i].sent = true;
		send_op(c, &c->ops.v[i]);
	}
}

static void
forget_connection(struct client *c)
{
	c->conn = NULL;
	for (size_t i = 0; i < c->watches.n; i++)
		c->watches.v[i].has_value = false;
	for (size_t i = 0; i < c->ops.n; i++)
		c->ops.v[i].sent_here = false;
}

void
client_closed(struct client *c)
{
	struct conn *conn = c->conn;

	if (!conn)
		return;
	forget_connection(c);
	conn_drop(conn);
}

/* --- acting --- */

static void
new_op(struct client *c)
{
	struct sim *s = c->s;
	struct op   o = { .request = c->next_request++ };
	uint32_t    x = draw(s, s->owners), y = (x + 1 + draw(s, s->owners - 1)) % s->owners;

	snprintf(o.name, sizeof o.name, "c%u-%u", c->no, c->next_op++);
	switch (draw(s, 14)) {
	case 12:
	case 13:
		snprintf(o.path, sizeof o.path, "later");
		snprintf(o.args, sizeof o.args,
		    "{\"op\":\"%s\",\"from\":%u,\"to\":%u,\"amount\":%u}", o.name, x, y,
		    draw(s, 60));
		break;
	case 8:
		snprintf(o.path, sizeof o.path, "tax");
		snprintf(o.args, sizeof o.args,
		    "{\"op\":\"%s\",\"lo\":%u,\"hi\":%u,\"to\":%u}", o.name, draw(s, 100),
		    100 + draw(s, 200), x);
		break;
	case 9:
	case 10:
		snprintf(o.path, sizeof o.path, "note");
		snprintf(o.args, sizeof o.args, "{\"op\":\"%s\",\"table\":%u,\"text\":%u}", o.name,
		    draw(s, NOTES), draw(s, 3) == 0);
		break;
	case 11:
		snprintf(o.path, sizeof o.path, "forget");
		snprintf(o.args, sizeof o.args, "{\"op\":\"%s\",\"table\":%u}", o.name,
		    draw(s, NOTES));
		break;
	case 0:
		snprintf(o.path, sizeof o.path, "toggle");
		snprintf(o.args, sizeof o.args, "{\"op\":\"%s\",\"owner\":%u}", o.name, x);
		break;
	case 1:
		snprintf(o.path, sizeof o.path, "level");
		snprintf(o.args, sizeof o.args, "{\"op\":\"%s\",\"lo\":%u,\"hi\":%u}", o.name,
		    x < y ? x : y, x < y ? y : x);
		break;
	default:
		snprintf(o.path, sizeof o.path, "transfer");
		snprintf(o.args, sizeof o.args,
		    "{\"op\":\"%s\",\"from\":%u,\"to\":%u,\"amount\":%u}", o.name, x, y,
		    draw(s, 120));
	}
	if (c->conn) {
		o.sent = o.sent_here = true;
		send_op(c, &o);
	}
	vec_push(&c->ops, o);
}

static void
add_watch(struct client *c, const struct watch *w)
{
	struct buf mods;

	vec_push(&c->watches, *w);
	if (!c->conn)
		return;
	buf_init(&mods, 1 << 20);
	watch_add_json(&mods, w);
	send_set(c, &mods);
	buf_clear(&mods);
}

static void
new_watch(struct client *c)
{
	struct watch w;

	if (!c->conn || draw(c->s, 2) || !watch_next_page(c, &w))
		watch_make(c, &w);
	add_watch(c, &w);
}

/* Pages hang together: one goes, all go. */
static void
drop_watch(struct client *c)
{
	size_t     i = draw(c->s, (uint32_t)c->watches.n), kept = 0;
	uint32_t   id = c->watches.v[i].id;
	bool       page = c->watches.v[i].kind == WATCH_PAGE;
	struct buf mods;

	buf_init(&mods, 1 << 20);
	for (i = 0; i < c->watches.n; i++) {
		const struct watch *w = &c->watches.v[i];

		if (page ? w->kind == WATCH_PAGE : w->id == id) {
			json_comma(&mods);
			buf_fmt(&mods, "{\"type\":\"Remove\",\"queryId\":%u}", w->id);
		} else {
			c->watches.v[kept++] = *w;
		}
	}
	c->watches.n = kept;
	if (c->conn)
		send_set(c, &mods);
	buf_clear(&mods);
}

static void
act(struct client *c)
{
	struct sim *s = c->s;
	uint32_t    what = draw(s, 100);

	if (what < 55 && c->ops.n < 6) {
		new_op(c);
	} else if (what < 66 && c->watches.n < 6) {
		new_watch(c);
	} else if (what < 70 && c->watches.n > 0) {
		drop_watch(c);
	} else if (what < 73 && c->conn) {
		trace(s, "client %u drops its connection", c->no);
		s->ndrops++;
		client_closed(c);
	}
}

static void
think(struct sim *s, void *arg, uint64_t n)
{
	struct client *c = arg;

	(void)n;
	if (s->over)
		return;
	if (!s->ending)
		act(c);
	if (!c->conn && !c->connecting) {
		c->connecting = true;
		after(s, latency(s, 20 * MS), connect_event, c, 0);
	}
	after(s, latency(s, 10 * MS), think, c, 0);
}

/* --- hearing --- */

static ts_t
ts_of(struct client *c, const struct json *j, const char *field)
{
	str      text;
	uint64_t ts;

	if (!json_get_str(j, field, &text) || !dec_u64_base64(text, &ts))
		sim_fail(c->s, "client %u: no timestamp '%s'", c->no, field);
	if (ts > c->conn->limit || ts > c->s->disk.synced)
		sim_fail(c->s, "client %u was told of %" PRIu64 ", which was not durable",
		    c->no, ts);
	return ts;
}

static void
check_version(struct client *c, const struct json *v, uint32_t set, ts_t ts, const char *what)
{
	uint32_t got;

	if (!json_get_u32(v, "querySet", &got) || got != set || ts_of(c, v, "ts") != ts)
		sim_fail(c->s, "client %u: %s does not chain", c->no, what);
}

static void
take_modification(struct client *c, const struct json *m)
{
	str      type;
	uint32_t id;

	if (!json_get_str(m, "type", &type) || !json_get_u32(m, "queryId", &id))
		sim_fail(c->s, "client %u: a modification without type or id", c->no);
	if (str_eq(type, S("QueryRemoved")))
		return;
	if (!str_eq(type, S("QueryUpdated")))
		sim_fail(c->s, "client %u: query %u failed", c->no, id);
	for (size_t i = 0; i < c->watches.n; i++)
		if (c->watches.v[i].id == id)
			watch_take(c, &c->watches.v[i], m);
}

/* Spec 01 section 5 rules 5 and 6. */
static void
settle_ops(struct client *c, ts_t ts)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->ops.n; i++) {
		struct op           *o = &c->ops.v[i];
		const struct moment *m = o->sent_here && !o->answered ? checker_op(c->s, o->name)
		                                                      : NULL;

		if (m && m->ts <= ts)
			sim_fail(c->s, "client %u sees %s before its response", c->no, o->name);
		if (o->answered && o->ts <= ts)
			vec_push(&c->done, *o);
		else
			c->ops.v[kept++] = *o;
	}
	c->ops.n = kept;
}

static void
on_transition(struct client *c, const struct json *j)
{
	const struct json *start = json_get(j, "startVersion"), *end = json_get(j, "endVersion");
	const struct json *mods = json_get(j, "modifications");
	uint32_t           set;
	ts_t               ts;

	check_version(c, start, c->have_set, c->have_ts, "startVersion");
	ts = ts_of(c, end, "ts");
	if (!json_get_u32(end, "querySet", &set) || set < c->have_set || set > c->sent_set ||
	    ts < c->have_ts || !mods || mods->kind != JSON_ARRAY)
		sim_fail(c->s, "client %u: a bad transition", c->no);
	for (size_t i = 0; i < mods->n; i++)
		take_modification(c, &mods->items[i]);
	c->have_set = set;
	c->have_ts = ts;
	if (ts > c->max_ts)
		c->max_ts = ts;
	watch_check(c, ts);
	settle_ops(c, ts);
	for (size_t i = 0; set == c->sent_set && i < c->watches.n; i++)
		if (!c->watches.v[i].has_value)
			sim_fail(c->s, "client %u: query %u has no answer", c->no,
			    c->watches.v[i].id);
	c->s->ntransitions++;
}

static struct op *
find_op(struct client *c, uint32_t request)
{
	for (size_t i = 0; i < c->ops.n; i++)
		if (c->ops.v[i].request == request)
			return &c->ops.v[i];
	return NULL;
}

static void
op_failed(struct client *c, struct op *o)
{
	size_t i = (size_t)(o - c->ops.v);

	if (o->answered)
		sim_fail(c->s, "%s failed after it had succeeded", o->name);
	if (checker_op(c->s, o->name))
		sim_fail(c->s, "%s was committed and is said to have failed", o->name);
	vec_push(&c->failed, *o);
	memmove(c->ops.v + i, c->ops.v + i + 1, (c->ops.n - i - 1) * sizeof *c->ops.v);
	c->ops.n--;
}

static void
on_response(struct client *c, const struct json *j)
{
	struct op           *o;
	const struct moment *m;
	uint32_t             request;
	bool                 ok;
	double               result;
	ts_t                 ts;

	if (!json_get_u32(j, "requestId", &request) || !json_get_bool(j, "success", &ok))
		sim_fail(c->s, "client %u: a bad response", c->no);
	o = find_op(c, request);
	if (!o)
		return; /* answered and reflected on an earlier connection */
	if (!ok) {
		op_failed(c, o);
		return;
	}
	ts = ts_of(c, j, "ts");
	m = checker_op(c->s, o->name);
	if (!m || m->ts != ts)
		sim_fail(c->s, "%s is said to be committed at %" PRIu64, o->name, ts);
	if (!json_get_num(j, "result", &result) || (int64_t)result != m->result)
		sim_fail(c->s, "%s has another result", o->name);
	if (o->answered && o->ts != ts)
		sim_fail(c->s, "%s changed its timestamp", o->name);
	o->answered = true;
	o->ts = ts;
	if (ts > c->max_ts)
		c->max_ts = ts;
}

void
client_message(struct client *c, str text)
{
	struct arena *a = arena_new();
	struct json  *j;
	str           type = STR_EMPTY;

	if (json_parse(a, text, &j, NULL) != ST_OK || !json_get_str(j, "type", &type))
		sim_fail(c->s, "client %u: not a message: %.*s", c->no, STR_ARG(text));
	if (str_eq(type, S("Transition")))
		on_transition(c, j);
	else if (str_eq(type, S("MutationResponse")))
		on_response(c, j);
	else if (!str_eq(type, S("Ping")))
		sim_fail(c->s, "client %u: %.*s", c->no, STR_ARG(text));
	arena_free(a);
}

/* --- all of them --- */

void
clients_start(struct sim *s)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct client *c = &s->clients[i];

		c->s = s;
		c->no = i;
		after(s, latency(s, 10 * MS), think, c, 0);
	}
}

void
clients_told(struct sim *s, ts_t synced)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (s->clients[i].max_ts > synced)
			sim_fail(s, "client %zu was told of %" PRIu64 ", which was not durable", i,
			    s->clients[i].max_ts);
}

void
clients_lost(struct sim *s)
{
	for (size_t i = 0; i < CLIENTS; i++)
		for (size_t k = 0; k < s->clients[i].done.n; k++)
			if (!checker_op(s, s->clients[i].done.v[k].name))
				sim_fail(s, "%s was acknowledged and is lost",
				    s->clients[i].done.v[k].name);
}

bool
clients_quiet(struct sim *s)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (s->clients[i].ops.n > 0 || !s->clients[i].conn)
			return false;
	return true;
}

/* Nothing is lost, doubled, forgotten or out of date. */
void
clients_check_end(struct sim *s)
{
	size_t done = 0, committed = 0;

	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *c = &s->clients[i];

		for (size_t k = 0; k < c->watches.n; k++)
			if (!c->watches.v[k].has_value)
				sim_fail(s, "client %u: query %u has no value", c->no,
				    c->watches.v[k].id);
		watch_check(c, TS_MAX);
		for (size_t k = 0; k < c->failed.n; k++)
			if (checker_op(s, c->failed.v[k].name))
				sim_fail(s, "%s failed and is there", c->failed.v[k].name);
		done += c->done.n;
	}
	clients_lost(s);
	for (size_t i = 0; i < s->checker.history.n; i++)
		committed += s->checker.history.v[i].op[0] != '\0' &&
		    !later_is_due(s->checker.history.v[i].op);
	if (done != committed)
		sim_fail(s, "%zu operations are done, %zu were committed", done, committed);
}

void
clients_clear(struct sim *s)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *c = &s->clients[i];

		client_closed(c);
		vec_clear(&c->ops);
		vec_clear(&c->done);
		vec_clear(&c->failed);
		vec_clear(&c->watches);
	}
}

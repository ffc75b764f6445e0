/* wire_test.c - plays the conversations of test/wire against the core.
 *
 * A script has one action per line; '#' begins a comment.  Clients talk to real sessions over a
 * real runner and database in memory (functions/fn_fixture.h has the application).  Before
 * each expectation the core runs until nothing moves.
 *
 *   server  redact | disk off|on | workers off|on | advance 16s | keys | job | deploy m.js
 *   server  call PATH ARGS            a mutation from elsewhere
 *   server  query PATH ARGS == JSON
 *   client a  connect [npm-1.27.0]    drop    stalled    reading
 *   client a  > Connect SESSION [max=NAME] [clock]
 *   client a  > ModifyQuerySet BASE NEW [+ID PATH ARGS | -ID] ...
 *   client a  > Mutation ID PATH ARGS     > Action ID PATH ARGS
 *   client a  > Authenticate BASE User|Admin TOKEN | None
 *   client a  > flood N PATH ARGS     N mutations
 *   client a  > raw TEXT
 *   client a  < Transition QUERYSET IDENTITY [qID=JSON | qID!"text" | qID~"log line" | -ID] ...
 *   client a  < chunks N              a transition in N pieces, then as above on its own line
 *   client a  < MutationResponse ID success JSON [ts=NAME] | failure "text"
 *   client a  < ActionResponse ID failure "text"
 *   client a  < FatalError "text" | AuthError true|false "text" | Ping
 *   client a  < close CODE [REASON]   < nothing
 *
 * On the side every message is checked against spec 01 section 5: the version chain, times that
 * never go back and are durable, responses before their effects.
 *
 * Thread: one.  Memory: a world per script.
 */
#include <dirent.h>

#include "base/enc.h"
#include "unit/functions/fn_fixture.h"
#include "sync/session.h"

#define CLIENTS_MAX 4
#define TOKENS_MAX  80

struct client {
	char             name;
	struct session  *session;
	VEC(struct blob *) inbox;
	size_t           unsent;      /* transitions that the socket has not taken yet */
	bool             stalled;
	bool             closed;
	int              close_code;
	char             close_reason[128];
	bool             fresh;       /* the first connection of its client session */
	uint32_t         query_set, identity; /* of the last transition */
	ts_t             ts;
	uint32_t         mutations;   /* sent by flood */
	struct buf       chunked;
};

struct play {
	struct world   w;
	struct client  clients[CLIENTS_MAX];
	struct { char name[16]; ts_t ts; } marks[8];
	char           sessions[8][16]; /* session names that connected */
	const char    *file;
	int            line;
	str            tokens[TOKENS_MAX];
	size_t         ntokens;
	struct auth_wait *keys; /* of a "late..." token; NULL: nobody waits */
};

static struct play *play;

#define WANT(cond, ...)                                                       \
	do {                                                                  \
		if (!(cond)) {                                                \
			print_error("%s:%d: ", play->file, play->line);       \
			print_error(__VA_ARGS__);                             \
			print_error("\n");                                    \
			_fail(play->file, play->line);                        \
		}                                                             \
	} while (0)

/* --- who is asking --- */

static struct identity *
identity_named(enum identity_kind kind, str label)
{
	struct identity *i = identity_none();

	i->kind = kind;
	blob_unref(i->label);
	i->label = blob_new(label);
	return i;
}

/* "short" tokens live for ten seconds, "bad" ones are refused, others name their user. */
status
auth_user_token(struct auth *a, str token, struct identity **ret, struct err *e)
{
	(void)a;
	if (str_eq(token, S("bad")))
		return err_set(e, ST_UNAUTHENTICATED, "InvalidAuthHeader", "Could not verify");
	*ret = identity_named(IDENTITY_USER, token);
	if (str_eq(token, S("short")))
		(*ret)->expires_s = play->w.now_ns / 1000000000u + 10;
	return ST_OK;
}

/* The keys of "late..." tokens have to be downloaded. */
bool
auth_token_wait(struct auth *a, str token, struct auth_wait *w)
{
	(void)a;
	if (!str_starts(token, S("late")))
		return false;
	play->keys = w;
	return true;
}

void
auth_wait_cancel(struct auth_wait *w)
{
	if (play->keys == w)
		play->keys = NULL;
}

status
auth_admin_key(struct auth *a, str key, const struct json *acting_as, struct identity **ret,
    struct err *e)
{
	(void)a, (void)acting_as;
	if (!str_eq(key, S("key")))
		return err_set(e, ST_UNAUTHENTICATED, "BadAdminKey", "The provided admin key was "
			"invalid for this instance");
	*ret = identity_named(IDENTITY_ADMIN, S("admin:carnitas"));
	return ST_OK;
}

/* --- the socket --- */

static str
need_text(const struct json *j, const char *field)
{
	str s = STR_EMPTY;

	WANT(json_get_str(j, field, &s), "no text `%s` in %.*s", field, STR_ARG(j->source));
	return s;
}

static uint32_t
need_number(const struct json *j, const char *field)
{
	uint32_t n = 0;

	WANT(json_get_u32(j, field, &n), "no number `%s` in %.*s", field, STR_ARG(j->source));
	return n;
}

static ts_t
need_ts(const struct json *j)
{
	ts_t ts = 0;

	WANT(dec_u64_base64(need_text(j, "ts"), &ts), "bad ts in %.*s", STR_ARG(j->source));
	return ts;
}

static void
check_transition(struct client *c, const struct json *j)
{
	const struct json *from = json_get(j, "startVersion");
	const struct json *to = json_get(j, "endVersion");

	WANT(need_number(from, "querySet") == c->query_set &&
		need_number(from, "identity") == c->identity && need_ts(from) == c->ts,
	    "broken version chain: %.*s", STR_ARG(from->source));
	WANT(need_ts(to) >= c->ts && need_number(to, "querySet") >= c->query_set &&
		need_number(to, "identity") >= c->identity,
	    "time goes back: %.*s", STR_ARG(to->source));
	c->query_set = need_number(to, "querySet");
	c->identity = need_number(to, "identity");
	c->ts = need_ts(to);
	WANT(c->ts <= db_durable_ts(play->w.db), "a transition that is not durable");
	WANT((json_get(j, "serverTs") == NULL) == (json_get(j, "clientClockSkew") == NULL),
	    "one clock field without the other");
}

/* Puts chunks together; true if `text` is now the whole message. */
static bool
unchunk(struct client *c, const struct json *j)
{
	str piece = need_text(j, "chunk");

	WANT(piece.n <= 5000000 && str_utf8_valid(piece), "bad chunk");
	buf_add(&c->chunked, piece);
	return need_number(j, "partNumber") + 1 == need_number(j, "totalParts");
}

static void
on_send(void *arg, struct blob *message, bool transition)
{
	struct client *c = arg;
	struct arena  *a = arena_new();
	struct json   *j;
	str            type;

	WANT(!c->closed, "a message after the end");
	WANT(json_parse(a, blob_str(message), &j, NULL) == ST_OK, "no JSON: %s", message->bytes);
	type = need_text(j, "type");
	if (str_eq(type, S("TransitionChunk"))) {
		if (unchunk(c, j)) {
			WANT(json_parse(a, buf_str(&c->chunked), &j, NULL) == ST_OK, "bad sum");
			check_transition(c, j);
		}
	} else {
		WANT(c->chunked.n == 0 || str_eq(type, S("Ping")), "something between chunks");
	}
	if (str_eq(type, S("Transition")))
		check_transition(c, j);
	if (str_eq(type, S("MutationResponse")) && json_get(j, "ts")->kind == JSON_STRING) {
		WANT(need_ts(j) <= db_durable_ts(play->w.db), "a response that is not durable");
		WANT(!c->fresh || c->ts < need_ts(j), "effects before the response");
	}
	c->unsent += transition;
	vec_push(&c->inbox, message);
	arena_free(a);
}

static void
on_close(void *arg, int code, str reason)
{
	struct client *c = arg;

	WANT(!c->closed, "closed twice");
	WANT(reason.n < sizeof c->close_reason, "long reason");
	c->closed = true;
	c->close_code = code;
	snprintf(c->close_reason, sizeof c->close_reason, "%.*s", STR_ARG(reason));
}

static void
client_drop(struct client *c)
{
	session_free(c->session);
	for (size_t i = 0; i < c->inbox.n; i++)
		blob_unref(c->inbox.v[i]);
	vec_clear(&c->inbox);
	buf_clear(&c->chunked);
	*c = (struct client){ .name = c->name };
}

static struct client *
client_named(str name)
{
	struct client *c = play->clients;

	WANT(name.n == 1, "client names have one letter");
	while (c < play->clients + CLIENTS_MAX && c->name && c->name != name.p[0])
		c++;
	WANT(c < play->clients + CLIENTS_MAX, "too many clients");
	c->name = name.p[0];
	return c;
}

/* Until core and sockets are quiet. */
static void
settle(void)
{
	bool more = true;

	while (more) {
		world_settle(&play->w);
		more = false;
		for (size_t i = 0; i < CLIENTS_MAX; i++) {
			struct client *c = &play->clients[i];

			while (c->session && !c->closed && !c->stalled && c->unsent) {
				c->unsent--;
				session_sent(c->session);
				more = true;
			}
		}
	}
}

/* --- lines --- */

/* Splits at blanks that are outside of double quotes. */
static void
tokenize(str line)
{
	size_t at = 0;

	play->ntokens = 0;
	while (at < line.n && line.p[at] != '#') {
		size_t from = at;
		bool   quoted = false;

		while (at < line.n && (quoted || (line.p[at] != ' ' && line.p[at] != '\t'))) {
			if (line.p[at] == '"')
				quoted = !quoted;
			at++;
		}
		if (at > from) {
			WANT(play->ntokens < TOKENS_MAX, "too many words");
			play->tokens[play->ntokens++] = str_of(line.p + from, at - from);
		}
		while (at < line.n && (line.p[at] == ' ' || line.p[at] == '\t'))
			at++;
	}
}

static str
token(size_t i)
{
	WANT(i < play->ntokens, "a word is missing");
	return play->tokens[i];
}

static bool
token_is(size_t i, const char *z)
{
	return i < play->ntokens && str_eq(play->tokens[i], str_z(z));
}

static uint64_t
token_number(size_t i)
{
	uint64_t n = 0;

	WANT(str_to_u64(token(i), &n), "not a number: %.*s", STR_ARG(token(i)));
	return n;
}

static str
unquote(str s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return str_of(s.p + 1, s.n - 2);
	return s;
}

static ts_t *
mark(str name)
{
	for (size_t i = 0; i < COUNT_OF(play->marks); i++) {
		if (play->marks[i].name[0] == '\0')
			snprintf(play->marks[i].name, sizeof play->marks[i].name, "%.*s",
			    STR_ARG(name));
		if (str_eq(str_z(play->marks[i].name), name))
			return &play->marks[i].ts;
	}
	WANT(false, "too many marks");
	return NULL;
}

/* --- server lines --- */

static void
deploy(str path)
{
	struct world   *w = &play->w;
	struct txn     *t = txn_begin(
		&(struct txn_opts){ .snapshot = db_snapshot(w->db), .writable = true });
	struct docid    id;
	struct val      v;
	struct conflict conflict;
	ts_t            ts;

	WANT(vjson_parse(w->arena,
		 arena_fmt(w->arena,
		     "{\"path\":\"%.*s\",\"environment\":\"isolate\",\"analyzeResult\":"
		     "{\"functions\":[{\"name\":\"list\",\"udfType\":\"Mutation\","
		     "\"visibility\":{\"kind\":\"public\"},\"args\":null,\"returns\":null}]}}",
		     STR_ARG(path)),
		 VJSON_PLAIN, &v, NULL) == ST_OK,
	    "bad module");
	WANT(txn_sys_insert(t, S("_modules"), v, &id, NULL) == ST_OK, "insert");
	WANT(txn_commit(t, &ts, &conflict, NULL) == ST_OK, "commit");
	txn_free(t);
}

static void
advance(void)
{
	str      s = token(2);
	uint64_t seconds = 0;

	WANT(str_ends(s, S("s")) && str_to_u64(str_head(s, s.n - 1), &seconds), "bad time");
	play->w.now_ns += seconds * 1000000000u;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (play->clients[i].session)
			(void)session_tick(play->clients[i].session, play->w.now_ns);
}

static void
keys_come(void)
{
	struct auth_wait *w = play->keys;

	WANT(w != NULL, "nobody waits for keys");
	play->keys = NULL;
	w->ready(w->arg);
}

static void
server_line(void)
{
	struct world *w = &play->w;

	if (token_is(1, "redact")) {
		world_close(w);
		world_open(w, true);
	} else if (token_is(1, "disk")) {
		w->disk_off = token_is(2, "off");
	} else if (token_is(1, "workers")) {
		w->workers_off = token_is(2, "off");
	} else if (token_is(1, "advance")) {
		advance();
	} else if (token_is(1, "keys")) {
		keys_come();
	} else if (token_is(1, "job")) {
		while (world_flush(w))
			continue;
		WANT(world_job(w), "no job waits");
	} else if (token_is(1, "deploy")) {
		deploy(token(2));
	} else if (token_is(1, "call")) {
		struct fn_result *r = world_run(w, WANT_MUTATION, token(2), token(3));

		WANT(r->ok, "the call failed: %.*s", STR_ARG(r->error));
		fn_result_unref(r);
	} else if (token_is(1, "query")) {
		struct fn_result *r = world_run(w, WANT_QUERY, token(2), token(3));

		WANT(str_eq(r->value_json, token(5)), "got %.*s", STR_ARG(r->value_json));
		fn_result_unref(r);
	} else {
		WANT(false, "unknown server line");
	}
}

/* --- client lines: sending --- */

static void
client_connect(struct client *c)
{
	const struct session_opts opts = { .runner = play->w.runner, .os = &play->w.os,
		.io = { .arg = c, .send = on_send, .close = on_close },
		.client = play->ntokens > 3 ? token(3) : S("npm-1.48.0") };

	WANT(!c->session, "connected already");
	buf_init(&c->chunked, BUF_MAX_DEFAULT);
	c->session = session_new(&opts);
}

static void
send_text(struct client *c, struct buf *b)
{
	WANT(c->session != NULL, "not connected");
	session_message(c->session, buf_str(b));
	buf_clear(b);
}

static void
send_connect(struct client *c, struct buf *b)
{
	str  name = token(4);
	bool known = false;
	size_t i = 0;

	for (; i < COUNT_OF(play->sessions) && play->sessions[i][0] && !known; i++)
		known = str_eq(str_z(play->sessions[i]), name);
	if (!known)
		snprintf(play->sessions[i], sizeof play->sessions[i], "%.*s", STR_ARG(name));
	c->fresh = !known;
	buf_fmt(b, "{\"type\":\"Connect\",\"sessionId\":\"5d8f2a34-0b0e-4c3e-9f7a-%012u\",",
	    (unsigned)name.p[name.n - 1]);
	buf_fmt(b, "\"connectionCount\":%d,\"lastCloseReason\":null", known);
	for (i = 5; i < play->ntokens; i++) {
		if (token_is(i, "clock")) {
			buf_fmt(b, ",\"clientTs\":%llu",
			    (unsigned long long)(play->w.now_ns / 1000000u + 7));
		} else if (str_starts(token(i), S("max="))) {
			str  m = str_from(token(i), 4);
			ts_t ts = str_eq(m, S("future")) ? TS_MAX : *mark(m);

			buf_addz(b, ",\"maxObservedTimestamp\":\"");
			enc_u64_base64(b, ts);
			buf_add_byte(b, '"');
		}
	}
	buf_add_byte(b, '}');
}

static void
send_modify(struct buf *b)
{
	buf_fmt(b, "{\"type\":\"ModifyQuerySet\",\"baseVersion\":%u,\"newVersion\":%u,",
	    (unsigned)token_number(4), (unsigned)token_number(5));
	buf_addz(b, "\"modifications\":[");
	for (size_t i = 6; i < play->ntokens; i++) {
		str id = str_from(token(i), 1);

		json_comma(b);
		if (token(i).p[0] == '-') {
			buf_fmt(b, "{\"type\":\"Remove\",\"queryId\":%.*s}", STR_ARG(id));
			continue;
		}
		WANT(token(i).p[0] == '+', "neither + nor -");
		buf_fmt(b,
		    "{\"type\":\"Add\",\"queryId\":%.*s,\"udfPath\":\"%.*s\",\"args\":[%.*s]}",
		    STR_ARG(id), STR_ARG(token(i + 1)), STR_ARG(token(i + 2)));
		i += 2;
	}
	buf_addz(b, "]}");
}

static void
write_request(struct buf *b, const char *type, unsigned id, str path, str args)
{
	buf_fmt(b, "{\"type\":\"%s\",\"requestId\":%u,\"udfPath\":\"%.*s\",\"args\":[%.*s]}", type,
	    id, STR_ARG(path), STR_ARG(args));
}

static void
send_flood(struct client *c)
{
	size_t n = (size_t)token_number(4);

	for (size_t i = 0; i < n && !c->closed; i++) {
		struct buf b;

		buf_init(&b, BUF_MAX_DEFAULT);
		write_request(&b, "Mutation", c->mutations++, token(5), token(6));
		send_text(c, &b);
	}
}

static void
send_authenticate(struct buf *b)
{
	buf_fmt(b, "{\"type\":\"Authenticate\",\"baseVersion\":%u,\"tokenType\":\"%.*s\"",
	    (unsigned)token_number(4), STR_ARG(token(5)));
	if (!token_is(5, "None"))
		buf_fmt(b, ",\"value\":\"%.*s\"", STR_ARG(token(6)));
	buf_add_byte(b, '}');
}

static void
client_sends(struct client *c, str line)
{
	struct buf b;
	size_t     at = 0;

	buf_init(&b, BUF_MAX_DEFAULT);
	if (token_is(3, "Connect")) {
		send_connect(c, &b);
	} else if (token_is(3, "ModifyQuerySet")) {
		send_modify(&b);
	} else if (token_is(3, "Mutation")) {
		write_request(&b, "Mutation", (unsigned)token_number(4), token(5), token(6));
	} else if (token_is(3, "Action")) {
		write_request(&b, "Action", (unsigned)token_number(4), token(5), token(6));
	} else if (token_is(3, "Authenticate")) {
		send_authenticate(&b);
	} else if (token_is(3, "flood")) {
		send_flood(c);
		return;
	} else {
		WANT(token_is(3, "raw") && str_find(line, S("raw "), &at), "unknown message");
		buf_add(&b, str_from(line, at + 4));
	}
	send_text(c, &b);
}

/* --- client lines: receiving --- */

static bool
contains(str text, str what)
{
	size_t at;

	return str_find(text, unquote(what), &at);
}

static const struct json *
modification_of(const struct json *mods, uint32_t id)
{
	for (size_t i = 0; i < mods->n; i++)
		if (need_number(&mods->items[i], "queryId") == id)
			return &mods->items[i];
	WANT(false, "no modification of query %u in %.*s", id, STR_ARG(mods->source));
	return NULL;
}

/* One word of an expected transition against what came. */
static void
expect_modification(const struct json *mods, str word)
{
	uint64_t           id = 0;
	size_t             end = 1;
	const struct json *m;
	str                what;

	while (end < word.n && word.p[end] >= '0' && word.p[end] <= '9')
		end++;
	WANT(str_to_u64(str_of(word.p + 1, end - 1), &id), "bad word");
	m = modification_of(mods, (uint32_t)id);
	what = str_from(word, end + 1);
	if (word.p[0] == '-') {
		WANT(str_eq(need_text(m, "type"), S("QueryRemoved")), "not removed");
		return;
	}
	WANT(json_get(m, "logLines") && json_get(m, "journal"), "fields are missing");
	if (word.p[end] == '=')
		WANT(str_eq(need_text(m, "type"), S("QueryUpdated")) &&
			str_eq(json_get(m, "value")->source, what),
		    "got %.*s", STR_ARG(m->source));
	else if (word.p[end] == '!')
		WANT(str_eq(need_text(m, "type"), S("QueryFailed")) &&
			contains(need_text(m, "errorMessage"), what),
		    "got %.*s", STR_ARG(m->source));
	else if (word.p[end] == '?') /* error data */
		WANT(json_get(m, "errorData") && str_eq(json_get(m, "errorData")->source, what),
		    "got %.*s", STR_ARG(m->source));
	else
		WANT(contains(json_get(m, "logLines")->source, what), "got %.*s",
		    STR_ARG(m->source));
}

static void
expect_transition(const struct json *j)
{
	const struct json *to = json_get(j, "endVersion");
	const struct json *mods = json_get(j, "modifications");
	bool               seen[64] = { false };
	size_t             n = 0;

	WANT(need_number(to, "querySet") == token_number(4) &&
		need_number(to, "identity") == token_number(5),
	    "got %.*s", STR_ARG(to->source));
	for (size_t i = 6; i < play->ntokens; i++) {
		uint64_t id = 0;
		size_t   end = 1;

		if (token_is(i, "clock")) {
			double skew = 0;

			WANT(json_get_num(j, "clientClockSkew", &skew) && skew > 0 && skew < 10,
			    "no skew");
			continue;
		}
		expect_modification(mods, token(i));
		while (end < token(i).n && token(i).p[end] >= '0' && token(i).p[end] <= '9')
			end++;
		(void)str_to_u64(str_of(token(i).p + 1, end - 1), &id);
		n += !seen[id % 64];
		seen[id % 64] = true;
	}
	WANT(mods->n == n, "other modifications than expected: %.*s", STR_ARG(mods->source));
}

static void
expect_response(const struct json *j)
{
	const struct json *result = json_get(j, "result");
	bool               success = false;

	WANT(need_number(j, "requestId") == token_number(4), "got %.*s", STR_ARG(j->source));
	WANT(json_get_bool(j, "success", &success) && success == token_is(5, "success"),
	    "got %.*s", STR_ARG(j->source));
	WANT(json_get(j, "logLines"), "no logLines");
	if (success)
		WANT(str_eq(result->source, token(6)), "got %.*s", STR_ARG(result->source));
	else
		WANT(contains(result->string, token(6)), "got %.*s", STR_ARG(result->source));
	if (play->ntokens > 7 && str_starts(token(7), S("ts="))) {
		ts_t *m = mark(str_from(token(7), 3));

		WANT(*m == 0 || *m == need_ts(j), "another ts");
		*m = need_ts(j);
	}
	if (play->ntokens > 7 && str_starts(token(7), S("data=")))
		WANT(json_get(j, "errorData") &&
			str_eq(json_get(j, "errorData")->source, str_from(token(7), 5)),
		    "got %.*s", STR_ARG(j->source));
}

static void
expect_close(struct client *c)
{
	WANT(c->closed, "not closed");
	WANT(c->inbox.n == 0, "unread: %s", c->inbox.v[0]->bytes);
	WANT((uint64_t)c->close_code == token_number(4), "closed with %d %s", c->close_code,
	    c->close_reason);
	WANT(str_eq(str_z(c->close_reason), play->ntokens > 5 ? token(5) : STR_EMPTY),
	    "closed because of %s", c->close_reason);
}

static void
expect_error(const struct json *j)
{
	bool attempted = false;

	if (token_is(3, "AuthError")) {
		WANT(json_get_bool(j, "authUpdateAttempted", &attempted) &&
			attempted == token_is(4, "true"),
		    "got %.*s", STR_ARG(j->source));
		(void)need_number(j, "baseVersion");
	}
	WANT(contains(need_text(j, "error"), token(play->ntokens - 1)), "got %.*s",
	    STR_ARG(j->source));
}

static struct blob *
receive(struct client *c)
{
	struct blob *b;

	WANT(c->inbox.n > 0, "nothing came%s", c->closed ? ", but the end" : "");
	b = c->inbox.v[0];
	c->inbox.n--;
	memmove(c->inbox.v, c->inbox.v + 1, c->inbox.n * sizeof *c->inbox.v);
	return b;
}

/* Takes the pieces; the transition in them is received next. */
static void
expect_chunks(struct client *c)
{
	for (uint64_t i = 0, n = token_number(4); i < n; i++) {
		struct blob *b = receive(c);

		WANT(str_starts(blob_str(b), S("{\"type\":\"TransitionChunk\"")), "no chunk");
		blob_unref(b);
	}
	vec_push(&c->inbox, NULL);
	memmove(c->inbox.v + 1, c->inbox.v, (c->inbox.n - 1) * sizeof *c->inbox.v);
	c->inbox.v[0] = blob_new(buf_str(&c->chunked));
	buf_reset(&c->chunked);
}

static void
client_receives(struct client *c)
{
	struct blob  *b;
	struct arena *a;
	struct json  *j;

	settle();
	if (token_is(3, "nothing")) {
		WANT(c->inbox.n == 0, "came: %s", c->inbox.v[0]->bytes);
		return;
	}
	if (token_is(3, "close")) {
		expect_close(c);
		return;
	}
	if (token_is(3, "chunks")) {
		expect_chunks(c);
		return;
	}
	b = receive(c);
	a = arena_new();
	WANT(json_parse(a, blob_str(b), &j, NULL) == ST_OK, "no JSON");
	WANT(str_eq(need_text(j, "type"), token(3)), "came: %s", b->bytes);
	if (token_is(3, "Transition"))
		expect_transition(j);
	else if (token_is(3, "MutationResponse") || token_is(3, "ActionResponse"))
		expect_response(j);
	else if (!token_is(3, "Ping"))
		expect_error(j);
	arena_free(a);
	blob_unref(b);
}

static void
client_line(str line)
{
	struct client *c = client_named(token(1));

	if (token_is(2, "connect"))
		client_connect(c);
	else if (token_is(2, "drop"))
		client_drop(c);
	else if (token_is(2, "stalled"))
		c->stalled = true;
	else if (token_is(2, "reading"))
		c->stalled = false;
	else if (token_is(2, ">"))
		client_sends(c, line);
	else if (token_is(2, "<"))
		client_receives(c);
	else
		WANT(false, "unknown client line");
}

/* --- scripts --- */

static void
play_script(void **state)
{
	const char *path = *state;
	FILE       *f = fopen(path, "r");
	char        line[65536];

	assert_non_null(f);
	play = mem_zalloc(sizeof *play);
	play->file = path;
	world_open(&play->w, false);
	while (fgets(line, sizeof line, f)) {
		str s = str_trim(str_z(line));

		play->line++;
		tokenize(s);
		if (play->ntokens == 0)
			continue;
		if (token_is(0, "server"))
			server_line();
		else if (token_is(0, "client"))
			client_line(s);
		else
			WANT(false, "neither server nor client");
	}
	fclose(f);
	settle();
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (play->clients[i].session)
			client_drop(&play->clients[i]);
	world_close(&play->w);
	mem_free(play);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct CMUnitTest *)a)->name, ((const struct CMUnitTest *)b)->name);
}

/* Each script of test/wire is one test; arguments choose among them by name. */
int
main(int argc, char **argv)
{
	static const char         here[] = __FILE__;
	static struct CMUnitTest  tests[200];
	char                      dir[512];
	size_t                    n = 0;
	DIR                      *d;
	struct dirent            *entry;
	int                       failed;

	snprintf(dir, sizeof dir, "%.*s../../wire",
	    (int)(sizeof here - sizeof "wire_test.c"), here);
	d = opendir(dir);
	must(d);
	while ((entry = readdir(d)) != NULL) {
		char *path;

		if (!str_ends(str_z(entry->d_name), S(".wire")) || n == COUNT_OF(tests) ||
		    (argc > 1 && strcmp(entry->d_name, argv[1]) != 0))
			continue;
		path = mem_alloc(strlen(dir) + strlen(entry->d_name) + 2);
		snprintf(path, strlen(dir) + strlen(entry->d_name) + 2, "%s/%s", dir,
		    entry->d_name);
		tests[n++] = (struct CMUnitTest){ .name = strrchr(path, '/') + 1,
			.test_func = play_script, .initial_state = path };
	}
	closedir(d);
	must(n > 0);
	qsort(tests, n, sizeof tests[0], by_name);
	failed = _cmocka_run_group_tests("wire", tests, n, NULL, NULL);
	for (size_t i = 0; i < n; i++)
		mem_free(tests[i].initial_state);
	return failed;
}

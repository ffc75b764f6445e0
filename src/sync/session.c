/* session.c - one client: its messages, its clocks, its end.
 *
 * A session reacts to messages, to results, to invalidations and to time; after each it asks
 * whether a transition is due (session_step).  Client messages only schedule that question, so
 * that what a client sends in one burst (Connect, Authenticate, its queries) is answered by one
 * transition.
 *
 * Thread: the loop thread.
 * Memory: what a session holds is freed with it; after its end it only waits to be freed.
 */
#include "sync/session_int.h"

/* "npm-1.28.0" and later know TransitionChunk (spec 01 section 4.3). */
static bool
knows_chunks(str client)
{
	size_t   major_end, minor_end;
	uint64_t major, minor;
	str      rest;

	if (!str_eq_nocase(str_head(client, 4), S("npm-")))
		return false;
	rest = str_from(client, 4);
	if (!str_find_char(rest, '.', &major_end) || !str_to_u64(str_head(rest, major_end), &major))
		return false;
	rest = str_from(rest, major_end + 1);
	if (!str_find_char(rest, '.', &minor_end) || !str_to_u64(str_head(rest, minor_end), &minor))
		return false;
	return major > 1 || (major == 1 && minor >= 28);
}

static void
on_later(void *arg)
{
	session_step(arg);
}

static void on_keys(void *session);

static str
keep(struct session *s, str text)
{
	return text.p ? arena_str(s->arena, text) : text;
}

struct session *
session_new(const struct session_opts *opts)
{
	struct session *s = MEM_NEW(struct session);

	s->opts = *opts;
	s->arena = arena_new();
	s->scratch = arena_new();
	s->mods_arena = arena_new();
	s->mods_arena_next = arena_new();
	s->opts.client = keep(s, opts->client);
	s->opts.ip = keep(s, opts->ip);
	s->opts.user_agent = keep(s, opts->user_agent);
	s->chunks = knows_chunks(opts->client);
	s->ids = map_new();
	s->identity = identity_none();
	s->last_sent_ns = os_mono_ns(opts->os);
	link_init(&s->waiting);
	link_init(&s->executed);
	link_init(&s->actions);
	s->later.fn = on_later;
	s->later.arg = s;
	s->keys.ready = on_keys;
	s->keys.arg = s;
	return s;
}

void
session_free(struct session *s)
{
	if (!s)
		return;
	s->closed = true;
	runner_undefer(&s->later);
	auth_wait_cancel(&s->keys);
	for (size_t i = s->held_at; i < s->held.n; i++)
		blob_unref(s->held.v[i]);
	vec_clear(&s->held);
	requests_free(s);
	transition_free(s);
	vec_clear(&s->pending_mods);
	map_free(s->ids);
	identity_unref(s->identity);
	arena_free(s->mods_arena);
	arena_free(s->mods_arena_next);
	arena_free(s->scratch);
	arena_free(s->arena);
	mem_free(s);
}

/* --- the end --- */

static void
close_with(struct session *s, int code, str reason)
{
	s->opts.io.close(s->opts.io.arg, code, str_utf8_cut(reason, 123));
}

void
session_fail(struct session *s, status st, str code, str text)
{
	if (s->closed)
		return;
	switch (st) {
	case ST_BAD_REQUEST:
	case ST_CONFLICT:
	case ST_PAGINATION_LIMIT:
	case ST_FORBIDDEN:
		frame_fatal(s, text);
		break;
	case ST_UNAUTHENTICATED:
	case ST_AUTH_UPDATE_FAILED:
		frame_auth_error(s, text, st == ST_AUTH_UPDATE_FAILED);
		break;
	default:
		break;
	}
	s->closed = true;
	if (status_ws_close(st) == 0)
		close_with(s, 0, STR_EMPTY);
	else if (st == ST_OPERATIONAL || st == ST_INTERNAL)
		close_with(s, status_ws_close(st), S("InternalServerError"));
	else
		close_with(s, status_ws_close(st), code);
}

static void
fail_err(struct session *s, const struct err *e, status st)
{
	session_fail(s, st, e->code, e->text);
}

/* Spec 01 section 7.7: expiry is looked at when the identity is used. */
bool
session_identity_valid(struct session *s)
{
	uint64_t now_s = os_now_ns(s->opts.os) / 1000000000ull;

	if (s->identity->expires_s == 0 || now_s < s->identity->expires_s)
		return true;
	session_fail(s, ST_UNAUTHENTICATED, S("TokenExpired"), S("Convex token identity expired"));
	return false;
}

/* --- messages --- */

static ts_t
latest_ts(struct session *s)
{
	struct snapshot *at = runner_snapshot(s->opts.runner);
	ts_t             ts = snapshot_ts(at);

	snapshot_unref(at);
	return ts;
}

static void
on_connect(struct session *s, const struct client_message *m)
{
	double now_ms = (double)(os_now_ns(s->opts.os) / 1000000ull);

	if (m->has_max_ts && m->max_ts > latest_ts(s)) {
		session_fail(s, ST_INTERNAL, S("InternalServerError"), STR_EMPTY);
		return;
	}
	must(m->session_id.n == UUID_CHARS);
	memcpy(s->session_id, m->session_id.p, UUID_CHARS);
	s->has_skew = m->has_client_ts;
	if (s->has_skew)
		s->skew_ms = (int64_t)(m->client_ts_ms - now_ms);
}

static void
base_mismatch(struct session *s, uint32_t base, uint32_t current)
{
	str text = arena_fmt(s->scratch,
	    "Base version %u passed up doesn't match the current version %u", base, current);

	session_fail(s, ST_BAD_REQUEST, S("BaseVersionMismatch"), text);
}

/* Notes that the id comes or goes; false: it is there already, or is not. */
static bool
id_change(struct session *s, const struct client_mod *m)
{
	str key = str_of(&m->id, sizeof m->id);

	return m->add ? map_put(s->ids, key, s) == NULL : map_del(s->ids, key) != NULL;
}

static struct client_mod
mod_keep(struct arena *a, const struct client_mod *m)
{
	struct client_mod copy = *m;

	if (!m->add)
		return copy;
	copy.call.path = arena_str(a, m->call.path);
	copy.call.component = arena_str(a, m->call.component);
	copy.call.args = arena_str(a, m->call.args);
	if (m->call.journal.p)
		copy.call.journal = arena_str(a, m->call.journal);
	return copy;
}

static void
bad_id(struct session *s, const struct client_mod *m)
{
	str text = arena_fmt(s->scratch, "%s query id %u", m->add ? "Duplicate" : "Unknown", m->id);

	session_fail(s, ST_BAD_REQUEST, S("InvalidQueryId"), text);
}

/* What a client makes us keep has a limit. */
static bool
mods_fit(struct session *s)
{
	if (map_count(s->ids) > QUERIES_MAX) {
		session_fail(s, ST_BAD_REQUEST, S("TooManyQueries"),
		    S("One client can subscribe to at most 10000 queries at a time."));
		return false;
	}
	if (arena_bytes(s->mods_arena) > MODS_BYTES_MAX || s->pending_mods.n > MODS_MAX) {
		session_fail(s, ST_RATE_LIMITED, S("TooManyQueryModifications"),
		    S("More than 100000 modifications or 64 MiB of them wait to be applied."));
		return false;
	}
	return true;
}

static void
on_modify(struct session *s, const struct client_message *m)
{
	if (m->base != s->received_query_set) {
		base_mismatch(s, m->base, s->received_query_set);
		return;
	}
	if (m->next <= m->base) {
		session_fail(s, ST_BAD_REQUEST, S("InvalidQuerySetVersion"),
		    S("newVersion must be greater than baseVersion"));
		return;
	}
	for (size_t i = 0; i < m->nmods; i++) {
		if (!id_change(s, &m->mods[i])) {
			bad_id(s, &m->mods[i]);
			return;
		}
		vec_push(&s->pending_mods, mod_keep(s->mods_arena, &m->mods[i]));
	}
	if (!mods_fit(s))
		return;
	s->received_query_set = m->next;
	s->update_scheduled = true;
}

static status
authenticate(struct session *s, const struct client_message *m, struct identity **ret,
    struct err *e)
{
	switch (m->token_kind) {
	case TOKEN_NONE:
		*ret = identity_none();
		return ST_OK;
	case TOKEN_USER:
		return auth_user_token(s->opts.auth, m->token, ret, e);
	case TOKEN_ADMIN:
		return auth_admin_key(s->opts.auth, m->token, m->impersonating, ret, e);
	}
	return ST_INTERNAL;
}

static void
on_authenticate(struct session *s, const struct client_message *m)
{
	struct identity *identity;
	struct err       e = err_in(s->scratch);
	status           st;

	if (m->base != s->received_identity) {
		base_mismatch(s, m->base, s->received_identity);
		return;
	}
	st = authenticate(s, m, &identity, &e);
	if (st == ST_UNAUTHENTICATED || st == ST_FORBIDDEN || st == ST_BAD_REQUEST)
		st = ST_AUTH_UPDATE_FAILED;
	if (st != ST_OK) {
		fail_err(s, &e, st);
		return;
	}
	identity_unref(s->identity);
	s->identity = identity;
	s->received_identity++;
	s->update_scheduled = true;
}

static void
on_message(struct session *s, const struct client_message *m)
{
	switch (m->kind) {
	case CLIENT_CONNECT:
		on_connect(s, m);
		break;
	case CLIENT_MODIFY:
		on_modify(s, m);
		break;
	case CLIENT_MUTATION:
	case CLIENT_ACTION:
		if (session_identity_valid(s))
			request_add(s, m);
		break;
	case CLIENT_AUTH:
		on_authenticate(s, m);
		break;
	case CLIENT_EVENT:
		break;
	}
}

/* Later messages depend on who sends them: they stay behind the token. */
static void
hold(struct session *s, str text)
{
	if (s->held_bytes + text.n > HELD_BYTES_MAX) {
		session_fail(s, ST_RATE_LIMITED, S("TooManyMessages"),
		    S("More than 64 MiB of messages wait for the keys of the auth provider."));
		return;
	}
	s->held_bytes += text.n;
	vec_push(&s->held, blob_new(text));
}

/* The keys that this message needs are on their way. */
static bool
wait_for_keys(struct session *s, const struct client_message *m)
{
	if (m->kind != CLIENT_AUTH || m->token_kind != TOKEN_USER)
		return false;
	s->waits = auth_token_wait(s->opts.auth, m->token, &s->keys);
	return s->waits;
}

/* False: it waits, and must be held. */
static bool
take(struct session *s, str text, bool keys_came)
{
	struct client_message m;
	struct err            e;
	status                st;

	arena_reset(s->scratch);
	e = err_in(s->scratch);
	st = client_message_parse(s->scratch, text, &m, &e);
	if (st != ST_OK)
		fail_err(s, &e, st);
	else if (!keys_came && wait_for_keys(s, &m))
		return false;
	else
		on_message(s, &m);
	return true;
}

static void
schedule_step(struct session *s)
{
	if (s->update_scheduled && !s->closed)
		runner_defer(s->opts.runner, &s->later);
}

void
session_message(struct session *s, str text)
{
	if (s->closed)
		return;
	if (s->waits || !take(s, text, false))
		hold(s, text);
	schedule_step(s);
}

static void
on_keys(void *session)
{
	struct session *s = session;
	bool            first = true;

	s->waits = false;
	for (; s->held_at < s->held.n && !s->closed; s->held_at++, first = false) {
		struct blob *message = s->held.v[s->held_at];

		if (!take(s, blob_str(message), first))
			break;
		s->held_bytes -= blob_str(message).n;
		blob_unref(message);
	}
	if (s->held_at == s->held.n)
		s->held.n = s->held_at = 0;
	schedule_step(s);
}

void
session_sent(struct session *s)
{
	must(s->unsent > 0);
	s->unsent--;
	session_step(s);
}

void
session_step(struct session *s)
{
	if (s->closed || !s->update_scheduled || s->t.active ||
	    s->unsent >= TRANSITIONS_QUEUED_MAX)
		return;
	transition_begin(s);
}

/* --- time --- */

/* first x 2^retries up to 600 s, half of it jittered (spec 01 section 7.3). */
uint64_t
session_backoff_ns(struct session *s, uint64_t first_ns, unsigned retries)
{
	const uint64_t max = 600ull * 1000000000ull;
	uint64_t       ns = first_ns;
	uint32_t       draw;

	while (retries-- > 0 && ns < max)
		ns *= 2;
	if (ns > max)
		ns = max;
	os_random(s->opts.os, &draw, sizeof draw);
	return ns / 2 + (ns / 2) * (draw % 1024) / 1024;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return b && b < a ? b : a;
}

uint64_t
session_tick(struct session *s, uint64_t mono_ns)
{
	uint64_t next;

	if (s->closed)
		return UINT64_MAX;
	if (s->running && mono_ns >= s->running_since_ns + MUTATION_NS) {
		session_fail(s, ST_INTERNAL, S("InternalServerError"), STR_EMPTY);
		return UINT64_MAX;
	}
	if (s->unavailable_ns && mono_ns >= s->unavailable_ns) {
		s->unavailable_ns = 0;
		s->update_scheduled = true;
	}
	transition_tick(s, mono_ns);
	session_step(s);
	if (s->closed)
		return UINT64_MAX;
	if (mono_ns >= s->last_sent_ns + PING_NS)
		frame_ping(s);
	next = s->last_sent_ns + PING_NS;
	next = earlier(next, s->running ? s->running_since_ns + MUTATION_NS : 0);
	next = earlier(next, s->unavailable_ns);
	return earlier(next, transition_next_ns(s));
}

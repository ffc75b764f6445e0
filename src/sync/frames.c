/* frames.c - what clients receive, from structs to JSON (spec 01 section 4).
 *
 * A result's value was serialized once, by the worker; here it is copied into each frame that
 * mentions it.  serverTs is the moment of sending.
 *
 * Thread: the loop thread.  Memory: one blob per frame, handed to the connection.
 */
#include "base/enc.h"
#include "sync/session_int.h"

static void
send_frame(struct session *s, str text, bool transition)
{
	s->last_sent_ns = os_mono_ns(s->opts.os);
	s->opts.io.send(s->opts.io.arg, blob_new(text), transition);
}

static void
send_buf(struct session *s, struct buf *b, bool transition)
{
	must(buf_ok(b));
	send_frame(s, buf_str(b), transition);
	buf_clear(b);
}

static void
write_ts(struct buf *b, ts_t ts)
{
	buf_add_byte(b, '"');
	enc_u64_base64(b, ts);
	buf_add_byte(b, '"');
}

static void
write_lines(struct buf *b, const struct fn_result *res)
{
	buf_add(b, S(",\"logLines\":["));
	for (size_t i = 0; i < res->nlines; i++) {
		if (i)
			buf_add_byte(b, ',');
		json_write_str(b, res->lines[i]);
	}
	buf_add_byte(b, ']');
}

static void
write_error_data(struct buf *b, const struct fn_result *res)
{
	if (!res->error_data.p)
		return;
	buf_add(b, S(",\"errorData\":"));
	buf_add(b, res->error_data);
}

static void
write_query(struct buf *b, const struct query *q)
{
	const struct fn_result *res = q->fresh;

	buf_fmt(b, "{\"type\":\"%s\",\"queryId\":%u,", res->ok ? "QueryUpdated" : "QueryFailed",
	    q->id);
	if (res->ok) {
		buf_add(b, S("\"value\":"));
		buf_add(b, res->value_json);
	} else {
		buf_add(b, S("\"errorMessage\":"));
		json_write_str(b, res->error);
	}
	write_lines(b, res);
	buf_add(b, S(",\"journal\":"));
	if (res->journal.p)
		json_write_str(b, res->journal);
	else
		buf_add(b, S("null"));
	if (!res->ok)
		write_error_data(b, res);
	buf_add_byte(b, '}');
}

static void
write_version(struct buf *b, const char *name, const struct version *v)
{
	buf_fmt(b, "\"%s\":{\"querySet\":%u,\"identity\":%u,\"ts\":", name, v->query_set,
	    v->identity);
	write_ts(b, v->ts);
	buf_addz(b, "},");
}

/* Results that differ from what the client knows; remembers them as known. */
static void
write_modifications(struct buf *b, struct session *s)
{
	for (size_t i = 0; i < s->t.removed.n; i++) {
		json_comma(b);
		buf_fmt(b, "{\"type\":\"QueryRemoved\",\"queryId\":%u}", s->t.removed.v[i]);
	}
	for (size_t i = 0; i < s->queries.n; i++) {
		struct query *q = s->queries.v[i];

		if (!q->fresh)
			continue;
		if (!q->has_result || memcmp(q->hash, q->fresh->hash, sizeof q->hash) != 0) {
			json_comma(b);
			write_query(b, q);
		}
		memcpy(q->hash, q->fresh->hash, sizeof q->hash);
		q->has_result = true;
		fn_result_unref(q->fresh);
		q->fresh = NULL;
	}
}

/* Pieces of at most CHUNK_BYTES, cut between characters.  Only the last one counts as the
 * transition in the outgoing buffer. */
static void
send_chunks(struct session *s, str text)
{
	size_t total = 0, part = 0;

	for (str rest = text; rest.n; total++)
		rest = str_from(rest, str_utf8_cut(rest, CHUNK_BYTES).n);
	for (str rest = text; rest.n; part++) {
		str        piece = str_utf8_cut(rest, CHUNK_BYTES);
		struct buf b;

		rest = str_from(rest, piece.n);
		buf_init(&b, BUF_MAX_DEFAULT);
		buf_add(&b, S("{\"type\":\"TransitionChunk\",\"chunk\":"));
		json_write_str(&b, piece);
		buf_fmt(&b, ",\"partNumber\":%zu,\"totalParts\":%zu,", part, total);
		buf_fmt(&b, "\"transitionId\":\"%zu\"}", text.n);
		send_buf(s, &b, part + 1 == total);
	}
}

void
frame_transition(struct session *s)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, S("{\"type\":\"Transition\","));
	write_version(&b, "startVersion", &s->current);
	write_version(&b, "endVersion", &s->t.to);
	buf_add(&b, S("\"modifications\":["));
	write_modifications(&b, s);
	buf_add_byte(&b, ']');
	if (s->has_skew) {
		buf_add(&b, S(",\"clientClockSkew\":"));
		json_write_i64(&b, s->skew_ms);
		buf_add(&b, S(",\"serverTs\":"));
		json_write_u64(&b, os_now_ns(s->opts.os));
	}
	buf_add_byte(&b, '}');
	if (!buf_ok(&b)) {
		buf_clear(&b);
		session_fail(s, ST_OVERLOADED, S("TransitionTooLarge"),
		    S("The results of all queries together are too large to send."));
		return;
	}
	s->unsent++;
	if (s->chunks && b.n > CHUNK_BYTES) {
		send_chunks(s, buf_str(&b));
		buf_clear(&b);
		return;
	}
	send_buf(s, &b, true);
}

void
frame_response(struct session *s, const struct request *q, const struct fn_result *res)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b, "{\"type\":\"%s\",\"requestId\":%u,\"success\":%s,\"result\":",
	    q->mutation ? "MutationResponse" : "ActionResponse", q->id,
	    res->ok ? "true" : "false");
	if (res->ok)
		buf_add(&b, res->value_json);
	else
		json_write_str(&b, res->error);
	if (q->mutation) {
		buf_add(&b, S(",\"ts\":"));
		if (res->ok)
			write_ts(&b, res->ts);
		else
			buf_add(&b, S("null"));
	}
	write_lines(&b, res);
	if (!res->ok)
		write_error_data(&b, res);
	buf_add_byte(&b, '}');
	send_buf(s, &b, false);
}

void
frame_auth_error(struct session *s, str text, bool attempted)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, S("{\"type\":\"AuthError\",\"error\":"));
	json_write_str(&b, text);
	buf_fmt(&b, ",\"baseVersion\":%u,\"authUpdateAttempted\":%s}", s->current.identity,
	    attempted ? "true" : "false");
	send_buf(s, &b, false);
}

void
frame_fatal(struct session *s, str text)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, S("{\"type\":\"FatalError\",\"error\":"));
	json_write_str(&b, text);
	buf_add_byte(&b, '}');
	send_buf(s, &b, false);
}

void
frame_ping(struct session *s)
{
	send_frame(s, S("{\"type\":\"Ping\"}"), false);
}

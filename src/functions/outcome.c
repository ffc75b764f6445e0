/* outcome.c - what callers get to read: values, errors, log lines, hashes.
 *
 * Thread: the worker's, before the result is shared.  Memory: the result's arena.
 */
#include "base/json.h"
#include "functions/functions_int.h"

/* Spec 01 section 11.3.  `message` ends in a line break already if it came with frames. */
void
result_set_error(struct fn_result *r, str request_id, str message, bool redact)
{
	const str parts[] = { S("[Request ID: "), request_id, S("] Server Error"), S("\n"), message,
		str_ends(message, S("\n")) ? STR_EMPTY : S("\n") };

	r->ok = false;
	r->plain_error = arena_str(r->arena, message);
	r->error = arena_join(r->arena, parts, redact ? 3 : COUNT_OF(parts));
}

/* The lines as clients read them; a deployment that redacts shows none. */
void
result_set_lines(struct fn_result *r, bool redact)
{
	struct buf b;

	r->nlines = redact ? 0 : r->logs.lines.n;
	if (r->nlines == 0)
		return;
	r->lines = ARENA_ARRAY(r->arena, str, r->nlines);
	buf_init(&b, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < r->nlines; i++) {
		buf_reset(&b);
		logline_pretty(&b, &r->logs.lines.v[i]);
		r->lines[i] = arena_str(r->arena, buf_str(&b));
	}
	buf_clear(&b);
}

/* Adds one length-prefixed part to what is hashed, so that parts cannot run together. */
static void
hash_part(struct buf *b, str s)
{
	buf_add_u64le(b, s.n);
	buf_add(b, s);
}

/* Spec 01 section 7.4: what makes two results "the same" for a client.  `outcome` is the value's
 * JSON or the error text without its request id. */
void
result_hash(struct fn_result *r, str outcome, bool redact)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add_byte(&b, r->ok ? 1 : 0);
	buf_add_byte(&b, redact ? 1 : 0);
	hash_part(&b, outcome);
	for (size_t i = 0; i < r->nlines; i++)
		hash_part(&b, r->lines[i]);
	sha256(buf_str(&b), r->hash);
	buf_clear(&b);
}

/* Copies v into p with commit timestamps in the place of their tokens. */
static void
resolve_commit_ts(struct pack *p, struct val v, ts_t ts)
{
	size_t n;

	switch (val_kind(v)) {
	case VAL_COMMIT_TS:
		pack_int64(p, (int64_t)ts);
		break;
	case VAL_ARRAY:
		n = val_count(v);
		pack_array(p);
		for (size_t i = 0; i < n; i++)
			resolve_commit_ts(p, val_at(v, i), ts);
		pack_end(p);
		break;
	case VAL_OBJECT:
		n = val_count(v);
		pack_object(p);
		for (size_t i = 0; i < n; i++) {
			str        name;
			struct val field = val_field_at(v, i, &name);

			pack_key(p, name);
			resolve_commit_ts(p, field, ts);
		}
		pack_end(p);
		break;
	default:
		pack_val(p, v);
	}
}

str
value_json_raw(struct arena *a, struct val v, enum vjson_format f)
{
	struct buf b;
	str        s;

	buf_init(&b, BUF_MAX_DEFAULT);
	vjson_write(&b, v, f);
	s = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return s;
}

str
value_json(struct arena *a, struct pack *p, struct val v, enum vjson_format f, ts_t ts)
{
	if (val_has_commit_ts(v)) {
		status st;

		pack_reset(p);
		p->trusted = true;
		resolve_commit_ts(p, v, ts);
		st = pack_done_in(p, a, &v, NULL);
		p->trusted = false;
		must(st == ST_OK);
	}
	return value_json_raw(a, v, f);
}

str
error_data_json(struct arena *a, str encoded, enum vjson_format f)
{
	struct val v;

	if (!encoded.p || f == VJSON_ENCODED)
		return encoded;
	if (vjson_parse(a, encoded, VJSON_PLAIN, &v, NULL) != ST_OK)
		return encoded;
	return value_json_raw(a, v, f);
}

/* Who changed the document; empty unless both are known. */
static str
conflict_who(struct arena *a, str path, const struct conflict *c)
{
	if (!c->writer[0] || !c->doc[0])
		return STR_EMPTY;
	if (str_eq(str_z(c->writer), path))
		return arena_fmt(a,
		    "Another call to this mutation changed the document with ID \"%s\". ", c->doc);
	return arena_fmt(a, "A call to \"%s\" changed the document with ID \"%s\". ", c->writer,
	    c->doc);
}

void
result_set_conflict(struct fn_result *r, str path, const struct conflict *c)
{
	str who = conflict_who(r->arena, path, c);
	str what = S("some table");

	r->st = ST_OCC;
	r->code = S("OptimisticConcurrencyControlFailure");
	r->conflict = ARENA_NEW(r->arena, struct conflict);
	*r->conflict = *c;
	if (c->system_table) {
		r->text = S(
		    "Data read or written in this mutation changed while it was being run. "
		    "Consider reducing the amount of data read by using indexed queries with "
		    "selective index range expressions "
		    "(https://docs.convex.dev/database/indexes/).");
		return;
	}
	if (c->table[0])
		what = arena_fmt(r->arena, "the \"%s\" table", c->table);
	r->text = arena_fmt(r->arena,
	    "Documents read from or written to %.*s changed while this mutation was being run and "
	    "on every subsequent retry. %.*sSee https://docs.convex.dev/error#1",
	    STR_ARG(what), STR_ARG(who));
}

void
fn_result_write(struct buf *b, const struct fn_result *r)
{
	if (r->ok) {
		buf_addz(b, "{\"status\":\"success\",\"value\":");
		buf_add(b, r->value_json);
	} else {
		buf_addz(b, "{\"status\":\"error\",\"errorMessage\":");
		json_write_str(b, r->error);
		if (r->error_data.p) {
			buf_addz(b, ",\"errorData\":");
			buf_add(b, r->error_data);
		}
	}
	if (r->nlines > 0) {
		buf_addz(b, ",\"logLines\":[");
		for (size_t i = 0; i < r->nlines; i++) {
			json_comma(b);
			json_write_str(b, r->lines[i]);
		}
		buf_add_byte(b, ']');
	}
	buf_add_byte(b, '}');
}

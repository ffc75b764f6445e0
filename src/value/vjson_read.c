/* vjson_read.c - values from JSON (spec 03 section 1.2).
 *
 * Two readers share the rules: one walks a tree that the caller parsed anyway, the other
 * goes from text to packed bytes in one pass, for documents, arguments and cursors.
 *
 * Thread: any.  Memory: the caller's pack.
 */
#include <math.h>

#include "base/enc.h"
#include "base/json_pull.h"
#include "value/vjson.h"

#define BAD_VALUE "InvalidValue"

/* --- objects that stand for another value --- */

static status
read_eight(str key, str payload, uint64_t *ret, struct err *e)
{
	if (dec_u64_base64(payload, ret))
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, BAD_VALUE, "%.*s must be the base64 of 8 bytes",
	    STR_ARG(key));
}

/* Only what a JSON number cannot say may come as $float; +0 is tolerated. */
static status
read_float(struct pack *p, str payload, struct err *e)
{
	uint64_t   bits;
	double     d;
	struct buf b;

	TRY(read_eight(S("$float"), payload, &bits, e));
	memcpy(&d, &bits, sizeof d);
	if (!isfinite(d) || d == 0) {
		pack_float64(p, d);
		return ST_OK;
	}
	buf_init(&b, 64);
	json_write_number(&b, d);
	err_set(e, ST_BAD_REQUEST, BAD_VALUE, "Float64 %.*s should be encoded as a number",
	    STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return ST_BAD_REQUEST;
}

static status
read_bytes(struct pack *p, str payload, struct err *e)
{
	struct buf b;
	bool       ok;

	buf_init(&b, BUF_MAX_DEFAULT);
	ok = dec_base64(&b, payload);
	if (ok)
		pack_bytes(p, buf_str(&b));
	buf_clear(&b);
	return ok ? ST_OK : err_set(e, ST_BAD_REQUEST, BAD_VALUE, "$bytes must be base64");
}

/* {"key": payload}, the payload a string, or null if `payload.p` is NULL.  *ret_special is
 * false if it is none of the forms that stand for another value; then the field-name rule
 * refuses it. */
static status
read_special(struct pack *p, str key, str payload, int allow, bool *ret_special, struct err *e)
{
	uint64_t bits;

	*ret_special = true;
	if (payload.p && str_eq(key, S("$integer"))) {
		TRY(read_eight(key, payload, &bits, e));
		pack_int64(p, (int64_t)bits);
		return ST_OK;
	}
	if (payload.p && str_eq(key, S("$float")))
		return read_float(p, payload, e);
	if (payload.p && str_eq(key, S("$bytes")))
		return read_bytes(p, payload, e);
	if (!payload.p && (allow & VJSON_UNDEFINED) && str_eq(key, S("$undefined")))
		pack_undefined(p);
	else if (!payload.p && (allow & VJSON_COMMIT_TS) && str_eq(key, S("$commitTs")))
		pack_commit_ts(p);
	else
		*ret_special = false;
	return ST_OK;
}

static void
read_number(struct pack *p, double number, bool integral, str source, int allow)
{
	int64_t i;

	if ((allow & VJSON_EXPORTED) && integral && str_to_i64(source, &i))
		pack_int64(p, i);
	else
		pack_float64(p, number);
}

/* --- from a tree --- */

static bool
is_payload(const struct json *j)
{
	return j->kind == JSON_STRING || j->kind == JSON_NULL;
}

static status
read_object(struct pack *p, const struct json *j, int allow, struct err *e)
{
	bool special = false;

	if (j->n == 1 && str_starts(j->keys[0], S("$")) && is_payload(&j->items[0]))
		TRY(read_special(p, j->keys[0], j->items[0].string, allow, &special, e));
	if (special)
		return ST_OK;
	pack_object(p);
	for (size_t i = 0; i < j->n; i++) {
		pack_key(p, j->keys[i]);
		TRY(vjson_read(p, &j->items[i], allow, e));
	}
	pack_end(p);
	return ST_OK;
}

status
vjson_read(struct pack *p, const struct json *j, int allow, struct err *e)
{
	switch (j->kind) {
	case JSON_NULL:
		pack_null(p);
		return ST_OK;
	case JSON_BOOL:
		pack_bool(p, j->boolean);
		return ST_OK;
	case JSON_NUMBER:
		read_number(p, j->number, j->integral, j->source, allow);
		return ST_OK;
	case JSON_STRING:
		pack_str(p, j->string);
		return ST_OK;
	case JSON_OBJECT:
		return read_object(p, j, allow, e);
	case JSON_ARRAY:
		break;
	}
	pack_array(p);
	for (size_t i = 0; i < j->n; i++)
		TRY(vjson_read(p, &j->items[i], allow, e));
	pack_end(p);
	return ST_OK;
}

/* --- from text --- */

struct reader {
	struct json_pull pull;
	struct pack     *out;
	int              allow;
	struct err      *e;
};

static status read_token(struct reader *r, const struct json_token *t);

static status
next(struct reader *r, struct json_token *ret)
{
	return json_pull_next(&r->pull, ret) ? ST_OK : json_pull_error(&r->pull, r->e);
}

/* The members from token t (a key or the end) on; the object is open in the pack. */
static status
read_members(struct reader *r, struct json_token *t)
{
	while (t->kind == JSON_T_KEY) {
		pack_key(r->out, t->string);
		TRY(next(r, t));
		TRY(read_token(r, t));
		TRY(next(r, t));
	}
	pack_end(r->out);
	return ST_OK;
}

/* The object turned out to be none of the special forms: its first member, then the rest.
 * `value` starts the member's value, `after` is what follows it. */
static status
read_plain(struct reader *r, str key, const struct json_token *value, struct json_token *after)
{
	pack_object(r->out);
	pack_key(r->out, key);
	TRY(read_token(r, value));
	if (!after) {
		struct json_token t;

		TRY(next(r, &t));
		return read_members(r, &t);
	}
	return read_members(r, after);
}

/* An object whose first key starts with '$'.  It is special if it has this one key, which
 * may be repeated: then the last value counts (but a container is never looked behind). */
static status
read_dollar(struct reader *r, str key)
{
	struct json_token value, after;
	bool              special;

	for (;;) {
		TRY(next(r, &value));
		if (value.kind != JSON_T_STRING && value.kind != JSON_T_NULL)
			return read_plain(r, key, &value, NULL);
		TRY(next(r, &after));
		if (after.kind == JSON_T_CLOSE)
			break;
		if (!str_eq(after.string, key))
			return read_plain(r, key, &value, &after);
	}
	TRY(read_special(r->out, key,
	    value.kind == JSON_T_STRING ? value.string : (str){ NULL, 0 }, r->allow, &special,
	    r->e));
	return special ? ST_OK : read_plain(r, key, &value, &after);
}

static status
read_text_object(struct reader *r)
{
	struct json_token t;

	TRY(next(r, &t));
	if (t.kind == JSON_T_KEY && str_starts(t.string, S("$")))
		return read_dollar(r, t.string);
	pack_object(r->out);
	return read_members(r, &t);
}

static status
read_text_array(struct reader *r)
{
	struct json_token t;

	pack_array(r->out);
	for (;;) {
		TRY(next(r, &t));
		if (t.kind == JSON_T_CLOSE)
			break;
		TRY(read_token(r, &t));
	}
	pack_end(r->out);
	return ST_OK;
}

/* The value that starts with token t. */
static status
read_token(struct reader *r, const struct json_token *t)
{
	switch (t->kind) {
	case JSON_T_NULL:
		pack_null(r->out);
		return ST_OK;
	case JSON_T_BOOL:
		pack_bool(r->out, t->boolean);
		return ST_OK;
	case JSON_T_NUMBER:
		read_number(r->out, t->number, t->integral, t->source, r->allow);
		return ST_OK;
	case JSON_T_STRING:
		pack_str(r->out, t->string);
		return ST_OK;
	case JSON_T_ARRAY:
		return read_text_array(r);
	case JSON_T_OBJECT:
		return read_text_object(r);
	case JSON_T_KEY:
	case JSON_T_CLOSE:
	case JSON_T_END:
		break;
	}
	must_failed(__FILE__, __LINE__, "a token that starts a value");
}

status
vjson_read_text(struct pack *p, struct arena *tmp, str text, int allow, struct err *e)
{
	struct reader     r;
	struct json_token t;

	r.out = p;
	r.allow = allow;
	r.e = e;
	json_pull_init(&r.pull, tmp, text);
	TRY(next(&r, &t));
	TRY(read_token(&r, &t));
	return next(&r, &t); /* the end, or an error about what follows */
}

status
vjson_parse(struct arena *a, str text, int allow, struct val *ret, struct err *e)
{
	struct pack p;
	status      st;

	pack_init(&p);
	buf_reserve(&p.out, text.n + text.n / 2 + 64); /* enough for most, in one malloc */
	st = vjson_read_text(&p, a, text, allow, e);
	if (st == ST_OK)
		st = pack_done_in(&p, a, ret, e);
	pack_clear(&p);
	return st;
}

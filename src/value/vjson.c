/* vjson.c - values to JSON and back (spec 03 section 1.2).
 *
 * JSON cannot tell Int64 from Float64, knows no NaN and no bytes: these travel as objects
 * with one reserved key and a base64 payload.
 *
 * Thread: any.  Memory: the caller's; vjson_parse() frees its tree before it returns.
 */
#include "value/vjson.h"

#include <math.h>

#include "base/enc.h"

/* --- writing --- */

static void
write_wrapped(struct buf *b, const char *key, str payload)
{
	buf_addz(b, key);
	enc_base64(b, payload);
	buf_add(b, S("\"}"));
}

static void
write_int64(struct buf *b, int64_t v, enum vjson_format f)
{
	switch (f) {
	case VJSON_ENCODED:
		write_wrapped(b, "{\"$integer\":\"", str_of(&v, sizeof v));
		return;
	case VJSON_CLEAN:
		buf_add_byte(b, '"');
		json_write_i64(b, v);
		buf_add_byte(b, '"');
		return;
	case VJSON_EXPORT:
		json_write_i64(b, v);
		return;
	}
}

static void
write_float64(struct buf *b, double d, enum vjson_format f)
{
	if (isfinite(d) && (f != VJSON_ENCODED || d != 0 || !signbit(d)))
		json_write_double(b, d);
	else if (f != VJSON_CLEAN)
		write_wrapped(b, "{\"$float\":\"", str_of(&d, sizeof d));
	else if (isnan(d))
		buf_add(b, S("\"NaN\""));
	else
		buf_add(b, d > 0 ? S("\"Infinity\"") : S("\"-Infinity\""));
}

static void
write_bytes(struct buf *b, str bytes, enum vjson_format f)
{
	if (f != VJSON_CLEAN) {
		write_wrapped(b, "{\"$bytes\":\"", bytes);
		return;
	}
	buf_add_byte(b, '"');
	enc_base64(b, bytes);
	buf_add_byte(b, '"');
}

static void
write_array(struct buf *b, struct val v, enum vjson_format f)
{
	size_t n = val_count(v);

	buf_add_byte(b, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_add_byte(b, ',');
		vjson_write(b, val_at(v, i), f);
	}
	buf_add_byte(b, ']');
}

static void
write_object(struct buf *b, struct val v, enum vjson_format f)
{
	size_t n = val_count(v);

	buf_add_byte(b, '{');
	for (size_t i = 0; i < n; i++) {
		str        name;
		struct val member = val_field_at(v, i, &name);

		if (i)
			buf_add_byte(b, ',');
		json_write_str(b, name);
		buf_add_byte(b, ':');
		vjson_write(b, member, f);
	}
	buf_add_byte(b, '}');
}

void
vjson_write(struct buf *b, struct val v, enum vjson_format f)
{
	switch (val_kind(v)) {
	case VAL_UNDEFINED:
		buf_add(b, S("{\"$undefined\":null}"));
		return;
	case VAL_COMMIT_TS:
		buf_add(b, S("{\"$commitTs\":null}"));
		return;
	case VAL_NULL:
		buf_add(b, S("null"));
		return;
	case VAL_INT64:
		write_int64(b, val_int64(v), f);
		return;
	case VAL_FLOAT64:
		write_float64(b, val_float64(v), f);
		return;
	case VAL_BOOL:
		buf_add(b, val_bool(v) ? S("true") : S("false"));
		return;
	case VAL_STRING:
		json_write_str(b, val_str(v));
		return;
	case VAL_BYTES:
		write_bytes(b, val_str(v), f);
		return;
	case VAL_ARRAY:
		write_array(b, v, f);
		return;
	case VAL_OBJECT:
		write_object(b, v, f);
		return;
	}
}

/* --- reading --- */

#define BAD_VALUE "InvalidValue"

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

/* An object with one key that starts with '$'.  *ret_special stays false if it is none of
 * the forms that stand for another value; then the field-name rule refuses it. */
static status
read_special(struct pack *p, str key, const struct json *v, int allow, bool *ret_special,
    struct err *e)
{
	uint64_t bits;

	*ret_special = true;
	if (v->kind == JSON_STRING && str_eq(key, S("$integer"))) {
		TRY(read_eight(key, v->string, &bits, e));
		pack_int64(p, (int64_t)bits);
		return ST_OK;
	}
	if (v->kind == JSON_STRING && str_eq(key, S("$float")))
		return read_float(p, v->string, e);
	if (v->kind == JSON_STRING && str_eq(key, S("$bytes")))
		return read_bytes(p, v->string, e);
	if ((allow & VJSON_UNDEFINED) && v->kind == JSON_NULL && str_eq(key, S("$undefined")))
		pack_undefined(p);
	else if ((allow & VJSON_COMMIT_TS) && v->kind == JSON_NULL && str_eq(key, S("$commitTs")))
		pack_commit_ts(p);
	else
		*ret_special = false;
	return ST_OK;
}

static status
read_object(struct pack *p, const struct json *j, int allow, struct err *e)
{
	bool special = false;

	if (j->n == 1 && str_starts(j->keys[0], S("$")))
		TRY(read_special(p, j->keys[0], &j->items[0], allow, &special, e));
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

static void
read_number(struct pack *p, const struct json *j, int allow)
{
	int64_t i;

	if ((allow & VJSON_EXPORTED) && j->integral && str_to_i64(j->source, &i))
		pack_int64(p, i);
	else
		pack_float64(p, j->number);
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
		read_number(p, j, allow);
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

status
vjson_parse(struct arena *a, str text, int allow, struct val *ret, struct err *e)
{
	struct arena *tree = arena_new();
	struct json  *j;
	struct pack   p;
	status        st;

	pack_init(&p);
	st = json_parse(tree, text, &j, e);
	if (st == ST_OK)
		st = vjson_read(&p, j, allow, e);
	if (st == ST_OK)
		st = pack_done_in(&p, a, ret, e);
	pack_clear(&p);
	arena_free(tree);
	return st;
}

status
vjson_format_named(str name, enum vjson_format *ret, struct err *e)
{
	static const struct {
		const char       *name;
		enum vjson_format format;
	} formats[] = {
		{ "convex_encoded_json", VJSON_ENCODED },
		{ "convex_json", VJSON_ENCODED },
		{ "json", VJSON_CLEAN },
		{ "convex_clean_json", VJSON_CLEAN },
		{ "export_json", VJSON_EXPORT },
	};

	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		if (str_eq(name, str_z(formats[i].name))) {
			*ret = formats[i].format;
			return ST_OK;
		}
	}
	return err_set(e, ST_BAD_REQUEST, "BadFormat",
	    "format param must be one of [`json`]. Got %.*s", STR_ARG(name));
}

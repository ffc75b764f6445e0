/* vjson.c - values to JSON, in three forms (spec 03 section 1.2).
 *
 * JSON cannot tell Int64 from Float64, knows no NaN and no bytes: in the encoded form these
 * travel as objects with one reserved key and a base64 payload.
 *
 * Thread: any.  Memory: the caller's buf.
 */
#include "value/vjson.h"

#include <math.h>

#include "base/enc.h"

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

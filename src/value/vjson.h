/* vjson.h - values as JSON (spec 03 section 1.2, spec 01 section 10).
 *
 * Encoded JSON is the wire and storage form; clean JSON and export JSON are output only.
 *
 * Thread: any.
 */
#ifndef VALUE_VJSON_H
#define VALUE_VJSON_H

#include "base/json.h"
#include "value/pack.h"
#include "value/val.h"

enum vjson_format { VJSON_ENCODED, VJSON_CLEAN, VJSON_EXPORT };

void vjson_write(struct buf *b, struct val v, enum vjson_format f);
/* UNDEFINED as {"$undefined":null}, COMMIT_TS as {"$commitTs":null} (encoded form only). */

enum vjson_allow {
	VJSON_PLAIN     = 0,
	VJSON_UNDEFINED = 1, /* {"$undefined":null} is a value */
	VJSON_COMMIT_TS = 2, /* {"$commitTs":null} is a value */
	VJSON_EXPORTED  = 4  /* the export form: integral numbers that fit are Int64 */
};

/* Appends the value to `p`.  BAD_REQUEST with the texts of the spec, else violations of
 * limits surface at pack_done(). */
NODISCARD status vjson_read(struct pack *p, const struct json *j, int allow, struct err *e);
/* The same from text, in one pass without a tree; strings with escapes are decoded in `tmp`. */
NODISCARD status vjson_read_text(struct pack *p, struct arena *tmp, str text, int allow,
    struct err *e);
/* The common case: text to a value in `a`. */
NODISCARD status vjson_parse(struct arena *a, str text, int allow, struct val *ret, struct err *e);

/* "convex_encoded_json", "convex_json", "json", "convex_clean_json", "export_json".
 * Else BAD_REQUEST BadFormat. */
NODISCARD status vjson_format_named(str name, enum vjson_format *ret, struct err *e);

#endif

/* validator.h - validators of arguments, results and documents (spec 03 section 4.2).
 *
 * A validator is immutable after parsing and lives in its arena.
 *
 * Thread: any, concurrently.
 */
#ifndef VALUE_VALIDATOR_H
#define VALUE_VALIDATOR_H

#include "base/json.h"
#include "value/id.h"
#include "value/val.h"

struct validator;

/* How `v.id(t)` finds out about tables; the catalogue answers. */
enum table_kind { TABLE_UNKNOWN, TABLE_USER, TABLE_SYSTEM };
struct table_names {
	const void *arg;
	/* The name of the table with this number (virtual names for _file_storage and
	 * _scheduled_jobs), in *ret_name borrowed; TABLE_UNKNOWN if there is none. */
	enum table_kind (*by_number)(const void *arg, uint32_t number, str *ret_name);
};

/* BAD_REQUEST with the definition errors of spec 03 section 4.2; those without a code of their
 * own have InvalidValidator. */
NODISCARD status validator_parse(struct arena *a, const struct json *j,
    const struct validator **ret, struct err *e);
NODISCARD status validator_parse_text(struct arena *a, str text,
    const struct validator **ret, struct err *e);

/* BAD_REQUEST with the exact failure text; code "ValidationError" (callers wrap it), or
 * SystemTimeoutError if there are too many alternatives for so large a value.
 * Without `tables` (NULL) every well-formed id is of the right table. */
NODISCARD status validator_check(const struct validator *v, struct val value,
    const struct table_names *tables, struct err *e);
/* As validator_check() on a document: top-level fields starting with '_' are ignored. */
NODISCARD status validator_check_doc(const struct validator *v, struct val doc,
    const struct table_names *tables, struct err *e);

bool validator_is_any(const struct validator *v);
bool validator_is_object(const struct validator *v);
bool validator_equal(const struct validator *a, const struct validator *b);
/* Every value that `a` accepts is accepted by `b` (spec 03 section 4.4); false if unsure. */
bool validator_subset(const struct validator *a, const struct validator *b);
void validator_print(struct buf *b, const struct validator *v);      /* v.object({...}) */
void validator_json(struct buf *b, const struct validator *v);       /* fields sorted by name */
/* "Field exists" of spec 03 section 4.5. */
bool validator_has_path(const struct validator *v, str path);
/* Appends the table names in v.id(...) to `names` (borrowed); calls fn for each. */
void validator_each_id(const struct validator *v, void (*fn)(void *arg, str table), void *arg);
/* The four rules on a vector field of spec 03 section 4.5. */
bool validator_vector_path_ok(const struct validator *v, str path);

#endif

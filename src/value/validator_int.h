/* validator_int.h - what the validator's files share.
 *
 * validator.c parses and answers questions about definitions, validator_check.c holds
 * values against them, validator_print.c shows them, validator_cmp.c compares them.
 *
 * Thread: any; immutable after parsing.  Memory: the arena's.
 */
#ifndef VALUE_VALIDATOR_INT_H
#define VALUE_VALIDATOR_INT_H

#include "value/validator.h"

enum validator_kind {
	V_ANY,
	V_NULL,
	V_NUMBER,
	V_BIGINT,
	V_COMMIT_TS,
	V_BOOLEAN,
	V_STRING,
	V_BYTES,
	V_LITERAL,
	V_ID,
	V_ARRAY,  /* members[0]: the element */
	V_RECORD, /* members[0]: the keys, members[1]: the values */
	V_OBJECT, /* members and names, sorted by name */
	V_UNION
};

struct validator {
	enum validator_kind      kind;
	str                      table;    /* V_ID */
	struct val               literal;  /* V_LITERAL */
	size_t                   n;        /* members */
	const struct validator **members;
	str                     *names;    /* V_OBJECT */
	bool                    *optional; /* V_OBJECT */
};

/* The member called `name` of an object validator, or NULL. */
const struct validator *validator_member(const struct validator *v, str name, bool *ret_optional);

/* `v` for the documents of a table: without the members called _... at the top (spec 03
 * section 4.1). */
const struct validator *validator_without_system(struct arena *a, const struct validator *v);

#endif

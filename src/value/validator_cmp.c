/* validator_cmp.c - equality and inclusion of validators (spec 03 section 4.4).
 *
 * Inclusion decides whether stored documents must be scanned when a schema changes; it may
 * say no when unsure, never yes.
 *
 * Thread: any.  Memory: none.
 */
#include "value/validator_int.h"

bool
validator_equal(const struct validator *a, const struct validator *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind || a->n != b->n || !str_eq(a->table, b->table))
		return false;
	if (a->kind == V_LITERAL && !val_eq(a->literal, b->literal))
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (a->kind == V_OBJECT &&
		    (!str_eq(a->names[i], b->names[i]) || a->optional[i] != b->optional[i]))
			return false;
		if (!validator_equal(a->members[i], b->members[i]))
			return false;
	}
	return true;
}

static bool
literal_is_of(struct val literal, enum validator_kind base)
{
	switch (val_kind(literal)) {
	case VAL_BOOL:
		return base == V_BOOLEAN;
	case VAL_FLOAT64:
		return base == V_NUMBER;
	case VAL_INT64:
		return base == V_BIGINT || base == V_COMMIT_TS;
	case VAL_STRING:
		return base == V_STRING;
	default:
		return false;
	}
}

static bool
is_bool_literal(const struct validator *v, bool value)
{
	return v->kind == V_LITERAL && val_kind(v->literal) == VAL_BOOL &&
	    val_bool(v->literal) == value;
}

/* One type within a union: within a member, or boolean within true | false. */
static bool
within_union(const struct validator *a, const struct validator *u)
{
	bool has[2] = { false, false };

	for (size_t i = 0; i < u->n; i++) {
		if (validator_subset(a, u->members[i]))
			return true;
		has[0] |= is_bool_literal(u->members[i], false);
		has[1] |= is_bool_literal(u->members[i], true);
	}
	return a->kind == V_BOOLEAN && has[0] && has[1];
}

static bool
object_within(const struct validator *a, const struct validator *b)
{
	size_t shared = 0, required = 0;

	for (size_t i = 0; i < a->n; i++) {
		bool                    optional;
		const struct validator *member = validator_member(b, a->names[i], &optional);

		if (!member || (a->optional[i] && !optional) ||
		    !validator_subset(a->members[i], member))
			return false;
		shared += !optional;
	}
	for (size_t i = 0; i < b->n; i++)
		required += !b->optional[i];
	return shared == required; /* nothing that b demands is unknown to a */
}

static bool
is_int64(enum validator_kind kind)
{
	return kind == V_BIGINT || kind == V_COMMIT_TS;
}

bool
validator_subset(const struct validator *a, const struct validator *b)
{
	if (b->kind == V_ANY)
		return true;
	if (a->kind == V_UNION) {
		for (size_t i = 0; i < a->n; i++)
			if (!validator_subset(a->members[i], b))
				return false;
		return true;
	}
	if (b->kind == V_UNION)
		return within_union(a, b);
	if (a->kind == V_LITERAL && b->kind != V_LITERAL)
		return literal_is_of(a->literal, b->kind);
	if (a->kind == V_ID && b->kind == V_STRING)
		return true;
	if (is_int64(a->kind) && is_int64(b->kind))
		return true;
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case V_LITERAL:
		return val_eq(a->literal, b->literal);
	case V_ID:
		return str_eq(a->table, b->table);
	case V_ARRAY:
		return validator_subset(a->members[0], b->members[0]);
	case V_RECORD:
		return validator_subset(a->members[0], b->members[0]) &&
		    validator_subset(a->members[1], b->members[1]);
	case V_OBJECT:
		return object_within(a, b);
	default:
		return true; /* the same scalar */
	}
}

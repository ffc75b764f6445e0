/* validator_check.c - holding a value against a validator (spec 03 section 4.2).
 *
 * One walk decides and, at the first failure, writes the text.  Alternatives of a union
 * are tried quietly: only the union itself may complain.  The path to where we are is a
 * chain of frames on the C stack, printed only in a failure.
 *
 * Thread: any, concurrently.  Memory: the stack; texts go to the caller's err.
 */
#include "value/pack.h"
#include "value/print.h"
#include "value/validator_int.h"

struct path {
	const struct path *up;
	enum { PATH_FIELD, PATH_INDEX, PATH_KEYS, PATH_VALUES } kind;
	str    name;
	size_t index;
};

struct check {
	const struct table_names *tables;
	struct err               *e;        /* NULL inside unions: quiet */
	const uint8_t            *document; /* its top-level fields _... do not count */
	uint64_t                 *steps;    /* left */
};

/* Alternatives multiply: this many comparisons take a second or two. */
#define STEPS_MAX ((uint64_t)100000000)

static bool check(const struct check *c, const struct validator *v, struct val value,
    const struct path *at);

/* --- texts --- */

static void
put_steps(struct buf *b, const struct path *at)
{
	if (!at)
		return;
	put_steps(b, at->up);
	switch (at->kind) {
	case PATH_FIELD:
		buf_add_byte(b, '.');
		buf_add(b, at->name);
		return;
	case PATH_INDEX:
		buf_fmt(b, "[%zu]", at->index);
		return;
	case PATH_KEYS:
		buf_add(b, S(".keys()"));
		return;
	case PATH_VALUES:
		buf_add(b, S(".values()"));
		return;
	}
}

/* {ctx}: nothing at the top. */
static void
put_path(struct buf *b, const struct path *at)
{
	if (at)
		buf_add(b, S("Path: "));
	put_steps(b, at);
}

static bool
is_document(const struct check *c, struct val value)
{
	return c->document && value.p == c->document && val_kind(value) == VAL_OBJECT;
}

/* The document itself prints as what was checked: without its system fields. */
static void
put_value(const struct check *c, struct buf *b, struct val value)
{
	bool first = true;

	if (!is_document(c, value)) {
		val_print(b, value);
		return;
	}
	buf_add_byte(b, '{');
	for (size_t i = 0; i < val_count(value); i++) {
		str        name;
		struct val member = val_field_at(value, i, &name);

		if (str_starts(name, S("_")))
			continue;
		if (!first)
			buf_add(b, S(", "));
		first = false;
		buf_add(b, name);
		buf_add(b, S(": "));
		val_print(b, member);
	}
	buf_add_byte(b, '}');
}

static bool
report(const struct check *c, struct buf *b)
{
	err_set_str(c->e, ST_BAD_REQUEST, "ValidationError", buf_str(b));
	buf_clear(b);
	return false;
}

/* "{head}\n{ctx}\n{label}: {value}\nValidator: {v}" */
static bool
report_lines(const struct check *c, struct buf *b, const char *label, const struct validator *v,
    struct val value, const struct path *at)
{
	buf_add_byte(b, '\n');
	put_path(b, at);
	buf_add_byte(b, '\n');
	buf_addz(b, label);
	buf_add(b, S(": "));
	put_value(c, b, value);
	buf_add(b, S("\nValidator: "));
	validator_print(b, v);
	return report(c, b);
}

static bool
no_match(const struct check *c, const struct validator *v, struct val value, const struct path *at)
{
	struct buf b;

	if (!c->e)
		return false;
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, S("Value does not match validator."));
	return report_lines(c, &b, "Value", v, value, at);
}

static bool
missing_field(const struct check *c, const struct validator *v, struct val value,
    const struct path *at, str name)
{
	struct buf b;

	if (!c->e)
		return false;
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b,
	    "Object is missing the required field `%.*s`. Consider wrapping the field validator "
	    "in `v.optional(...)` if this is expected.",
	    STR_ARG(name));
	return report_lines(c, &b, "Object", v, value, at);
}

static bool
extra_field(const struct check *c, const struct validator *v, struct val value,
    const struct path *at, str name)
{
	struct buf b;

	if (!c->e)
		return false;
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b, "Object contains extra field `%.*s` that is not in the validator.",
	    STR_ARG(name));
	return report_lines(c, &b, "Object", v, value, at);
}

static bool
literal_differs(const struct check *c, const struct validator *v, struct val value,
    const struct path *at)
{
	struct buf b;

	if (!c->e)
		return false;
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add_byte(&b, '`');
	put_value(c, &b, value);
	buf_add(&b, S("` does not match literal validator `"));
	validator_print(&b, v);
	buf_add(&b, S("`."));
	put_path(&b, at);
	return report(c, &b);
}

static bool
wrong_table(const struct check *c, const struct validator *v, str id, enum table_kind kind,
    str table, const struct path *at)
{
	struct buf b;

	if (!c->e)
		return false;
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_fmt(&b, "Found ID \"%.*s\" from ", STR_ARG(id));
	if (kind == TABLE_SYSTEM)
		buf_add(&b, S("a system table"));
	else
		buf_fmt(&b, "table `%.*s`", STR_ARG(table));
	buf_add(&b, S(", which does not match the table name in validator `"));
	validator_print(&b, v);
	buf_add(&b, S("`."));
	put_path(&b, at);
	return report(c, &b);
}

/* --- the walk --- */

static bool
check_id(const struct check *c, const struct validator *v, struct val value, const struct path *at)
{
	struct docid    id;
	enum table_kind kind;
	str             table = STR_EMPTY;

	if (val_kind(value) != VAL_STRING || id_parse(val_str(value), &id, NULL) != ST_OK)
		return no_match(c, v, value, at);
	if (!c->tables)
		return true;
	kind = c->tables->by_number(c->tables->arg, id.table, &table);
	if (kind == TABLE_UNKNOWN)
		return no_match(c, v, value, at);
	if (!str_eq(table, v->table))
		return wrong_table(c, v, val_str(value), kind, table, at);
	return true;
}

static bool
check_array(const struct check *c, const struct validator *v, struct val value,
    const struct path *at)
{
	struct path here = { .up = at, .kind = PATH_INDEX };

	if (val_kind(value) != VAL_ARRAY)
		return no_match(c, v, value, at);
	if (v->members[0]->kind == V_ANY)
		return true;
	for (here.index = 0; here.index < val_count(value); here.index++)
		if (!check(c, v->members[0], val_at(value, here.index), &here))
			return false;
	return true;
}

/* A key of a record as the string value that its validator wants to see. */
static bool
check_key(const struct check *c, const struct validator *v, str name, const struct path *at)
{
	struct path here = { .up = at, .kind = PATH_KEYS };
	struct pack p;
	struct val  key;
	bool        ok;

	if (v->kind == V_STRING)
		return true;
	pack_init(&p);
	pack_str(&p, name);
	ok = pack_done(&p, &key, NULL) == ST_OK && check(c, v, key, &here);
	pack_clear(&p);
	return ok;
}

static bool
check_record(const struct check *c, const struct validator *v, struct val value,
    const struct path *at)
{
	struct path here = { .up = at, .kind = PATH_VALUES };

	if (val_kind(value) != VAL_OBJECT)
		return no_match(c, v, value, at);
	for (size_t i = 0; i < val_count(value); i++) {
		str        name;
		struct val member = val_field_at(value, i, &name);

		if (!check_key(c, v->members[0], name, at) ||
		    !check(c, v->members[1], member, &here))
			return false;
	}
	return true;
}

/* Fields and members are both sorted by name, so one merge pairs them.  An undeclared
 * field is reported only after all the declared ones. */
static bool
check_object(const struct check *c, const struct validator *v, struct val value,
    const struct path *at)
{
	struct path here = { .up = at, .kind = PATH_FIELD };
	bool        document = is_document(c, value);
	str         extra = { NULL, 0 };
	size_t      n, i = 0, m = 0;

	if (val_kind(value) != VAL_OBJECT)
		return no_match(c, v, value, at);
	n = val_count(value);
	while (i < n || m < v->n) {
		struct val field = VAL_NONE;
		int        order = -1; /* field before, at or behind the member */

		if (i < n) {
			field = val_field_at(value, i, &here.name);
			order = m < v->n ? str_cmp(here.name, v->names[m]) : -1;
		} else {
			order = 1;
		}
		if (order > 0) {
			if (!v->optional[m])
				return missing_field(c, v, value, at, v->names[m]);
			m++;
			continue;
		}
		i++;
		if (order < 0) {
			if (!extra.p && !(document && str_starts(here.name, S("_"))))
				extra = here.name;
			continue;
		}
		if (!check(c, v->members[m++], field, &here))
			return false;
	}
	return extra.p ? extra_field(c, v, value, at, extra) : true;
}

static bool
check_union(const struct check *c, const struct validator *v, struct val value,
    const struct path *at)
{
	struct check quiet = *c; /* the steps are shared */

	if (v->n == 1)
		return check(c, v->members[0], value, at);
	quiet.e = NULL;
	for (size_t i = 0; i < v->n; i++)
		if (check(&quiet, v->members[i], value, at))
			return true;
	return no_match(c, v, value, at);
}

static bool
is_kind(enum validator_kind want, enum val_kind kind)
{
	switch (want) {
	case V_ANY:
		return true;
	case V_NULL:
		return kind == VAL_NULL;
	case V_NUMBER:
		return kind == VAL_FLOAT64;
	case V_BIGINT: /* the token becomes an Int64 when the transaction commits */
	case V_COMMIT_TS:
		return kind == VAL_INT64 || kind == VAL_COMMIT_TS;
	case V_BOOLEAN:
		return kind == VAL_BOOL;
	case V_STRING:
		return kind == VAL_STRING;
	case V_BYTES:
		return kind == VAL_BYTES;
	default:
		return false;
	}
}

static bool
check(const struct check *c, const struct validator *v, struct val value, const struct path *at)
{
	if (*c->steps == 0 || --*c->steps == 0)
		return false; /* what the failures say does not count any more */
	switch (v->kind) {
	case V_LITERAL:
		return val_eq(v->literal, value) || literal_differs(c, v, value, at);
	case V_ID:
		return check_id(c, v, value, at);
	case V_ARRAY:
		return check_array(c, v, value, at);
	case V_RECORD:
		return check_record(c, v, value, at);
	case V_OBJECT:
		return check_object(c, v, value, at);
	case V_UNION:
		return check_union(c, v, value, at);
	default:
		return is_kind(v->kind, val_kind(value)) || no_match(c, v, value, at);
	}
}

static status
check_all(struct check c, const struct validator *v, struct val value)
{
	uint64_t steps = STEPS_MAX;

	c.steps = &steps;
	if (check(&c, v, value, NULL))
		return ST_OK;
	if (steps == 0)
		return err_set(c.e, ST_BAD_REQUEST, "SystemTimeoutError",
		    "Your request timed out performing too many system operations.");
	return ST_BAD_REQUEST;
}

status
validator_check(const struct validator *v, struct val value, const struct table_names *tables,
    struct err *e)
{
	return check_all((struct check){ .tables = tables, .e = e }, v, value);
}

status
validator_check_doc(const struct validator *v, struct val doc, const struct table_names *tables,
    struct err *e)
{
	return check_all((struct check){ .tables = tables, .e = e, .document = doc.p }, v, doc);
}

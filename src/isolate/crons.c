/* crons.c - what cronJobs() exports, checked and in the form that is stored (spec 02
 * section 11.4).
 *
 * Thread: any.  Memory: the caller's arena and buf.
 */
#include <stdio.h>

#include "isolate/eval_int.h"

#define IDENTIFIER_MAX 1024

struct cron {
	str                identifier;
	const struct json *schedule;
	str                type;
};

static status
bad(const struct cron *c, struct err *e, const char *what)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidCron", "%s in cron job \"%.*s\"", what,
	    STR_ARG(c->identifier));
}

/* An integral member in [lo, hi].  *ret_given false: absent or null. */
static status
read_int(const struct cron *c, const char *name, int lo, int hi, bool required, bool *ret_given,
    int *ret, struct err *e)
{
	const struct json *j = json_get(c->schedule, name);
	char               what[80];

	*ret_given = !json_is_null(j);
	if (!*ret_given && !required)
		return ST_OK;
	if (*ret_given && j->kind == JSON_NUMBER && j->number >= lo && j->number <= hi &&
	    j->number == (double)(int)j->number) {
		*ret = (int)j->number;
		return ST_OK;
	}
	snprintf(what, sizeof what, "%s must be %d-%d", name, lo, hi);
	return bad(c, e, what);
}

static status
write_int(const struct cron *c, const char *name, int lo, int hi, bool required, struct buf *b,
    struct err *e)
{
	bool given;
	int  v = 0;

	TRY(read_int(c, name, lo, hi, required, &given, &v, e));
	if (given) {
		json_key(b, name);
		json_write_i64(b, v);
	}
	return ST_OK;
}

static status
write_interval(const struct cron *c, struct buf *b, struct err *e)
{
	static const struct {
		const char *name;
		int         seconds;
	} units[] = { { "seconds", 1 }, { "minutes", 60 }, { "hours", 3600 } };
	double seconds = 0;
	int    n = 0;

	for (size_t i = 0; i < COUNT_OF(units); i++) {
		double v;

		if (json_is_null(json_get(c->schedule, units[i].name)))
			continue;
		if (!json_get_num(c->schedule, units[i].name, &v) || v <= 0 || v > 1e9 ||
		    v != (double)(int64_t)v)
			return bad(c, e, "Interval must be a positive integer");
		seconds = v * units[i].seconds;
		n++;
	}
	if (n != 1)
		return bad(
		    c, e, "Exactly one of \"seconds\", \"minutes\", or \"hours\" must be given");
	json_key(b, "seconds");
	json_write_i64(b, (int64_t)seconds);
	return ST_OK;
}

static status
write_weekday(const struct cron *c, struct buf *b, struct err *e)
{
	static const char *const days[] = { "sunday", "monday", "tuesday", "wednesday", "thursday",
		"friday", "saturday" };
	str day;

	if (!json_get_str(c->schedule, "dayOfWeek", &day))
		return bad(c, e, "dayOfWeek must be a day of the week");
	for (int i = 0; i < 7; i++) {
		if (!str_eq(day, str_z(days[i])))
			continue;
		json_key(b, "dayOfWeek");
		json_write_i64(b, i);
		return ST_OK;
	}
	return bad(c, e, "dayOfWeek must be a day of the week");
}

/* --- cron expressions --- */

struct field {
	int                lo, hi;
	const char *const *names; /* of lo, lo + 1 ...; NULL: none */
	int                nnames;
};

static bool
cron_number(str s, const struct field *f, int *ret)
{
	uint64_t v;

	for (int i = 0; i < f->nnames; i++) {
		if (str_eq_nocase(s, str_z(f->names[i]))) {
			*ret = f->lo + i;
			return true;
		}
	}
	if (!str_to_u64(s, &v) || v < (uint64_t)f->lo || v > (uint64_t)f->hi)
		return false;
	*ret = (int)v;
	return true;
}

/* "*", "a", "a-b", each with an optional "/step"; ORs the numbers into *ret. */
static bool
cron_item(str s, const struct field *f, uint64_t *ret)
{
	uint64_t step = 1;
	size_t   at;
	int      lo = f->lo, hi = f->hi;

	if (str_find_char(s, '/', &at)) {
		if (!str_to_u64(str_from(s, at + 1), &step) || step == 0 || step > 1000)
			return false;
		s = str_head(s, at);
	}
	if (!str_eq(s, S("*"))) {
		bool range = str_find_char(s, '-', &at);

		if (!cron_number(range ? str_head(s, at) : s, f, &lo))
			return false;
		if (range && (!cron_number(str_from(s, at + 1), f, &hi) || hi < lo))
			return false;
		if (!range && step == 1)
			hi = lo;
	}
	for (int v = lo; v <= hi; v += (int)step)
		*ret |= (uint64_t)1 << v;
	return true;
}

static bool
cron_field(str s, const struct field *f, uint64_t *ret)
{
	*ret = 0;
	while (true) {
		size_t at;
		bool   more = str_find_char(s, ',', &at);

		if (!cron_item(more ? str_head(s, at) : s, f, ret))
			return false;
		if (!more)
			return true;
		s = str_from(s, at + 1);
	}
}

/* Five fields that match some time: February 30 never comes. */
static bool
cron_valid(str s)
{
	static const char *const months[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
		"aug", "sep", "oct", "nov", "dec" };
	static const char *const days[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" };
	static const struct field fields[] = { { 0, 59, NULL, 0 }, { 0, 23, NULL, 0 },
		{ 1, 31, NULL, 0 }, { 1, 12, months, 12 }, { 0, 7, days, 7 } };
	static const int length[] = { 0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint64_t         v[COUNT_OF(fields)];
	size_t           n = 0;

	for (s = str_trim(s); s.n; s = str_trim(s)) {
		size_t at;
		str    word = str_find_char(s, ' ', &at) ? str_head(s, at) : s;

		if (n == COUNT_OF(fields) || !cron_field(word, &fields[n], &v[n]))
			return false;
		n++;
		s = str_from(s, word.n);
	}
	if (n != COUNT_OF(fields))
		return false;
	for (int m = 1; m <= 12; m++)
		if ((v[3] >> m & 1) && (v[2] & (((uint64_t)2 << length[m]) - 1)))
			return true;
	return (v[4] & 0xff) != 0xff; /* days of the week match on their own */
}

static status
write_expression(const struct cron *c, struct buf *b, struct err *e)
{
	str text;

	if (!json_get_str(c->schedule, "cron", &text) || !cron_valid(text))
		return bad(c, e, "Invalid cron expression");
	json_key(b, "cronExpr");
	json_write_str(b, text);
	return ST_OK;
}

/* --- one cron --- */

static status
write_schedule(const struct cron *c, struct buf *b, struct err *e)
{
	bool hourly = str_eq(c->type, S("hourly")), daily = str_eq(c->type, S("daily"));
	bool weekly = str_eq(c->type, S("weekly")), monthly = str_eq(c->type, S("monthly"));

	buf_addz(b, "{\"type\":");
	json_write_str(b, c->type);
	if (str_eq(c->type, S("interval"))) {
		TRY(write_interval(c, b, e));
	} else if (str_eq(c->type, S("cron"))) {
		TRY(write_expression(c, b, e));
	} else if (hourly || daily || weekly || monthly) {
		if (weekly)
			TRY(write_weekday(c, b, e));
		if (monthly)
			TRY(write_int(c, "day", 1, 31, true, b, e));
		if (!hourly)
			TRY(write_int(c, "hourUTC", 0, 23, true, b, e));
		TRY(write_int(c, "minuteUTC", 0, 59, false, b, e));
	} else {
		return bad(c, e, "Unknown schedule type");
	}
	buf_add_byte(b, '}');
	return ST_OK;
}

/* "a/b:f" to "a/b.js:f", "a" to "a.js:default". */
static str
canonical(struct arena *a, str name)
{
	size_t at;
	str    module = name, fn = S("default");

	if (str_rfind_char(name, ':', &at)) {
		module = str_head(name, at);
		fn = str_from(name, at + 1);
	}
	return arena_fmt(a, "%.*s%s:%.*s", STR_ARG(module), str_ends(module, S(".js")) ? "" : ".js",
	    STR_ARG(fn));
}

static void
write_args(struct buf *b, const struct json *args)
{
	struct buf text;

	buf_init(&text, BUF_MAX_DEFAULT);
	json_write(&text, args);
	buf_add_byte(b, '[');
	for (size_t i = 0; i < text.n; i++) {
		json_comma(b);
		json_write_u64(b, (uint8_t)text.p[i]);
	}
	buf_add_byte(b, ']');
	buf_clear(&text);
}

static status
convert_one(struct arena *a, str identifier, const struct json *j, struct buf *b, str *ret_path,
    struct err *e)
{
	struct cron        c = { .identifier = identifier, .schedule = json_get(j, "schedule") };
	const struct json *args = json_get(j, "args");
	str                name;

	for (size_t i = 0; i < identifier.n; i++)
		if (identifier.p[i] < 0x20 || identifier.p[i] > 0x7e ||
		    identifier.n > IDENTIFIER_MAX)
			return bad(&c, e, "Cron identifiers must be printable ASCII");
	if (!json_get_str(j, "name", &name) || !args || args->kind != JSON_ARRAY ||
	    !json_get_str(c.schedule, "type", &c.type))
		return bad(&c, e, "Invalid export");
	*ret_path = canonical(a, name);
	json_comma(b);
	buf_addz(b, "{\"identifier\":");
	json_write_str(b, identifier);
	buf_addz(b, ",\"spec\":{\"udfPath\":");
	json_write_str(b, *ret_path);
	buf_addz(b, ",\"udfArgs\":");
	write_args(b, args);
	buf_addz(b, ",\"cronSchedule\":");
	TRY(write_schedule(&c, b, e));
	buf_addz(b, "}}");
	return ST_OK;
}

static void
sort_keys(const struct json *j, size_t *order)
{
	for (size_t i = 0; i < j->n; i++) {
		size_t k = i;

		for (; k > 0 && str_cmp(j->keys[order[k - 1]], j->keys[i]) > 0; k--)
			order[k] = order[k - 1];
		order[k] = i;
	}
}

status
crons_convert(struct arena *a, str json, struct buf *ret, struct cron_targets *targets,
    struct err *e)
{
	struct json *j;
	size_t      *order;

	TRY(json_parse(a, json, &j, e));
	if (j->kind != JSON_OBJECT)
		return err_set(e, ST_BAD_REQUEST, "InvalidCron", "export() must return an object");
	order = ARENA_ARRAY(a, size_t, j->n);
	sort_keys(j, order);
	buf_add_byte(ret, '[');
	for (size_t i = 0; i < j->n; i++) {
		struct cron_target t = { .identifier = j->keys[order[i]] };

		TRY(convert_one(a, t.identifier, &j->items[order[i]], ret, &t.path, e));
		vec_push(&targets->v, t);
	}
	buf_add_byte(ret, ']');
	return ST_OK;
}

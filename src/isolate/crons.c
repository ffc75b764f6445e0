/* crons.c - what cronJobs() exports, checked and in the form that is stored (spec 02
 * section 11.4).
 *
 * Thread: any.  Memory: the caller's arena and buf.
 */
#include <stdio.h>

#include "base/cron.h"
#include "isolate/eval_int.h"

#define IDENTIFIER_MAX 1024

struct entry {
	str                identifier;
	const struct json *schedule;
	str                type;
};

static status
bad(const struct entry *c, struct err *e, const char *what)
{
	return err_set(e, ST_BAD_REQUEST, "InvalidCron", "%s in cron job \"%.*s\"", what,
	    STR_ARG(c->identifier));
}

/* An integral member in [lo, hi].  *ret_given false: absent or null. */
static status
read_int(const struct entry *c, const char *name, int lo, int hi, bool required, bool *ret_given,
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
write_int(const struct entry *c, const char *name, int lo, int hi, bool required, struct buf *b,
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
write_interval(const struct entry *c, struct buf *b, struct err *e)
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
write_weekday(const struct entry *c, struct buf *b, struct err *e)
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

static status
write_expression(const struct entry *c, struct buf *b, struct err *e)
{
	struct cron when;
	int64_t     first;
	str         text;

	if (!json_get_str(c->schedule, "cron", &text) || !cron_parse(&when, text))
		return bad(c, e, "Invalid cron expression");
	if (!cron_next(&when, 0, &first))
		return bad(c, e, "The cron expression will never match");
	json_key(b, "cronExpr");
	json_write_str(b, text);
	return ST_OK;
}

/* --- one cron --- */

static status
write_schedule(const struct entry *c, struct buf *b, struct err *e)
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
	struct entry       c = { .identifier = identifier, .schedule = json_get(j, "schedule") };
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

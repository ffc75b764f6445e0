/* cron.c - see cron.h. */
#include "base/cron.h"

#include "base/must.h"

#define DAY_S       86400
#define CYCLE_DAYS  146097 /* of the Gregorian calendar: 400 years, whole weeks */
#define BIT(n)      ((uint64_t)1 << (n))

struct field {
	int         lo, hi;
	const char *names; /* three letters for each number from lo on; NULL: none */
};

static const struct field minute_field = { 0, 59, NULL }, hour_field = { 0, 23, NULL },
	month_day_field = { 1, 31, NULL },
	month_field = { 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec" },
	week_day_field = { 0, 6, "sunmontuewedthufrisat" };

/* --- reading --- */

static bool
read_value(str s, const struct field *f, int *ret)
{
	uint64_t v;

	for (int i = f->lo; f->names && i <= f->hi; i++) {
		if (str_eq_nocase(s, str_of(f->names + 3 * (i - f->lo), 3))) {
			*ret = i;
			return true;
		}
	}
	if (s.n > 2 || !str_to_u64(s, &v) || v < (uint64_t)f->lo || v > (uint64_t)f->hi)
		return false;
	*ret = (int)v;
	return true;
}

/* Splits behind "/": *ret_step 1 if there is none. */
static bool
read_step(str *s, const struct field *f, int *ret_step)
{
	struct field steps = { 1, f->hi - f->lo, NULL };
	size_t       at;

	*ret_step = 1;
	if (!str_find_char(*s, '/', &at))
		return true;
	if (!read_value(str_from(*s, at + 1), &steps, ret_step))
		return false;
	*s = str_head(*s, at);
	return true;
}

/* Every step-th from `from` to `to`, beyond the end and on from the beginning if need be. */
static uint64_t
range_bits(const struct field *f, int from, int to, int step)
{
	int      size = f->hi - f->lo + 1, length = (to - from + size) % size;
	uint64_t bits = 0;

	for (int i = 0; i <= length; i += step)
		bits |= BIT(f->lo + (from - f->lo + i) % size);
	return bits;
}

static bool
read_item(str s, const struct field *f, uint64_t *bits)
{
	bool   stepped = str_find_char(s, '/', &(size_t){ 0 });
	int    from = f->lo, to = f->hi, step;
	size_t at;

	if (!read_step(&s, f, &step))
		return false;
	if (str_find_char(s, '-', &at)) {
		if (!read_value(str_head(s, at), f, &from) ||
		    !read_value(str_from(s, at + 1), f, &to))
			return false;
	} else if (!stepped || !str_eq(s, S("*"))) {
		if (!read_value(s, f, &from))
			return false;
		to = stepped ? f->hi : from;
	}
	*bits |= range_bits(f, from, to, step);
	return true;
}

/* "*" is all. */
static bool
read_field(str s, const struct field *f, uint64_t *ret)
{
	*ret = 0;
	if (str_eq(s, S("*"))) {
		*ret = range_bits(f, f->lo, f->hi, 1);
		return true;
	}
	for (;;) {
		size_t at;
		bool   more = str_find_char(s, ',', &at);

		if (!read_item(more ? str_head(s, at) : s, f, ret))
			return false;
		if (!more)
			return true;
		s = str_from(s, at + 1);
	}
}

/* Behind an "L" or before a "W". */
static bool
read_special_month_day(str s, struct cron_day_rule *ret)
{
	const struct field before = { 1, 30, NULL };
	bool               working = str_ends(s, S("W")) || str_ends(s, S("w"));

	if (working)
		s = str_head(s, s.n - 1);
	if (!str_eq_nocase(str_head(s, 1), S("L"))) {
		ret->kind = CRON_WORKING;
		return working && read_value(s, &month_day_field, &ret->n);
	}
	ret->kind = working ? CRON_LAST_WORKING : CRON_LAST;
	ret->n = 0;
	s = str_from(s, 1);
	return s.n == 0 || (s.p[0] == '-' && read_value(str_from(s, 1), &before, &ret->n));
}

static bool
read_special_week_day(str s, struct cron_day_rule *ret)
{
	const struct field nth = { 1, 5, NULL };
	size_t             at;
	int                day = week_day_field.hi;

	if (str_eq_nocase(s, S("L"))) {
		ret->kind = CRON_SET;
	} else if (str_find_char(s, '#', &at)) {
		ret->kind = CRON_NTH;
		if (!read_value(str_head(s, at), &week_day_field, &day) ||
		    !read_value(str_from(s, at + 1), &nth, &ret->n))
			return false;
	} else {
		ret->kind = CRON_LAST;
		if (s.n < 2 || !str_eq_nocase(str_from(s, s.n - 1), S("L")) ||
		    !read_value(str_head(s, s.n - 1), &week_day_field, &day))
			return false;
	}
	ret->days = BIT(day);
	return true;
}

static bool
read_day(str s, const struct field *f, bool (*special)(str s, struct cron_day_rule *ret),
    struct cron_day_rule *ret)
{
	*ret = (struct cron_day_rule){ .kind = str_eq(s, S("*")) ? CRON_ANY : CRON_SET };
	return read_field(s, f, &ret->days) || special(s, ret);
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Takes the next word off the text; empty: there is none. */
static str
next_word(str *text)
{
	size_t n = 0;
	str    word;

	while (text->n > 0 && is_blank(text->p[0]))
		*text = str_from(*text, 1);
	while (n < text->n && !is_blank(text->p[n]))
		n++;
	word = str_head(*text, n);
	*text = str_from(*text, n);
	return word;
}

bool
cron_parse(struct cron *ret, str text)
{
	struct cron c;

	if (!read_field(next_word(&text), &minute_field, &c.minutes) ||
	    !read_field(next_word(&text), &hour_field, &c.hours) ||
	    !read_day(next_word(&text), &month_day_field, read_special_month_day, &c.month_day) ||
	    !read_field(next_word(&text), &month_field, &c.months) ||
	    !read_day(next_word(&text), &week_day_field, read_special_week_day, &c.week_day) ||
	    next_word(&text).n > 0)
		return false;
	*ret = c;
	return true;
}

/* --- the calendar --- */

struct date {
	int month, day;  /* from 1 */
	int week_day;    /* 0: Sunday */
	int month_days;
};

/* Of the days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms"):
 * in years that begin in March, months have the lengths of a linear formula. */
static struct date
date_of(int64_t days)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t          shifted = days + 719468; /* since 0000-03-01 */
	int64_t          era = (shifted >= 0 ? shifted : shifted - (CYCLE_DAYS - 1)) / CYCLE_DAYS;
	int              of_era = (int)(shifted - era * CYCLE_DAYS);
	int  year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (CYCLE_DAYS - 1)) / 365;
	int  of_year = of_era - (365 * year + year / 4 - year / 100);
	int  month = (5 * of_year + 2) / 153; /* 0: March */
	bool leap;

	struct date d = { .month = month < 10 ? month + 3 : month - 9,
		.day = of_year - (153 * month + 2) / 5 + 1,
		.week_day = (int)(((days + 4) % 7 + 7) % 7) };

	year += d.month <= 2; /* of the era, as the civil year has it: 400 counts like 0 */
	leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	d.month_days = lengths[d.month - 1] + (d.month == 2 && leap);
	return d;
}

/* The day from Monday to Friday that is nearest to `day` in the month of `d`; 0: no such day. */
static int
working_day(const struct date *d, int day)
{
	int week_day = ((d->week_day + day - d->day) % 7 + 7) % 7;

	if (day < 1 || day > d->month_days)
		return 0;
	if (week_day == 6)
		return day > 1 ? day - 1 : day + 2;
	if (week_day == 0)
		return day < d->month_days ? day + 1 : day - 2;
	return day;
}

static bool
month_day_fits(const struct cron_day_rule *r, const struct date *d)
{
	switch (r->kind) {
	case CRON_SET:
		return r->days & BIT(d->day);
	case CRON_LAST:
		return d->day == d->month_days - r->n;
	case CRON_WORKING:
		return d->day == working_day(d, r->n);
	case CRON_LAST_WORKING:
		return d->day == working_day(d, d->month_days - r->n);
	default:
		return true;
	}
}

static bool
week_day_fits(const struct cron_day_rule *r, const struct date *d)
{
	bool named = r->days & BIT(d->week_day);

	switch (r->kind) {
	case CRON_LAST:
		return named && d->day > d->month_days - 7;
	case CRON_NTH:
		return named && (d->day - 1) / 7 + 1 == r->n;
	default:
		return named;
	}
}

static bool
day_fits(const struct cron *c, int64_t days)
{
	struct date d = date_of(days);
	bool        by_month = month_day_fits(&c->month_day, &d);
	bool        by_week = week_day_fits(&c->week_day, &d);

	if (!(c->months & BIT(d.month)))
		return false;
	if (c->month_day.kind != CRON_ANY && c->week_day.kind != CRON_ANY)
		return by_month || by_week;
	return by_month && by_week;
}

/* The first minute of the day that is `from` or later; -1: none. */
static int
minute_of_day(const struct cron *c, int from)
{
	for (int m = from; m < DAY_S / 60; m++) {
		if ((c->hours & BIT(m / 60)) && (c->minutes & BIT(m % 60)))
			return m;
	}
	return -1;
}

bool
cron_next(const struct cron *c, int64_t after_s, int64_t *ret_s)
{
	int64_t day = after_s / DAY_S - (after_s % DAY_S < 0);
	int     from = (int)((after_s - day * DAY_S) / 60) + 1;

	for (int64_t last = day + CYCLE_DAYS; day <= last; day++, from = 0) {
		int minute = day_fits(c, day) ? minute_of_day(c, from) : -1;

		if (minute < 0)
			continue;
		*ret_s = day * DAY_S + minute * 60;
		return true;
	}
	return false;
}

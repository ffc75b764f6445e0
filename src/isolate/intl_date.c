/* intl_date.c - dates: patterns, formats, intervals, time zones.
 *
 * JavaScript decides about fields and hour cycles (js/prelude/intldate.js), the pattern generator
 * finds the locale's pattern for them.  A format is a locale (with its calendar and digits), a
 * pattern and a zone.
 *
 * Thread: any.  Memory: formatters and patterns in the thread's cache.
 */
#include <unicode/ucal.h>
#include <unicode/udat.h>
#include <unicode/udateintervalformat.h>
#include <unicode/udatpg.h>
#include <unicode/ustring.h>

#include "base/mem.h"
#include "isolate/intl_int.h"

#define PATTERN_MAX 512 /* units */
#define STYLES      '='

/* JavaScript's calendar has no Julian past. */
#define TIME_MIN -8.64e15

/* --- patterns --- */

static bool
generator_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode code = U_ZERO_ERROR;
	char       id[INTL_ID_MAX];

	if (!intl_id(parts[0], id))
		return false;
	e->obj[0] = udatpg_open(id, &code);
	return U_SUCCESS(code);
}

static void
generator_close(struct intl_entry *e)
{
	udatpg_close(e->obj[0]);
}

static const struct intl_class generator_class = { generator_open, generator_close };

/* A string as cached object: the result of something that takes long. */
static void
text_close(struct intl_entry *e)
{
	mem_free(e->obj[0]);
}

static void
keep_text(struct intl_entry *e, const UChar *p, int32_t n)
{
	e->obj[0] = mem_alloc(((size_t)n + 1) * sizeof *p);
	memcpy(e->obj[0], p, (size_t)n * sizeof *p);
	((UChar *)e->obj[0])[n] = 0;
}

static bool
put_text(const struct intl_call *c, const struct intl_entry *e)
{
	if (e)
		intl_text(c, e->obj[0], (size_t)u_strlen(e->obj[0]));
	return e != NULL;
}

/* Generators are opened by themselves: they are needed only until their patterns are known. */
static bool
best_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode     code = U_ZERO_ERROR;
	struct arena  *a = arena_new();
	struct utext16 skeleton = intl_utf16(a, parts[1]);
	struct intl_entry *g =
	    intl_open(intl_here(), &generator_class, (const char *const[]){ parts[0] }, 1);
	UChar          pattern[PATTERN_MAX];
	int32_t        n = 0;

	if (g)
		n = udatpg_getBestPatternWithOptions(g->obj[0], skeleton.p, (int32_t)skeleton.n,
		    UDATPG_MATCH_HOUR_FIELD_LENGTH, pattern, PATTERN_MAX, &code);
	arena_free(a);
	if (!g || U_FAILURE(code))
		return false;
	keep_text(e, pattern, n);
	return true;
}

static const struct intl_class best_class = { best_open, text_close };

/* datePattern(locale, skeleton) */
static bool
op_pattern(const struct intl_call *c)
{
	return put_text(c, INTL_OPEN(c, best_class, c->v[0].z, c->v[1].z));
}

/* "full" ... "short", or "" for none. */
static UDateFormatStyle
style_of(const char *z)
{
	switch (z[0]) {
	case 'f':
		return UDAT_FULL;
	case 'l':
		return UDAT_LONG;
	case 'm':
		return UDAT_MEDIUM;
	case 's':
		return UDAT_SHORT;
	default:
		return UDAT_NONE;
	}
}

static bool
style_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode   code = U_ZERO_ERROR;
	char         id[INTL_ID_MAX];
	UDateFormat *f;
	UChar        pattern[PATTERN_MAX];
	int32_t      n;

	if (!intl_id(parts[0], id))
		return false;
	f = udat_open(style_of(parts[2]), style_of(parts[1]), id, u"UTC", 3, NULL, 0, &code);
	if (U_FAILURE(code))
		return false;
	n = udat_toPattern(f, false, pattern, PATTERN_MAX, &code);
	udat_close(f);
	if (U_FAILURE(code))
		return false;
	keep_text(e, pattern, n);
	return true;
}

static const struct intl_class style_class = { style_open, text_close };

/* dateStylePattern(locale, date style, time style) */
static bool
op_style_pattern(const struct intl_call *c)
{
	return put_text(c, INTL_OPEN(c, style_class, c->v[0].z, c->v[1].z, c->v[2].z));
}

/* dateSkeleton(pattern) */
static bool
op_skeleton(const struct intl_call *c)
{
	UErrorCode     code = U_ZERO_ERROR;
	UChar          skeleton[PATTERN_MAX];
	int32_t        n = udatpg_getSkeleton(
	    NULL, c->v[0].u.p, (int32_t)c->v[0].u.n, skeleton, PATTERN_MAX, &code);

	if (U_SUCCESS(code))
		intl_text(c, skeleton, (size_t)n);
	return U_SUCCESS(code);
}

/* hourCycle(locale): the one that the locale prefers */
static bool
op_hour_cycle(const struct intl_call *c)
{
	static const char *const names[] = { [UDAT_HOUR_CYCLE_11] = "h11",
		[UDAT_HOUR_CYCLE_12] = "h12", [UDAT_HOUR_CYCLE_23] = "h23",
		[UDAT_HOUR_CYCLE_24] = "h24" };
	struct intl_entry       *e = INTL_OPEN(c, generator_class, c->v[0].z);
	UErrorCode               code = U_ZERO_ERROR;
	UDateFormatHourCycle     cycle;

	if (!e)
		return false;
	cycle = udatpg_getDefaultHourCycle(e->obj[0], &code);
	if (U_SUCCESS(code))
		intl_ascii(c, names[cycle]);
	return U_SUCCESS(code);
}

/* --- formats --- */

/* Without a change of calendars in 1582. */
static void
make_proleptic(UDateFormat *f)
{
	UErrorCode code = U_ZERO_ERROR;
	UCalendar *cal = ucal_clone(udat_getCalendar(f), &code);

	ucal_setGregorianChange(cal, TIME_MIN, &code); /* refused: it is no Gregorian calendar */
	if (U_SUCCESS(code))
		udat_setCalendar(f, cal);
	ucal_close(cal);
}

static bool
date_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode     code = U_ZERO_ERROR;
	char           id[INTL_ID_MAX];
	struct arena  *a;
	struct utext16 pattern, zone;

	if (!intl_id(parts[0], id))
		return false;
	a = arena_new();
	pattern = intl_utf16(a, parts[1]);
	zone = intl_utf16(a, parts[2]);
	if (pattern.n == 3 && pattern.p[0] == STYLES)
		e->obj[0] = udat_open(style_of(parts[1] + 2), style_of(parts[1] + 1), id, zone.p,
		    (int32_t)zone.n, NULL, 0, &code);
	else
		e->obj[0] = udat_open(UDAT_PATTERN, UDAT_PATTERN, id, zone.p, (int32_t)zone.n,
		    pattern.p, (int32_t)pattern.n, &code);
	arena_free(a);
	if (U_FAILURE(code))
		return false;
	make_proleptic(e->obj[0]);
	e->obj[1] = ufieldpositer_open(&code);
	return U_SUCCESS(code);
}

static void
date_close(struct intl_entry *e)
{
	if (e->obj[0])
		udat_close(e->obj[0]);
	if (e->obj[1])
		ufieldpositer_close(e->obj[1]);
}

static const struct intl_class date_class = { date_open, date_close };

/* Fields that are not among these do not occur in the patterns. */
static const char *
name_date(const struct intl_field *f, void *arg)
{
	static const char *const names[UDAT_FIELD_COUNT] = { [UDAT_ERA_FIELD] = "era",
		[UDAT_YEAR_FIELD] = "year", [UDAT_EXTENDED_YEAR_FIELD] = "year",
		[UDAT_YEAR_NAME_FIELD] = "yearName", [UDAT_MONTH_FIELD] = "month",
		[UDAT_STANDALONE_MONTH_FIELD] = "month", [UDAT_DATE_FIELD] = "day",
		[UDAT_HOUR_OF_DAY1_FIELD] = "hour", [UDAT_HOUR_OF_DAY0_FIELD] = "hour",
		[UDAT_HOUR1_FIELD] = "hour", [UDAT_HOUR0_FIELD] = "hour",
		[UDAT_MINUTE_FIELD] = "minute", [UDAT_SECOND_FIELD] = "second",
		[UDAT_FRACTIONAL_SECOND_FIELD] = "fractionalSecond",
		[UDAT_DAY_OF_WEEK_FIELD] = "weekday", [UDAT_DOW_LOCAL_FIELD] = "weekday",
		[UDAT_STANDALONE_DAY_FIELD] = "weekday", [UDAT_AM_PM_FIELD] = "dayPeriod",
		[UDAT_AM_PM_MIDNIGHT_NOON_FIELD] = "dayPeriod",
		[UDAT_FLEXIBLE_DAY_PERIOD_FIELD] = "dayPeriod",
		[UDAT_TIMEZONE_FIELD] = "timeZoneName", [UDAT_TIMEZONE_RFC_FIELD] = "timeZoneName",
		[UDAT_TIMEZONE_GENERIC_FIELD] = "timeZoneName",
		[UDAT_TIMEZONE_SPECIAL_FIELD] = "timeZoneName",
		[UDAT_TIMEZONE_LOCALIZED_GMT_OFFSET_FIELD] = "timeZoneName",
		[UDAT_TIMEZONE_ISO_FIELD] = "timeZoneName",
		[UDAT_TIMEZONE_ISO_LOCAL_FIELD] = "timeZoneName",
		[UDAT_RELATED_YEAR_FIELD] = "relatedYear" };

	(void)arg;
	if (f->category != UFIELD_CATEGORY_DATE || f->field < 0 || f->field >= UDAT_FIELD_COUNT)
		return NULL;
	return names[f->field];
}

/* V8 does so for the sake of those who parse it, but not in parts and ranges. */
static void
plain_spaces(UChar *p, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		if (p[i] == 0x202f)
			p[i] = ' ';
}

/* date(locale, pattern, zone, milliseconds, parts); the pattern may be "=" and the letters of a
 * date style and of a time style, "-" for none: a style can have digits of its own, which its
 * pattern does not show */
static bool
op_date(const struct intl_call *c)
{
	struct intl_entry *e = INTL_OPEN(c, date_class, c->v[0].z, c->v[1].z, c->v[2].z);
	struct intl_fields f = { .span = { { -1, -1 }, { -1, -1 } } };
	struct intl_field  v = { .category = UFIELD_CATEGORY_DATE };
	UErrorCode         code = U_ZERO_ERROR;
	UChar              text[PATTERN_MAX * 2];
	int32_t            n;

	if (!e)
		return false;
	n = udat_formatForFields(
	    e->obj[0], c->v[3].number, text, PATTERN_MAX * 2, e->obj[1], &code);
	if (U_FAILURE(code) || n > PATTERN_MAX * 2)
		return false;
	if (c->v[4].number == 0) {
		plain_spaces(text, n);
		intl_text(c, text, (size_t)n);
		return true;
	}
	f.text = (struct utext16){ text, (size_t)n };
	while ((v.field = ufieldpositer_next(e->obj[1], &v.begin, &v.end)) >= 0)
		vec_push(&f.v, v);
	intl_parts(c, &f, false, name_date, NULL);
	intl_fields_clear(&f);
	return true;
}

/* --- intervals --- */

static bool
interval_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode     code = U_ZERO_ERROR;
	char           id[INTL_ID_MAX];
	struct arena  *a;
	struct utext16 skeleton, zone;

	if (!intl_id(parts[0], id))
		return false;
	a = arena_new();
	skeleton = intl_utf16(a, parts[1]);
	zone = intl_utf16(a, parts[2]);
	e->obj[0] = udtitvfmt_open(
	    id, skeleton.p, (int32_t)skeleton.n, zone.p, (int32_t)zone.n, &code);
	e->obj[1] = udtitvfmt_openResult(&code);
	arena_free(a);
	return U_SUCCESS(code);
}

static void
interval_close(struct intl_entry *e)
{
	if (e->obj[0])
		udtitvfmt_close(e->obj[0]);
	if (e->obj[1])
		udtitvfmt_closeResult(e->obj[1]);
}

static const struct intl_class interval_class = { interval_open, interval_close };

/* dateRange(locale, skeleton, zone, from, to, parts); undefined: both look the same */
static bool
op_range(const struct intl_call *c)
{
	struct intl_entry *e = INTL_OPEN(c, interval_class, c->v[0].z, c->v[1].z, c->v[2].z);
	struct intl_fields f;
	UErrorCode         code = U_ZERO_ERROR;

	if (!e)
		return false;
	udtitvfmt_formatToResult(e->obj[0], c->v[3].number, c->v[4].number, e->obj[1], &code);
	if (U_FAILURE(code) ||
	    !intl_fields_of(udtitvfmt_resultAsValue(e->obj[1], &code),
		UFIELD_CATEGORY_DATE_INTERVAL_SPAN, &f))
		return false;
	if (f.span[0][0] >= 0 && c->v[5].number == 0)
		intl_text(c, f.text.p, f.text.n);
	else if (f.span[0][0] >= 0)
		intl_parts(c, &f, true, name_date, NULL);
	intl_fields_clear(&f);
	return true;
}

/* --- zones --- */

/* The zone's name as the database writes it; NULL: there is no such zone.  Lives until `all` is
 * closed. */
static const char *
zone_name(UEnumeration *all, const char *wanted)
{
	UErrorCode  code = U_ZERO_ERROR;
	const char *z;

	while ((z = uenum_next(all, NULL, &code)) != NULL)
		if (str_eq_nocase(str_z(z), str_z(wanted)) && strcmp(z, "Etc/Unknown") != 0)
			return z;
	return NULL;
}

/* timeZone(name): the canonical name, undefined if there is none */
static bool
op_zone(const struct intl_call *c)
{
	UErrorCode     code = U_ZERO_ERROR;
	UEnumeration  *all = ucal_openTimeZones(&code);
	const char    *name = all ? zone_name(all, c->v[0].z) : NULL;
	UChar          canonical[128];
	UBool          is_system;
	int32_t        n;
	struct utext16 u;

	if (!name) {
		uenum_close(all);
		return U_SUCCESS(code);
	}
	u = intl_utf16(c->arena, name);
	uenum_close(all);
	n = ucal_getCanonicalTimeZoneID(u.p, (int32_t)u.n, canonical, 128, &is_system, &code);
	if (U_SUCCESS(code))
		intl_text(c, canonical, (size_t)n);
	return U_SUCCESS(code);
}

/* calendar(locale): the one that dates are in */
static bool
op_calendar(const struct intl_call *c)
{
	UErrorCode code = U_ZERO_ERROR;
	UCalendar *cal = intl_calendar(c->v[0].z);

	if (!cal)
		return false;
	intl_ascii(c, ucal_getType(cal, &code));
	ucal_close(cal);
	return U_SUCCESS(code);
}

const struct intl_op intl_date_ops[] = {
	{ "datePattern", "ss", op_pattern },
	{ "dateStylePattern", "sss", op_style_pattern },
	{ "dateSkeleton", "u", op_skeleton },
	{ "hourCycle", "s", op_hour_cycle },
	{ "date", "sssnn", op_date },
	{ "dateRange", "sssnnn", op_range },
	{ "timeZone", "s", op_zone },
	{ "calendar", "s", op_calendar },
	{ NULL, NULL, NULL },
};

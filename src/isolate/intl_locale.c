/* intl_locale.c - locales: canonical tags, what is available, preferences of a locale, lists of
 * values.
 *
 * Locales are BCP 47 tags on both sides.  ICU's C functions canonicalise their syntax; the
 * aliases of languages, regions, scripts and variants (UTS 35, annex C) are applied here, from
 * ICU's own table of them.
 *
 * Thread: any.  Memory: the call's arena.
 */
#include <unicode/ucal.h>
#include <unicode/ucol.h>
#include <unicode/ucurr.h>
#include <unicode/uloc.h>
#include <unicode/unumsys.h>
#include <unicode/ures.h>
#include <unicode/ustring.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "isolate/intl_int.h"

/* --- aliases --- */

struct subtags {
	char language[ULOC_LANG_CAPACITY], script[ULOC_SCRIPT_CAPACITY],
	    region[ULOC_COUNTRY_CAPACITY], variants[100];
};

static bool
split(const char *id, struct subtags *ret)
{
	UErrorCode code = U_ZERO_ERROR;

	uloc_getLanguage(id, ret->language, sizeof ret->language, &code);
	uloc_getScript(id, ret->script, sizeof ret->script, &code);
	uloc_getCountry(id, ret->region, sizeof ret->region, &code);
	uloc_getVariant(id, ret->variants, sizeof ret->variants, &code);
	return code == U_ZERO_ERROR;
}

/* The replacement in ICU's alias table of this kind; false: there is none. */
static bool
alias_of(const char *kind, const char *key, char *ret, size_t room)
{
	UErrorCode       code = U_ZERO_ERROR;
	UResourceBundle *r = ures_openDirect(NULL, "metadata", &code);
	const char      *path[] = { "alias", kind, key, "replacement" };
	const UChar     *p = NULL;
	int32_t          n = 0;
	bool             found = false;

	for (size_t i = 0; i < 3; i++)
		r = ures_getByKey(r, path[i], r, &code);
	if (U_SUCCESS(code))
		p = ures_getStringByKey(r, path[3], &n, &code);
	if (U_SUCCESS(code) && (size_t)n < room) {
		u_UCharsToChars(p, ret, n);
		ret[n] = 0;
		found = true;
	}
	ures_close(r);
	return found;
}

static void
set(char *to, size_t room, const char *from)
{
	size_t n = strlen(from);

	n = n < room ? n : room - 1;
	memcpy(to, from, n);
	to[n] = 0;
}
#define SET(member, from) set((member), sizeof(member), (from))

static void
lower_variants(const struct subtags *s, char ret[sizeof s->variants])
{
	size_t i = 0;

	for (; s->variants[i]; i++)
		ret[i] = s->variants[i] >= 'A' && s->variants[i] <= 'Z' ?
		    (char)(s->variants[i] + 'a' - 'A') :
		    s->variants[i];
	ret[i] = 0;
}

/* The replacement of a language may bring a script and a region, for locales that have none. */
static bool
replace_language(struct subtags *s)
{
	char           key[200], to[100], lower[sizeof s->variants];
	struct subtags r;
	bool           whole, variant;

	snprintf(key, sizeof key, "%s_%s", s->language, s->region);
	whole = s->region[0] && alias_of("language", key, to, sizeof to);
	lower_variants(s, lower);
	snprintf(key, sizeof key, "%s_%s", s->language, lower);
	variant = !whole && s->variants[0] && alias_of("language", key, to, sizeof to);
	if (!whole && !variant && !alias_of("language", s->language, to, sizeof to))
		return false;
	if (variant)
		s->variants[0] = 0;
	if (!split(to, &r))
		return false;
	if (strcmp(r.language, s->language) == 0 && !whole)
		return false;
	SET(s->language, r.language);
	if (!s->script[0])
		SET(s->script, r.script);
	if (whole || !s->region[0])
		SET(s->region, r.region);
	return true;
}

/* Of several successors of a region, the one where most speak the language. */
static bool
replace_region(struct subtags *s)
{
	char        to[300], id[64], likely[INTL_ID_MAX], region[ULOC_COUNTRY_CAPACITY];
	UErrorCode  code = U_ZERO_ERROR;
	char       *space;

	if (!s->region[0] || !alias_of("territory", s->region, to, sizeof to))
		return false;
	snprintf(id, sizeof id, "%s%s%s", s->language, s->script[0] ? "_" : "", s->script);
	uloc_addLikelySubtags(id, likely, sizeof likely, &code);
	uloc_getCountry(likely, region, sizeof region, &code);
	if (U_SUCCESS(code) && strstr(to, region) && region[0]) {
		SET(s->region, region);
		return true;
	}
	space = strchr(to, ' ');
	if (space)
		*space = 0;
	SET(s->region, to);
	return true;
}

/* UTS 35: zh-HEPLOC is zh-ALALC97, and the like. */
static bool
replace_variants(struct subtags *s)
{
	char to[sizeof s->variants], lower[sizeof s->variants];

	lower_variants(s, lower);
	if (!lower[0] || !alias_of("variant", lower, to, sizeof to))
		return false;
	SET(s->variants, to);
	return true;
}

static bool
replace_script(struct subtags *s)
{
	char to[100];

	if (!s->script[0] || !alias_of("script", s->script, to, sizeof to))
		return false;
	SET(s->script, to);
	return true;
}

/* Replaces what is deprecated in an ICU id. */
static bool
replace_aliases(const char *id, char ret[INTL_ID_MAX])
{
	struct subtags s;
	const char    *keywords = strchr(id, '@');
	bool           changed = false, again = true;
	int            n;

	if (!split(id, &s))
		return false;
	for (int i = 0; again && i < 8; i++) {
		again = replace_language(&s) || replace_region(&s) || replace_script(&s) ||
		    replace_variants(&s);
		changed = changed || again;
	}
	if (!changed)
		n = snprintf(ret, INTL_ID_MAX, "%s", id);
	else
		n = snprintf(ret, INTL_ID_MAX, "%s%s%s%s%s%s%s%s", s.language,
		    s.script[0] ? "_" : "", s.script, s.region[0] ? "_" : "", s.region,
		    s.variants[0] ? (s.region[0] ? "_" : "__") : "", s.variants,
		    keywords ? keywords : "");
	return n >= 0 && n < INTL_ID_MAX;
}

static bool
put_tag(const struct intl_call *c, const char *id)
{
	UErrorCode code = U_ZERO_ERROR;
	char       tag[INTL_ID_MAX];
	int32_t    n = uloc_toLanguageTag(id, tag, INTL_ID_MAX, true, &code);

	if (U_FAILURE(code) || n >= INTL_ID_MAX)
		return false;
	intl_ascii(c, tag);
	return true;
}

/* canonical(tag): undefined if it is none */
static bool
op_canonical(const struct intl_call *c)
{
	char id[INTL_ID_MAX], real[INTL_ID_MAX];

	if (intl_id(c->v[0].z, id) && replace_aliases(id, real))
		(void)put_tag(c, real);
	return true;
}

/* likely(tag, minimize) */
static bool
op_likely(const struct intl_call *c)
{
	UErrorCode code = U_ZERO_ERROR;
	char       id[INTL_ID_MAX], to[INTL_ID_MAX];
	int32_t    n;

	if (!intl_id(c->v[0].z, id))
		return false;
	n = c->v[1].number != 0 ? uloc_minimizeSubtags(id, to, INTL_ID_MAX, &code) :
				  uloc_addLikelySubtags(id, to, INTL_ID_MAX, &code);
	return U_SUCCESS(code) && n < INTL_ID_MAX && put_tag(c, to);
}

/* --- what is available --- */

/* Named in the table "locales" of the plural rules. */
static bool
has_plurals(const char *id)
{
	UErrorCode       code = U_ZERO_ERROR;
	UResourceBundle *r = ures_openDirect(NULL, "plurals", &code);
	int32_t          n;

	r = ures_getByKey(r, "locales", r, &code);
	if (U_SUCCESS(code))
		ures_getStringByKey(r, id, &n, &code);
	ures_close(r);
	return U_SUCCESS(code);
}

static int
by_name(const void *key, const void *element)
{
	return strcmp(key, *(const char *const *)element);
}

struct names {
	struct arena      *arena;
	VEC(const char *)  v;
};

static int
in_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* zh_Hant_TW is zh_TW as well. */
static void
add_locale(struct names *l, const char *id)
{
	struct subtags s;

	vec_push(&l->v, arena_z(l->arena, str_z(id)));
	if (split(id, &s) && s.script[0] && s.region[0])
		vec_push(&l->v, arena_fmt(l->arena, "%s_%s%c", s.language, s.region, 0).p);
}

static bool
names_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode    code = U_ZERO_ERROR;
	bool          collator = strcmp(parts[0], "collator") == 0;
	UEnumeration *all = collator ?
	    ucol_openAvailableLocales(&code) :
	    uloc_openAvailableByType(ULOC_AVAILABLE_WITH_LEGACY_ALIASES, &code);
	struct names *l = MEM_NEW(struct names);
	const char   *z;

	l->arena = arena_new();
	e->obj[0] = l;
	while (U_SUCCESS(code) && (z = uenum_next(all, NULL, &code)) != NULL)
		add_locale(l, z);
	uenum_close(all);
	qsort(l->v.v, l->v.n, sizeof *l->v.v, in_order);
	return U_SUCCESS(code);
}

static void
names_close(struct intl_entry *e)
{
	struct names *l = e->obj[0];

	vec_clear(&l->v);
	arena_free(l->arena);
	mem_free(l);
}

static const struct intl_class names_class = { names_open, names_close };

/* available(service, tag): 1 or 0; services are "collator", "plural" and "" */
static bool
op_available(const struct intl_call *c)
{
	struct intl_entry *e = INTL_OPEN(c, names_class, c->v[0].z);
	struct names      *l;
	char               id[INTL_ID_MAX];

	if (!e || !intl_id(c->v[1].z, id))
		return false;
	l = e->obj[0];
	intl_number(c, strcmp(c->v[0].z, "plural") == 0 ? has_plurals(id) :
	    bsearch(id, l->v.v, l->v.n, sizeof *l->v.v, by_name) != NULL);
	return true;
}

/* --- lists --- */

/* Each as the BCP 47 value of its key, if it has one. */
static bool
put_values(const struct intl_call *c, UEnumeration *all, const char *key, UErrorCode code)
{
	const char *z;

	intl_list(c);
	while (U_SUCCESS(code) && (z = uenum_next(all, NULL, &code)) != NULL) {
		const char *value = key ? uloc_toUnicodeLocaleType(key, z) : z;

		if (value)
			intl_add_ascii(c, value);
	}
	uenum_close(all);
	return U_SUCCESS(code);
}

/* Digits by a rule (Roman, spelled-out ones) do not count: numbers are not formatted with them. */
static bool
put_numbering_systems(const struct intl_call *c, UErrorCode code)
{
	UEnumeration *all = unumsys_openAvailableNames(&code);
	const char   *z;

	intl_list(c);
	while (U_SUCCESS(code) && (z = uenum_next(all, NULL, &code)) != NULL) {
		UNumberingSystem *system = unumsys_openByName(z, &code);

		if (U_SUCCESS(code) && !unumsys_isAlgorithmic(system))
			intl_add_ascii(c, z);
		unumsys_close(system);
	}
	uenum_close(all);
	return U_SUCCESS(code);
}

/* values(key): those of Intl.supportedValuesOf(), as ICU has them: neither sorted nor without
 * doubles */
static bool
op_values(const struct intl_call *c)
{
	const char *key = c->v[0].z;
	UErrorCode  code = U_ZERO_ERROR;

	switch (key[0] == 'c' ? key[1] : key[0]) {
	case 'a': /* calendar */
		return put_values(c,
		    ucal_getKeywordValuesForLocale("calendar", "und", false, &code), "ca", code);
	case 'o': /* collation */
		return put_values(c, ucol_getKeywordValues("collation", &code), "co", code);
	case 'u': /* currency */
		return put_values(c,
		    ucurr_openISOCurrencies(UCURR_COMMON | UCURR_NON_DEPRECATED, &code), NULL,
		    code);
	case 'n':
		return put_numbering_systems(c, code);
	default:
		return put_values(c,
		    ucal_openTimeZoneIDEnumeration(
			UCAL_ZONE_TYPE_CANONICAL_LOCATION, NULL, NULL, &code),
		    NULL, code);
	}
}

/* preferred(key, tag): what is common in that locale, the usual first */
static bool
op_preferred(const struct intl_call *c)
{
	const char       *key = c->v[0].z;
	char              id[INTL_ID_MAX], region[ULOC_COUNTRY_CAPACITY];
	UErrorCode        code = U_ZERO_ERROR;
	UNumberingSystem *system;

	if (!intl_id(c->v[1].z, id))
		return false;
	switch (key[1]) {
	case 'a':
		return put_values(
		    c, ucal_getKeywordValuesForLocale("calendar", id, true, &code), "ca", code);
	case 'o':
		return put_values(
		    c, ucol_getKeywordValuesForLocale("collation", id, true, &code), "co", code);
	case 'z':
		uloc_getCountry(id, region, sizeof region, &code);
		return put_values(c,
		    ucal_openTimeZoneIDEnumeration(UCAL_ZONE_TYPE_CANONICAL, region, NULL, &code),
		    NULL, code);
	default:
		system = unumsys_open(id, &code);
		intl_list(c);
		if (U_SUCCESS(code))
			intl_add_ascii(c, unumsys_getName(system));
		unumsys_close(system);
		return U_SUCCESS(code);
	}
}

/* currencyDigits(code): 2 for most */
static bool
op_currency_digits(const struct intl_call *c)
{
	UErrorCode     code = U_ZERO_ERROR;
	struct utext16 u = intl_utf16(c->arena, c->v[0].z);

	intl_number(c, ucurr_getDefaultFractionDigits(u.p, &code));
	return U_SUCCESS(code);
}

/* weekInfo(tag): [first day, days of the first week at least, weekend days...], 1 is Monday */
static bool
op_week(const struct intl_call *c)
{
	UErrorCode code = U_ZERO_ERROR;
	UCalendar *cal = intl_calendar(c->v[0].z);

	if (!cal)
		return false;
	intl_list(c);
	intl_add_number(c, (ucal_getAttribute(cal, UCAL_FIRST_DAY_OF_WEEK) + 5) % 7 + 1);
	intl_add_number(c, ucal_getAttribute(cal, UCAL_MINIMAL_DAYS_IN_FIRST_WEEK));
	for (int day = 1; day <= 7; day++)
		if (ucal_getDayOfWeekType(cal, (UCalendarDaysOfWeek)(day % 7 + 1), &code) !=
		    UCAL_WEEKDAY)
			intl_add_number(c, day);
	ucal_close(cal);
	return U_SUCCESS(code);
}

/* rightToLeft(tag) */
static bool
op_rtl(const struct intl_call *c)
{
	char id[INTL_ID_MAX];

	if (!intl_id(c->v[0].z, id))
		return false;
	intl_number(c, uloc_isRightToLeft(id));
	return true;
}

const struct intl_op intl_locale_ops[] = {
	{ "canonical", "s", op_canonical },
	{ "likely", "sn", op_likely },
	{ "available", "ss", op_available },
	{ "values", "s", op_values },
	{ "preferred", "ss", op_preferred },
	{ "currencyDigits", "s", op_currency_digits },
	{ "weekInfo", "s", op_week },
	{ "rightToLeft", "s", op_rtl },
	{ NULL, NULL, NULL },
};

/* intl_number.c - numbers, ranges of numbers and plural categories.
 *
 * A format is a locale and a number skeleton (ICU's notation, made by js/prelude/intlnumber.js);
 * a value is a double or a decimal numeral of any length.
 *
 * Thread: any.  Memory: formatters in the thread's cache.
 */
#include <unicode/unumberformatter.h>
#include <unicode/unumberrangeformatter.h>
#include <unicode/upluralrules.h>
#include <unicode/ustring.h>

#include <math.h>

#include "isolate/intl_int.h"

/* --- formatters --- */

typedef void open_fn(struct intl_entry *e, struct utext16 skeleton, const char *id,
    UErrorCode *code);

static bool
open_with(struct intl_entry *e, const char *const *parts, open_fn *open)
{
	UErrorCode    code = U_ZERO_ERROR;
	char          id[INTL_ID_MAX];
	struct arena *a;

	if (!intl_id(parts[0], id))
		return false;
	a = arena_new();
	open(e, intl_utf16(a, parts[1]), id, &code);
	arena_free(a);
	return U_SUCCESS(code);
}

static void
open_number(struct intl_entry *e, struct utext16 s, const char *id, UErrorCode *code)
{
	e->obj[0] = unumf_openForSkeletonAndLocale(s.p, (int32_t)s.n, id, code);
	e->obj[1] = unumf_openResult(code);
}

static bool
number_open(struct intl_entry *e, const char *const *parts)
{
	return open_with(e, parts, open_number);
}

static void
number_close(struct intl_entry *e)
{
	unumf_close(e->obj[0]);
	unumf_closeResult(e->obj[1]);
}

static const struct intl_class number_class = { number_open, number_close };

static void
open_range(struct intl_entry *e, struct utext16 s, const char *id, UErrorCode *code)
{
	e->obj[0] = unumrf_openForSkeletonWithCollapseAndIdentityFallback(s.p, (int32_t)s.n,
	    UNUM_RANGE_COLLAPSE_AUTO, UNUM_IDENTITY_FALLBACK_APPROXIMATELY, id, NULL, code);
	e->obj[1] = unumrf_openResult(code);
}

static bool
range_open(struct intl_entry *e, const char *const *parts)
{
	return open_with(e, parts, open_range);
}

static void
range_close(struct intl_entry *e)
{
	unumrf_close(e->obj[0]);
	unumrf_closeResult(e->obj[1]);
}

static const struct intl_class range_class = { range_open, range_close };

/* --- fields --- */

struct number_names {
	bool unit, negative, nan, infinite;
};

static const char *
name_number(const struct intl_field *f, void *arg)
{
	static const char *const  names[] = { [UNUM_FRACTION_FIELD] = "fraction",
		 [UNUM_DECIMAL_SEPARATOR_FIELD] = "decimal",
		 [UNUM_EXPONENT_SYMBOL_FIELD] = "exponentSeparator",
		 [UNUM_EXPONENT_SIGN_FIELD] = "exponentMinusSign",
		 [UNUM_EXPONENT_FIELD] = "exponentInteger",
		 [UNUM_GROUPING_SEPARATOR_FIELD] = "group", [UNUM_CURRENCY_FIELD] = "currency",
		 [UNUM_PERMILL_FIELD] = "perMille", [UNUM_MEASURE_UNIT_FIELD] = "unit",
		 [UNUM_COMPACT_FIELD] = "compact",
		 [UNUM_APPROXIMATELY_SIGN_FIELD] = "approximatelySign" };
	const struct number_names *n = arg;

	if (f->category != UFIELD_CATEGORY_NUMBER || f->field < 0 ||
	    (size_t)f->field >= sizeof names / sizeof names[0])
		return NULL;
	if (f->field == UNUM_INTEGER_FIELD)
		return n->nan ? "nan" : n->infinite ? "infinity" : "integer";
	if (f->field == UNUM_PERCENT_FIELD)
		return n->unit ? "unit" : "percentSign";
	if (f->field == UNUM_SIGN_FIELD)
		return n->negative ? "minusSign" : "plusSign";
	return names[f->field];
}

static struct number_names
names_for(const char *skeleton, const struct intl_arg *v)
{
	return (struct number_names){ .unit = str_starts(str_z(skeleton), S("unit/")),
		.negative = v->z ? v->z[0] == '-' : signbit(v->number) != 0,
		.nan = !v->z && isnan(v->number),
		.infinite = !v->z && isinf(v->number) };
}

static bool
put(const struct intl_call *c, const UFormattedValue *value, bool parts, bool sources,
    int32_t span, struct number_names *names)
{
	struct intl_fields f;

	if (!parts) {
		UErrorCode   code = U_ZERO_ERROR;
		int32_t      n = 0;
		const UChar *p = ufmtval_getString(value, &n, &code);

		if (U_SUCCESS(code))
			intl_text(c, p, (size_t)n);
		return U_SUCCESS(code);
	}
	if (!intl_fields_of(value, span, &f))
		return false;
	intl_parts(c, &f, sources, name_number, names);
	intl_fields_clear(&f);
	return true;
}

/* --- operations --- */

/* The length of a numeral is always given: ICU cuts one of length -1 at 34 digits. */

static bool
format(struct intl_entry *e, const struct intl_arg *v)
{
	UErrorCode code = U_ZERO_ERROR;

	if (v->z)
		unumf_formatDecimal(
		    e->obj[0], v->z, (int32_t)strlen(v->z), e->obj[1], &code);
	else
		unumf_formatDouble(e->obj[0], v->number, e->obj[1], &code);
	return U_SUCCESS(code);
}

/* number(locale, skeleton, value, parts) */
static bool
op_number(const struct intl_call *c)
{
	struct intl_entry  *e = INTL_OPEN(c, number_class, c->v[0].z, c->v[1].z);
	struct number_names names = names_for(c->v[1].z, &c->v[2]);
	UErrorCode          code = U_ZERO_ERROR;

	return e && format(e, &c->v[2]) &&
	    put(c, unumf_resultAsValue(e->obj[1], &code), c->v[3].number != 0, false, -1, &names);
}

static bool
format_range(struct intl_entry *e, const struct intl_arg *x, const struct intl_arg *y)
{
	UErrorCode code = U_ZERO_ERROR;

	if (x->z && y->z)
		unumrf_formatDecimalRange(e->obj[0], x->z, (int32_t)strlen(x->z), y->z,
		    (int32_t)strlen(y->z), e->obj[1], &code);
	else
		unumrf_formatDoubleRange(e->obj[0], x->number, y->number, e->obj[1], &code);
	return U_SUCCESS(code);
}

/* numberRange(locale, skeleton, start, end, parts): both values are doubles, or both are not */
static bool
op_range(const struct intl_call *c)
{
	struct intl_entry  *e = INTL_OPEN(c, range_class, c->v[0].z, c->v[1].z);
	struct number_names names = names_for(c->v[1].z, &c->v[2]);
	UErrorCode          code = U_ZERO_ERROR;

	return e && format_range(e, &c->v[2], &c->v[3]) &&
	    put(c, unumrf_resultAsValue(e->obj[1], &code), c->v[4].number != 0, true,
		UFIELD_CATEGORY_NUMBER_RANGE_SPAN, &names);
}

/* --- plural categories --- */

static bool
plural_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode code = U_ZERO_ERROR;
	char       id[INTL_ID_MAX];

	if (!intl_id(parts[0], id))
		return false;
	e->obj[0] = uplrules_openForType(id,
	    strcmp(parts[1], "ordinal") == 0 ? UPLURAL_TYPE_ORDINAL : UPLURAL_TYPE_CARDINAL, &code);
	return U_SUCCESS(code);
}

static void
plural_close(struct intl_entry *e)
{
	uplrules_close(e->obj[0]);
}

static const struct intl_class plural_class = { plural_open, plural_close };

/* plural(locale, type, skeleton, value) */
static bool
op_plural(const struct intl_call *c)
{
	struct intl_entry *rules = INTL_OPEN(c, plural_class, c->v[0].z, c->v[1].z);
	struct intl_entry *number = INTL_OPEN(c, number_class, c->v[0].z, c->v[2].z);
	UErrorCode         code = U_ZERO_ERROR;
	UChar              keyword[32];
	int32_t            n;

	if (!rules || !number || !format(number, &c->v[3]))
		return false;
	n = uplrules_selectFormatted(rules->obj[0], number->obj[1], keyword, 32, &code);
	if (U_SUCCESS(code))
		intl_text(c, keyword, (size_t)n);
	return U_SUCCESS(code);
}

/* pluralRange(locale, type, skeleton, start, end) */
static bool
op_plural_range(const struct intl_call *c)
{
	struct intl_entry *rules = INTL_OPEN(c, plural_class, c->v[0].z, c->v[1].z);
	struct intl_entry *range = INTL_OPEN(c, range_class, c->v[0].z, c->v[2].z);
	UErrorCode         code = U_ZERO_ERROR;
	UChar              keyword[32];
	int32_t            n;

	if (!rules || !range || !format_range(range, &c->v[3], &c->v[4]))
		return false;
	n = uplrules_selectForRange(rules->obj[0], range->obj[1], keyword, 32, &code);
	if (U_SUCCESS(code))
		intl_text(c, keyword, (size_t)n);
	return U_SUCCESS(code);
}

/* pluralCategories(locale, type) */
static bool
op_plural_categories(const struct intl_call *c)
{
	struct intl_entry *rules = INTL_OPEN(c, plural_class, c->v[0].z, c->v[1].z);
	UErrorCode         code = U_ZERO_ERROR;
	UEnumeration      *all = rules ? uplrules_getKeywords(rules->obj[0], &code) : NULL;
	const char        *z;

	if (!all)
		return false;
	intl_list(c);
	while ((z = uenum_next(all, NULL, &code)) != NULL)
		intl_add_ascii(c, z);
	uenum_close(all);
	return U_SUCCESS(code);
}

const struct intl_op intl_number_ops[] = {
	{ "number", "ssvn", op_number },
	{ "numberRange", "ssvvn", op_range },
	{ "plural", "sssv", op_plural },
	{ "pluralRange", "sssvv", op_plural_range },
	{ "pluralCategories", "ss", op_plural_categories },
	{ NULL, NULL, NULL },
};

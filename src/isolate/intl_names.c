/* intl_names.c - names of languages, regions and so on, and relative times.
 *
 * Thread: any.  Memory: name tables and formatters in the thread's cache.
 */
#include <unicode/ucurr.h>
#include <unicode/udatpg.h>
#include <unicode/uldnames.h>
#include <unicode/uloc.h>
#include <unicode/unum.h>
#include <unicode/ureldatefmt.h>
#include <unicode/ustring.h>

#include "base/must.h"
#include "isolate/intl_int.h"

#define NAME_MAX_UNITS 512

/* --- names --- */

/* Options: l(ong) or other; d(ialect) or s(tandard); c(ode) or n(one) */
static bool
names_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode      code = U_ZERO_ERROR;
	char            id[INTL_ID_MAX];
	const char     *o = parts[1];
	UDisplayContext contexts[] = { o[1] == 's' ? UDISPCTX_STANDARD_NAMES :
						     UDISPCTX_DIALECT_NAMES,
		UDISPCTX_CAPITALIZATION_NONE,
		o[0] == 'l' ? UDISPCTX_LENGTH_FULL : UDISPCTX_LENGTH_SHORT,
		o[2] == 'n' ? UDISPCTX_NO_SUBSTITUTE : UDISPCTX_SUBSTITUTE };

	if (!intl_id(parts[0], id))
		return false;
	e->obj[0] = uldn_openForContext(id, contexts, COUNT_OF(contexts), &code);
	return U_SUCCESS(code);
}

static void
names_close(struct intl_entry *e)
{
	uldn_close(e->obj[0]);
}

static const struct intl_class names_class = { names_open, names_close };

/* displayName(locale, options, kind, code): undefined if there is none */
static bool
op_name(const struct intl_call *c)
{
	struct intl_entry *e = INTL_OPEN(c, names_class, c->v[0].z, c->v[1].z);
	const char        *kind = c->v[2].z, *what = c->v[3].z;
	UErrorCode         code = U_ZERO_ERROR;
	UChar              name[NAME_MAX_UNITS];
	char               id[INTL_ID_MAX];
	int32_t            n = 0;

	if (!e)
		return false;
	if (kind[0] == 'r')
		n = uldn_regionDisplayName(e->obj[0], what, name, NAME_MAX_UNITS, &code);
	else if (kind[0] == 's')
		n = uldn_scriptDisplayName(e->obj[0], what, name, NAME_MAX_UNITS, &code);
	else if (kind[0] == 'c')
		n = uldn_keyValueDisplayName(
		    e->obj[0], "calendar", what, name, NAME_MAX_UNITS, &code);
	else if (intl_id(what, id))
		n = uldn_localeDisplayName(e->obj[0], id, name, NAME_MAX_UNITS, &code);
	if (U_SUCCESS(code) && n > 0 && n <= NAME_MAX_UNITS)
		intl_text(c, name, (size_t)n);
	return true;
}

/* currencyName(locale, code): undefined if there is none.  V8's is the long one in every style. */
static bool
op_currency_name(const struct intl_call *c)
{
	UErrorCode     code = U_ZERO_ERROR;
	struct utext16 u = intl_utf16(c->arena, c->v[1].z);
	char           id[INTL_ID_MAX];
	const UChar   *name;
	int32_t        n = 0;

	if (!intl_id(c->v[0].z, id))
		return false;
	name = ucurr_getName(u.p, id, UCURR_LONG_NAME, NULL, &n, &code);
	if (U_SUCCESS(code) && code != U_USING_DEFAULT_WARNING)
		intl_text(c, name, (size_t)n);
	return U_SUCCESS(code);
}

/* fieldName(locale, style, number of the field in udatpg.h) */
static bool
op_field_name(const struct intl_call *c)
{
	UErrorCode                code = U_ZERO_ERROR;
	char                      id[INTL_ID_MAX];
	UDateTimePatternGenerator *g;
	UChar                     name[NAME_MAX_UNITS];
	int32_t                   n;
	UDateTimePGDisplayWidth   width = c->v[1].z[0] == 'l' ? UDATPG_WIDE :
	    c->v[1].z[0] == 's'			      ? UDATPG_ABBREVIATED :
							UDATPG_NARROW;

	if (!intl_id(c->v[0].z, id) ||
	    !(c->v[2].number >= 0 && c->v[2].number < UDATPG_FIELD_COUNT))
		return false;
	g = udatpg_open(id, &code);
	if (U_FAILURE(code))
		return false;
	n = udatpg_getFieldDisplayName(g, (UDateTimePatternField)c->v[2].number, width, name,
	    NAME_MAX_UNITS, &code);
	udatpg_close(g);
	if (U_SUCCESS(code))
		intl_text(c, name, (size_t)n);
	return U_SUCCESS(code);
}

/* --- relative times --- */

static bool
relative_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode     code = U_ZERO_ERROR;
	char           id[INTL_ID_MAX];
	UNumberFormat *numbers;

	if (!intl_id(parts[0], id))
		return false;
	numbers = unum_open(UNUM_DECIMAL, NULL, 0, id, NULL, &code);
	if (U_FAILURE(code))
		return false;
	unum_setAttribute(numbers, UNUM_MINIMUM_GROUPING_DIGITS, -2);
	e->obj[0] = ureldatefmt_open(id, numbers,
	    parts[1][0] == 'l' ? UDAT_STYLE_LONG :
		parts[1][0] == 's' ? UDAT_STYLE_SHORT :
				     UDAT_STYLE_NARROW,
	    UDISPCTX_CAPITALIZATION_NONE, &code);
	e->obj[1] = ureldatefmt_openResult(&code);
	return U_SUCCESS(code);
}

static void
relative_close(struct intl_entry *e)
{
	ureldatefmt_close(e->obj[0]);
	ureldatefmt_closeResult(e->obj[1]);
}

static const struct intl_class relative_class = { relative_open, relative_close };

static const char *
name_relative(const struct intl_field *f, void *arg)
{
	(void)arg;
	if (f->category != UFIELD_CATEGORY_NUMBER)
		return NULL;
	switch (f->field) {
	case UNUM_INTEGER_FIELD:
		return "integer";
	case UNUM_FRACTION_FIELD:
		return "fraction";
	case UNUM_DECIMAL_SEPARATOR_FIELD:
		return "decimal";
	case UNUM_GROUPING_SEPARATOR_FIELD:
		return "group";
	default:
		return NULL;
	}
}

/* relative(locale, style, words, value, number of the unit in ureldatefmt.h, parts) */
static bool
op_relative(const struct intl_call *c)
{
	struct intl_entry    *e = INTL_OPEN(c, relative_class, c->v[0].z, c->v[1].z);
	URelativeDateTimeUnit unit;
	UErrorCode            code = U_ZERO_ERROR;
	struct intl_fields    f;

	if (!e || !(c->v[4].number >= 0 && c->v[4].number <= UDAT_REL_UNIT_SECOND))
		return false;
	unit = (URelativeDateTimeUnit)c->v[4].number;
	if (c->v[2].number != 0)
		ureldatefmt_formatToResult(e->obj[0], c->v[3].number, unit, e->obj[1], &code);
	else
		ureldatefmt_formatNumericToResult(
		    e->obj[0], c->v[3].number, unit, e->obj[1], &code);
	if (U_FAILURE(code) ||
	    !intl_fields_of(ureldatefmt_resultAsValue(e->obj[1], &code), -1, &f))
		return false;
	if (c->v[5].number == 0)
		intl_text(c, f.text.p, f.text.n);
	else
		intl_parts(c, &f, false, name_relative, NULL);
	intl_fields_clear(&f);
	return true;
}

const struct intl_op intl_names_ops[] = {
	{ "displayName", "ssss", op_name },
	{ "currencyName", "ss", op_currency_name },
	{ "fieldName", "ssn", op_field_name },
	{ "relative", "ssnnnn", op_relative },
	{ NULL, NULL, NULL },
};

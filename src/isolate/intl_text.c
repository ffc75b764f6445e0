/* intl_text.c - text: collation, case, lists, segments.
 *
 * Most of what is sorted is ASCII, and localeCompare() is called a hundred thousand times for it:
 * so printable ASCII is compared by a table, in the order of the root collation.  The order is
 * that of CLDR; a test asks ICU for every pair.
 *
 * Thread: any.  Memory: collators, iterators in the thread's cache.
 */
#include <unicode/ubrk.h>
#include <unicode/ucol.h>
#include <unicode/uldnames.h>
#include <unicode/uloc.h>
#include <unicode/ulistformatter.h>
#include <unicode/ustring.h>

#include "isolate/intl_int.h"

/* --- collation --- */

/* Options are four letters: b(ase) a(ccent) c(ase) v(ariant); the others 1, 0 or - for the locale's
 * own: numeric; upper case first (or "l", "f"); ignore punctuation. */
static void
collator_options(UCollator *col, const char *o, UErrorCode *code)
{
	if (o[0] == 'b' || o[0] == 'c')
		ucol_setStrength(col, UCOL_PRIMARY);
	if (o[0] == 'c')
		ucol_setAttribute(col, UCOL_CASE_LEVEL, UCOL_ON, code);
	if (o[0] == 'a')
		ucol_setStrength(col, UCOL_SECONDARY);
	if (o[0] == 'v')
		ucol_setStrength(col, UCOL_TERTIARY);
	if (o[1] != '-')
		ucol_setAttribute(
		    col, UCOL_NUMERIC_COLLATION, o[1] == '1' ? UCOL_ON : UCOL_OFF, code);
	if (o[2] != '-')
		ucol_setAttribute(col, UCOL_CASE_FIRST,
		    o[2] == 'u'	? UCOL_UPPER_FIRST :
			o[2] == 'l' ? UCOL_LOWER_FIRST :
				      UCOL_OFF,
		    code);
	if (o[3] == '1')
		ucol_setAttribute(col, UCOL_ALTERNATE_HANDLING, UCOL_SHIFTED, code);
	ucol_setAttribute(col, UCOL_NORMALIZATION_MODE, UCOL_ON, code);
}

static bool
collator_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode code = U_ZERO_ERROR;
	char       id[INTL_ID_MAX];

	if (!intl_id(parts[0], id) || strlen(parts[1]) != 4)
		return false;
	e->obj[0] = ucol_open(id, &code);
	if (U_SUCCESS(code))
		collator_options(e->obj[0], parts[1], &code);
	return U_SUCCESS(code);
}

static void
collator_close(struct intl_entry *e)
{
	if (e->obj[0])
		ucol_close(e->obj[0]);
}

static const struct intl_class collator_class = { collator_open, collator_close };

/* compare(locale, options, a, b) */
static bool
op_compare(const struct intl_call *c)
{
	struct intl_entry *e = INTL_OPEN(c, collator_class, c->v[0].z, c->v[1].z);

	if (!e)
		return false;
	intl_number(c,
	    ucol_strcoll(e->obj[0], c->v[2].u.p, (int32_t)c->v[2].u.n, c->v[3].u.p,
		(int32_t)c->v[3].u.n));
	return true;
}

/* ignoresPunctuation(locale): its own choice */
static bool
op_ignores(const struct intl_call *c)
{
	UErrorCode         code = U_ZERO_ERROR;
	struct intl_entry *e = INTL_OPEN(c, collator_class, c->v[0].z, "----");

	if (!e)
		return false;
	intl_number(
	    c, ucol_getAttribute(e->obj[0], UCOL_ALTERNATE_HANDLING, &code) == UCOL_SHIFTED);
	return U_SUCCESS(code);
}

/* caseFirst(locale): "upper", "lower" or "false" */
static bool
op_case_first(const struct intl_call *c)
{
	UErrorCode         code = U_ZERO_ERROR;
	struct intl_entry *e = INTL_OPEN(c, collator_class, c->v[0].z, "----");
	UColAttributeValue v;

	if (!e)
		return false;
	v = ucol_getAttribute(e->obj[0], UCOL_CASE_FIRST, &code);
	intl_ascii(c, v == UCOL_UPPER_FIRST ? "upper" : v == UCOL_LOWER_FIRST ? "lower" : "false");
	return U_SUCCESS(code);
}

/* Printable ASCII in the order of primary weights; letters without regard to case. */
static const uint8_t rank[128] = {
#define R(c, n) [c] = n
	R(' ', 1), R('_', 2), R('-', 3), R(',', 4), R(';', 5), R(':', 6), R('!', 7), R('?', 8),
	R('.', 9), R('\'', 10), R('"', 11), R('(', 12), R(')', 13), R('[', 14), R(']', 15),
	R('{', 16), R('}', 17), R('@', 18), R('*', 19), R('/', 20), R('\\', 21), R('&', 22),
	R('#', 23), R('%', 24), R('`', 25), R('^', 26), R('+', 27), R('<', 28), R('=', 29),
	R('>', 30), R('|', 31), R('~', 32), R('$', 33), R('0', 34), R('1', 35), R('2', 36),
	R('3', 37), R('4', 38), R('5', 39), R('6', 40), R('7', 41), R('8', 42), R('9', 43),
#define L(upper, lower, n) [upper] = n, [lower] = n
	L('A', 'a', 44), L('B', 'b', 45), L('C', 'c', 46), L('D', 'd', 47), L('E', 'e', 48),
	L('F', 'f', 49), L('G', 'g', 50), L('H', 'h', 51), L('I', 'i', 52), L('J', 'j', 53),
	L('K', 'k', 54), L('L', 'l', 55), L('M', 'm', 56), L('N', 'n', 57), L('O', 'o', 58),
	L('P', 'p', 59), L('Q', 'q', 60), L('R', 'r', 61), L('S', 's', 62), L('T', 't', 63),
	L('U', 'u', 64), L('V', 'v', 65), L('W', 'w', 66), L('X', 'x', 67), L('Y', 'y', 68),
	L('Z', 'z', 69),
#undef L
#undef R
};

bool
intl_compare_ascii(str a, str b, int *ret)
{
	size_t n = a.n < b.n ? a.n : b.n, i;
	int    primary = 0, tertiary = 0;

	for (i = 0; i < n; i++) {
		uint8_t x = (uint8_t)a.p[i], y = (uint8_t)b.p[i];

		if ((x | y) & 0x80 || !rank[x] || !rank[y])
			return false;
		if (primary == 0)
			primary = (rank[x] > rank[y]) - (rank[x] < rank[y]);
		if (tertiary == 0) /* lower case first */
			tertiary = (x < y) - (x > y);
	}
	for (; i < a.n; i++)
		if (a.p[i] & 0x80 || !rank[(uint8_t)a.p[i]])
			return false;
	for (i = n; i < b.n; i++)
		if (b.p[i] & 0x80 || !rank[(uint8_t)b.p[i]])
			return false;
	*ret = primary ? primary : a.n != b.n ? (a.n > b.n ? 1 : -1) : tertiary;
	return true;
}

int
intl_compare(const char *tag, str a, str b)
{
	UErrorCode         code = U_ZERO_ERROR;
	struct intl_entry *e;
	int                order;

	if (intl_compare_ascii(a, b, &order))
		return order;
	e = intl_open(intl_here(), &collator_class, (const char *const[]){ tag, "v---" }, 2);
	if (!e)
		return str_cmp(a, b);
	order = ucol_strcollUTF8(e->obj[0], a.p, (int32_t)a.n, b.p, (int32_t)b.n, &code);
	return U_SUCCESS(code) ? order : str_cmp(a, b);
}

/* --- case --- */

/* case(locale, upper, text) */
static bool
op_case(const struct intl_call *c)
{
	const struct utext16 *in = &c->v[2].u;
	bool                  upper = c->v[1].number != 0;
	UErrorCode            code = U_ZERO_ERROR;
	int32_t               room = (int32_t)in->n + 16, n;
	UChar                *p;
	char                  id[INTL_ID_MAX];

	if (!intl_id(c->v[0].z, id))
		return false;
	do {
		code = U_ZERO_ERROR;
		p = arena_alloc(c->arena, ((size_t)room + 1) * sizeof *p);
		n = upper ? u_strToUpper(p, room, in->p, (int32_t)in->n, id, &code) :
			    u_strToLower(p, room, in->p, (int32_t)in->n, id, &code);
		room = n;
	} while (code == U_BUFFER_OVERFLOW_ERROR);
	if (U_SUCCESS(code))
		intl_text(c, p, (size_t)n);
	return U_SUCCESS(code);
}

/* --- lists --- */

static bool
list_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode code = U_ZERO_ERROR;
	char       id[INTL_ID_MAX];

	if (!intl_id(parts[0], id))
		return false;
	e->obj[0] = ulistfmt_openForType(id,
	    parts[1][0] == 'c' ? ULISTFMT_TYPE_AND :
		parts[1][0] == 'd' ? ULISTFMT_TYPE_OR :
				     ULISTFMT_TYPE_UNITS,
	    parts[2][0] == 'l' ? ULISTFMT_WIDTH_WIDE :
		parts[2][0] == 's' ? ULISTFMT_WIDTH_SHORT :
				     ULISTFMT_WIDTH_NARROW,
	    &code);
	e->obj[1] = ulistfmt_openResult(&code);
	return U_SUCCESS(code);
}

static void
list_close(struct intl_entry *e)
{
	ulistfmt_close(e->obj[0]);
	ulistfmt_closeResult(e->obj[1]);
}

static const struct intl_class list_class = { list_open, list_close };

static const char *
name_list(const struct intl_field *f, void *arg)
{
	(void)arg;
	return f->category == UFIELD_CATEGORY_LIST && f->field == ULISTFMT_ELEMENT_FIELD ?
	    "element" :
	    NULL;
}

static bool
format_list(const struct intl_call *c, struct intl_entry *e)
{
	const struct intl_arg *v = &c->v[3];
	const UChar          **p = ARENA_ARRAY(c->arena, const UChar *, v->nlist + 1);
	int32_t               *n = ARENA_ARRAY(c->arena, int32_t, v->nlist + 1);
	UErrorCode             code = U_ZERO_ERROR;

	for (size_t i = 0; i < v->nlist; i++) {
		p[i] = v->list[i].p;
		n[i] = (int32_t)v->list[i].n;
	}
	ulistfmt_formatStringsToResult(e->obj[0], p, n, (int32_t)v->nlist, e->obj[1], &code);
	return U_SUCCESS(code);
}

/* list(locale, type, style, strings, parts) */
static bool
op_list(const struct intl_call *c)
{
	struct intl_entry  *e = INTL_OPEN(c, list_class, c->v[0].z, c->v[1].z, c->v[2].z);
	UErrorCode          code = U_ZERO_ERROR;
	struct intl_fields  f;

	if (!e || !format_list(c, e) ||
	    !intl_fields_of(ulistfmt_resultAsValue(e->obj[1], &code),
		UFIELD_CATEGORY_LIST_SPAN, &f))
		return false;
	if (c->v[4].number == 0)
		intl_text(c, f.text.p, f.text.n);
	else
		intl_parts(c, &f, false, name_list, NULL);
	intl_fields_clear(&f);
	return true;
}

/* --- segments --- */

static bool
break_open(struct intl_entry *e, const char *const *parts)
{
	UErrorCode         code = U_ZERO_ERROR;
	char               id[INTL_ID_MAX];
	UBreakIteratorType type = parts[1][0] == 'w' ? UBRK_WORD :
	    parts[1][0] == 's'			     ? UBRK_SENTENCE :
						       UBRK_CHARACTER;

	if (!intl_id(parts[0], id))
		return false;
	e->obj[0] = ubrk_open(type, id, NULL, 0, &code);
	return U_SUCCESS(code);
}

static void
break_close(struct intl_entry *e)
{
	if (e->obj[0])
		ubrk_close(e->obj[0]);
}

static const struct intl_class break_class = { break_open, break_close };

/* segments(locale, granularity, text): for each segment its end, times two, and one if it is like
 * a word */
static bool
op_segments(const struct intl_call *c)
{
	static const UChar empty[1];
	struct intl_entry *e = INTL_OPEN(c, break_class, c->v[0].z, c->v[1].z);
	UErrorCode         code = U_ZERO_ERROR;
	int32_t            end;

	if (!e)
		return false;
	ubrk_setText(e->obj[0], c->v[2].u.p, (int32_t)c->v[2].u.n, &code);
	if (U_FAILURE(code))
		return false;
	intl_list(c);
	ubrk_first(e->obj[0]);
	while ((end = ubrk_next(e->obj[0])) != UBRK_DONE)
		intl_add_number(c,
		    2.0 * end + (ubrk_getRuleStatus(e->obj[0]) >= UBRK_WORD_NONE_LIMIT ? 1 : 0));
	ubrk_setText(e->obj[0], empty, 0, &code); /* not ours any longer */
	return true;
}

const struct intl_op intl_text_ops[] = {
	{ "compare", "ssuu", op_compare },
	{ "ignoresPunctuation", "s", op_ignores },
	{ "caseFirst", "s", op_case_first },
	{ "case", "snu", op_case },
	{ "list", "sssln", op_list },
	{ "segments", "ssu", op_segments },
	{ NULL, NULL, NULL },
};

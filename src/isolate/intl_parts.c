/* intl_parts.c - the fields that ICU finds in formatted text, and the parts that JavaScript calls
 * them.
 *
 * ICU's fields nest (the group separators of an integer lie within it) and leave gaps;
 * JavaScript's parts are a partition.  Each unit belongs to the shortest field around it; units
 * of the same field next to each other are one part.
 *
 * Thread: any.  Memory: fields on the heap for the call, parts in the call's arena.
 */
#include <stdlib.h>

#include "isolate/intl_int.h"

bool
intl_fields_of(const UFormattedValue *value, int32_t span_category, struct intl_fields *ret)
{
	UErrorCode                 code = U_ZERO_ERROR;
	UConstrainedFieldPosition *at = ucfpos_open(&code);
	struct intl_fields         f = { .span = { { -1, -1 }, { -1, -1 } } };
	int32_t                    n = 0;

	f.text.p = ufmtval_getString(value, &n, &code);
	f.text.n = (size_t)n;
	while (U_SUCCESS(code) && ufmtval_nextPosition(value, at, &code)) {
		struct intl_field v = { .category = ucfpos_getCategory(at, &code),
			.field = ucfpos_getField(at, &code) };

		ucfpos_getIndexes(at, &v.begin, &v.end, &code);
		if (v.category == span_category && (v.field == 0 || v.field == 1)) {
			f.span[v.field][0] = v.begin;
			f.span[v.field][1] = v.end;
		} else if (v.category != span_category) {
			vec_push(&f.v, v);
		}
	}
	ucfpos_close(at);
	if (U_FAILURE(code)) {
		intl_fields_clear(&f);
		return false;
	}
	*ret = f;
	return true;
}

void
intl_fields_clear(struct intl_fields *f)
{
	vec_clear(&f->v);
}

/* Longest first, so that shorter ones are painted over them; an earlier one before a later one. */
static int
by_length(const void *a, const void *b)
{
	const struct intl_field *x = a, *y = b;
	int32_t                  nx = x->end - x->begin, ny = y->end - y->begin;

	return nx != ny ? (nx < ny) - (nx > ny) : (x->begin > y->begin) - (x->begin < y->begin);
}

static const char *
source_of(const struct intl_fields *f, int32_t begin, int32_t end)
{
	for (int i = 0; i < 2; i++)
		if (f->span[i][0] >= 0 && begin >= f->span[i][0] && end <= f->span[i][1])
			return i == 0 ? "startRange" : "endRange";
	return "shared";
}

/* True if a part may not go across `at`: a border of the range's start or end. */
static bool
is_border(const struct intl_fields *f, int32_t at)
{
	for (int i = 0; i < 2; i++)
		if (f->span[i][0] >= 0 && (at == f->span[i][0] || at == f->span[i][1]))
			return true;
	return false;
}

/* owner[i]: 1 + the number of the field that unit i belongs to; 0: of none. */
static void
paint(struct intl_fields *f, int32_t *owner, intl_namer *name, void *arg)
{
	if (f->v.n > 0)
		qsort(f->v.v, f->v.n, sizeof *f->v.v, by_length);
	for (size_t k = 0; k < f->v.n; k++)
		if (name(&f->v.v[k], arg))
			for (int32_t i = f->v.v[k].begin; i < f->v.v[k].end; i++)
				owner[i] = (int32_t)k + 1;
}

void
intl_parts(const struct intl_call *c, struct intl_fields *f, bool sources, intl_namer *name,
    void *arg)
{
	int32_t  n = (int32_t)f->text.n, begin = 0;
	int32_t *owner = ARENA_ARRAY(c->arena, int32_t, n + 1);

	paint(f, owner, name, arg);
	intl_list(c);
	for (int32_t i = 1; i <= n; i++) {
		if (i < n && owner[i] == owner[begin] && !(sources && is_border(f, i)))
			continue;
		intl_add_z(c, owner[begin] ? name(&f->v.v[owner[begin] - 1], arg) : "literal");
		intl_add_text(c, f->text.p + begin, (size_t)(i - begin));
		if (sources)
			intl_add_z(c, source_of(f, begin, i));
		begin = i;
	}
}

/* isolate_intl_fuzz.c - the operations over ICU, with tags, skeletons and texts of any kind.
 *
 * The first byte chooses the operation; arguments follow, each ended by a zero byte.
 */
#include <stdlib.h>

#include "isolate/intl_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static str
next_arg(str *in)
{
	size_t at;
	str    ret = str_find_char(*in, 0, &at) ? str_head(*in, at) : *in;

	*in = str_from(*in, ret.n + 1);
	return ret;
}

static void
set_arg(struct intl_arg *v, char type, str s, struct arena *a)
{
	const char *z = arena_z(a, s);

	v->number = strtod(z, NULL);
	v->u = intl_utf16(a, z);
	v->list = ARENA_ARRAY(a, struct utext16, 2);
	v->list[0] = v->list[1] = v->u;
	v->nlist = s.n % 3;
	v->z = type == 's' || (type == 'v' && s.n % 2) ? z : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct intl_op *const tables[] = { intl_number_ops, intl_date_ops,
		intl_locale_ops, intl_text_ops, intl_names_ops };
	struct intl_call      c = intl_begin();
	struct intl_arg       v[INTL_ARGS_MAX] = { 0 };
	const struct intl_op *op;
	size_t                n = 0;
	str                   in;

	if (size == 0)
		return 0;
	in = str_of(data + 1, size - 1);
	op = tables[data[0] % 5];
	while (op[n].name)
		n++;
	op += data[0] / 5 % n;
	for (size_t i = 0; op->args[i]; i++)
		set_arg(&v[i], op->args[i], next_arg(&in), c.arena);
	c.v = v;
	(void)op->fn(&c);
	return 0;
}

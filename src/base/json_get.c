/* json_get.c - looking into a JSON tree.
 *
 * Thread: any.  Memory: results borrow from the tree.
 */
#include "base/json.h"

const struct json *
json_get(const struct json *j, const char *key)
{
	str name = str_z(key);

	if (!j || j->kind != JSON_OBJECT)
		return NULL;
	for (size_t i = 0; i < j->n; i++)
		if (str_eq(j->keys[i], name))
			return &j->items[i];
	return NULL;
}

static const struct json *
get_kind(const struct json *j, const char *key, enum json_kind kind)
{
	const struct json *m = json_get(j, key);

	return m && m->kind == kind ? m : NULL;
}

bool
json_get_str(const struct json *j, const char *key, str *ret)
{
	const struct json *m = get_kind(j, key, JSON_STRING);

	if (m)
		*ret = m->string;
	return m;
}

bool
json_get_bool(const struct json *j, const char *key, bool *ret)
{
	const struct json *m = get_kind(j, key, JSON_BOOL);

	if (m)
		*ret = m->boolean;
	return m;
}

bool
json_get_num(const struct json *j, const char *key, double *ret)
{
	const struct json *m = get_kind(j, key, JSON_NUMBER);

	if (m)
		*ret = m->number;
	return m;
}

bool
json_get_u32(const struct json *j, const char *key, uint32_t *ret)
{
	double d;

	if (!json_get_num(j, key, &d) || !(d >= 0 && d <= UINT32_MAX) || d != (double)(uint32_t)d)
		return false;
	*ret = (uint32_t)d;
	return true;
}

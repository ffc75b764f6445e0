/* handle.c - see handle.h.
 *
 * Thread: any.  Memory: the given arena.
 */
#include "functions/handle.h"

#include "database/catalog.h"
#include "value/pack.h"

#define PREFIX S("function://")

static status
not_found(struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, "FunctionHandleNotFound", "Function handle not found");
}

static bool
is_live(const struct doc *d)
{
	return d && val_kind(val_get(doc_val(d), S("deletedTs"))) == VAL_NULL;
}

status
handle_create(struct txn *t, str path, struct arena *a, str *ret, struct err *e)
{
	const struct val key[] = { val_null, val_of_str(a, path) };
	struct doc *d = NULL;
	char id[ID_TEXT_MAX];

	TRY(txn_sys_first(t, HANDLE_TABLE, HANDLE_INDEX, key, COUNT_OF(key), &d, e));
	if (!is_live(d))
		return not_found(e);
	(void)id_format(d->id, id);
	*ret = arena_fmt(a, "%.*s%s", STR_ARG(PREFIX), id);
	return ST_OK;
}

status
handle_resolve(struct txn *t, str handle, struct arena *a, str *ret_path, struct err *e)
{
	struct doc *d = NULL;
	struct docid id;
	struct val path;

	if (!str_starts(handle, PREFIX) ||
	    id_parse(str_from(handle, PREFIX.n), &id, NULL) != ST_OK ||
	    id.table != TABLE_NO_FUNCTION_HANDLES)
		return not_found(e);
	TRY(txn_sys_get(t, id, &d, e));
	if (!is_live(d))
		return not_found(e);
	path = val_get(doc_val(d), S("path"));
	if (val_kind(path) != VAL_STRING)
		return not_found(e);
	*ret_path = arena_str(a, val_str(path));
	return ST_OK;
}

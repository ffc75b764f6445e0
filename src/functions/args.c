/* args.c - arguments and results: decoding, sizes, validators (spec 04 sections 2.3, 2.4).
 *
 * Thread: the worker's.  Memory: the caller's arena.
 */
#include <stdio.h>

#include "base/json.h"
#include "functions/functions_int.h"

const char *
size_text(char room[32], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	uint64_t                 unit = 1;
	size_t                   i = 0;

	while (bytes / unit >= 1024 && i + 1 < COUNT_OF(units)) {
		unit *= 1024;
		i++;
	}
	if (bytes % unit == 0)
		snprintf(room, 32, "%llu %s", (unsigned long long)(bytes / unit), units[i]);
	else
		snprintf(room, 32, "%.2f %s", (double)bytes / (double)unit, units[i]);
	return room;
}

static status
args_read(struct pack *p, const struct json *j, struct err *e)
{
	if (j->kind == JSON_ARRAY)
		return vjson_read(p, j, VJSON_PLAIN, e);
	pack_array(p);
	TRY(vjson_read(p, j, VJSON_PLAIN, e));
	pack_end(p);
	return ST_OK;
}

status
args_parse(struct fn_worker *w, struct arena *a, str path, str json, struct val *ret, struct err *e)
{
	struct json *j;
	status       st = json_parse(a, json, &j, e);

	pack_reset(&w->pack);
	if (st == ST_OK)
		st = args_read(&w->pack, j, e);
	if (st == ST_OK)
		st = pack_done_in(&w->pack, a, ret, e);
	if (st == ST_BAD_REQUEST)
		err_prefix(e, "Invalid arguments for %.*s: ", STR_ARG(path));
	return st;
}

/* A function with an `args` validator takes exactly one object. */
static status
single_object_check(struct val args, struct err *e)
{
	struct buf text;
	size_t     n = val_count(args);
	status     st;

	if (n == 1 && val_kind(val_at(args, 0)) == VAL_OBJECT)
		return ST_OK;
	buf_init(&text, BUF_MAX_DEFAULT);
	if (n == 1) {
		val_print(&text, val_at(args, 0));
		st = err_set(e, ST_BAD_REQUEST, "InvalidArgs",
		    "Expected to receive an object as the function's argument. Instead received: "
		    "%.*s",
		    STR_ARG(buf_str(&text)));
	} else {
		val_print(&text, args);
		st = err_set(e, ST_BAD_REQUEST, "InvalidArgs",
		    "Expected to receive a single object as the function's argument. Instead "
		    "received %zu arguments: %.*s",
		    n, STR_ARG(buf_str(&text)));
	}
	buf_clear(&text);
	return st;
}

status
args_check(const struct target *g, struct txn *t, struct val args, struct err *e)
{
	struct uid         component = txn_component(t);
	struct table_names names = catalog_table_names(txn_catalog(t), &component);
	size_t             bytes = val_size(args);
	char               room[32];
	status             st = ST_OK;

	if (bytes > ARGS_MAX_BYTES)
		return err_set(e, ST_BAD_REQUEST, "ArgsTooLarge",
		    "Arguments for %.*s are too large (actual: %s, limit: 16 MiB)",
		    STR_ARG(g->path), size_text(room, bytes));
	if (g->native || g->udf->args)
		st = single_object_check(args, e);
	if (st == ST_OK && g->udf && g->udf->args)
		st = validator_check(g->udf->args, val_at(args, 0), &names, e);
	if (st == ST_BAD_REQUEST)
		err_prefix(e, "ArgumentValidationError: ");
	return st;
}

status
returns_check(const struct target *g, struct txn *t, struct val value, struct err *e)
{
	struct uid         component = txn_component(t);
	struct table_names names = catalog_table_names(txn_catalog(t), &component);
	status             st;

	if (!g->udf || !g->udf->returns)
		return ST_OK;
	st = validator_check(g->udf->returns, value, &names, e);
	if (st == ST_BAD_REQUEST)
		err_prefix(e, "ReturnsValidationError: ");
	return st;
}

bool
val_has_commit_ts(struct val v)
{
	size_t n;

	switch (val_kind(v)) {
	case VAL_COMMIT_TS:
		return true;
	case VAL_ARRAY:
		n = val_count(v);
		for (size_t i = 0; i < n; i++)
			if (val_has_commit_ts(val_at(v, i)))
				return true;
		return false;
	case VAL_OBJECT:
		n = val_count(v);
		for (size_t i = 0; i < n; i++) {
			str name;

			if (val_has_commit_ts(val_field_at(v, i, &name)))
				return true;
		}
		return false;
	default:
		return false;
	}
}

status
value_check(const struct target *g, struct val value, bool nested, struct err *e)
{
	size_t limit = g->system ? SYSTEM_RESULT_MAX_BYTES : RESULT_MAX_BYTES;
	size_t bytes = val_size(value);
	char   actual[32], max[32];

	if (bytes > limit)
		return err_set(e, ST_BAD_REQUEST, "FunctionReturnTooLarge",
		    "Function %.*s return value is too large (actual: %s, limit: %s)",
		    STR_ARG(g->path), size_text(actual, bytes), size_text(max, limit));
	if (g->kind == UDF_QUERY && !nested && val_has_commit_ts(value))
		return err_set(e, ST_BAD_REQUEST, "FunctionReturnInvalid",
		    "Function %.*s return value invalid: queries cannot return an unresolved "
		    "commit timestamp",
		    STR_ARG(g->path));
	return ST_OK;
}

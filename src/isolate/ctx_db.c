/* ctx_db.c - ctx.db: documents by id, writes, and the way to queries.
 *
 * The npm package's database_impl.ts in C: the same members in the same order, the same checks
 * in the same order.  Asynchronous members are performed when they are called (jobs.c).
 *
 * Thread: the isolate's.
 */
#include "isolate/ctx_int.h"

enum { USER, SYSTEM }; /* magic: which face of db */

/* --- documents --- */

static const char *
type_of(JSContext *ctx, JSValueConst v)
{
	switch (JS_VALUE_GET_NORM_TAG(v)) {
	case JS_TAG_INT:
	case JS_TAG_FLOAT64:
		return "number";
	case JS_TAG_BOOL:
		return "boolean";
	case JS_TAG_UNDEFINED:
		return "undefined";
	case JS_TAG_BIG_INT:
	case JS_TAG_SHORT_BIG_INT:
		return "bigint";
	case JS_TAG_SYMBOL:
		return "symbol";
	default:
		return JS_IsFunction(ctx, v) ? "function" : JS_IsString(v) ? "string" : "object";
	}
}

static JSValue
bad_get_id(JSContext *ctx, JSValueConst id)
{
	const char *text = JS_ToCString(ctx, id);

	if (!text)
		return JS_EXCEPTION;
	js_throw_fmt(ctx, JSE_ERROR,
	    "Invalid argument `id` for `db.get`, expected string but got '%s': %s",
	    type_of(ctx, id), text);
	JS_FreeCString(ctx, text);
	return JS_EXCEPTION;
}

static bool
table_arg(JSContext *ctx, JSValueConst table, const char *method, str *ret)
{
	*ret = STR_EMPTY;
	return JS_IsUndefined(table) || ctx_arg_str(ctx, table, "table", method, ret);
}

static JSValue
get_document(JSContext *ctx, JSValueConst table, JSValueConst id, bool is_system)
{
	struct run *r = ctx_run(ctx);
	struct err  e;
	struct doc *d;
	str         table_name, id_text;

	if (!r || !js_arg_given(ctx, id, 1, "get", "id"))
		return JS_EXCEPTION;
	if (!JS_IsString(id))
		return bad_get_id(ctx, id);
	if (!ctx_arg_str(ctx, id, "id", "db.get", &id_text) ||
	    !table_arg(ctx, table, "db.get", &table_name))
		return JS_EXCEPTION;
	e = err_in(r->arena);
	if (op_get(engine_of(ctx), table_name, id_text, is_system, &d, &e) != ST_OK)
		return ctx_throw_err(ctx, &e);
	return d ? js_from_val(ctx, doc_val(d)) : JS_NULL;
}

/* table.startsWith("_"): 1, 0, or -1 with the exception of whatever `table` is.  The text of a
 * string goes to *ret. */
static int
names_system_table(JSContext *ctx, JSValueConst table, const char *method, str *ret)
{
	JSValue prefix, answer;

	if (JS_IsString(table))
		return ctx_arg_str(ctx, table, "table", method, ret) ? str_starts(*ret, S("_"))
								     : -1;
	prefix = JS_NewString(ctx, "_");
	answer = ctx_invoke(ctx, table, str_eq(str_z(method), S("query")) ? "this.tableName" :
	    "tableName", "startsWith", 1, &prefix);
	JS_FreeValue(ctx, prefix);
	if (!JS_IsException(answer))
		js_throw_fmt(
		    ctx, JSE_ERROR, "Invalid argument `table` for `%s`: expected a string", method);
	JS_FreeValue(ctx, answer);
	return -1;
}

static JSValue
insert_document(JSContext *ctx, JSValueConst table, JSValueConst value)
{
	struct run  *r = ctx_run(ctx);
	struct err   e;
	struct val   v;
	struct docid id;
	str          name;
	char         text[ID_TEXT_MAX];
	int          system;

	if (!r)
		return JS_EXCEPTION;
	system = names_system_table(ctx, table, "db.insert", &name);
	if (system < 0)
		return JS_EXCEPTION;
	if (system)
		return js_throw_text(ctx, JSE_ERROR,
		    S("System tables (prefixed with `_`) are read-only."));
	if (!js_arg_given(ctx, value, 2, "insert", "value") ||
	    !js_to_val_arg(ctx, value, TO_VAL, "value", "db.insert", r->arena, &v))
		return JS_EXCEPTION;
	e = err_in(r->arena);
	if (op_insert(engine_of(ctx), name, v, &id, &e) != ST_OK)
		return ctx_throw_err(ctx, &e);
	return JS_NewStringLen(ctx, text, id_format(id, text));
}

static JSValue
update_document(JSContext *ctx, JSValueConst table, JSValueConst id, JSValueConst value, bool patch)
{
	const char *method = patch ? "db.patch" : "db.replace";
	struct run *r = ctx_run(ctx);
	struct err  e;
	struct val  v;
	struct doc *d;
	str         table_name, id_text;

	if (!r || !js_arg_given(ctx, id, 1, patch ? "patch" : "replace", "id") ||
	    !js_arg_given(ctx, value, 2, patch ? "patch" : "replace", "value") ||
	    !ctx_arg_str(ctx, id, "id", method, &id_text) ||
	    !js_to_val_arg(
		ctx, value, patch ? TO_VAL_PATCH : TO_VAL, "value", method, r->arena, &v) ||
	    !table_arg(ctx, table, method, &table_name))
		return JS_EXCEPTION;
	e = err_in(r->arena);
	if (op_update(engine_of(ctx), patch ? txn_patch : txn_replace, table_name, id_text, v, &d,
		&e) != ST_OK)
		return ctx_throw_err(ctx, &e);
	return JS_UNDEFINED;
}

static JSValue
delete_document(JSContext *ctx, JSValueConst table, JSValueConst id)
{
	struct run *r = ctx_run(ctx);
	struct err  e;
	struct doc *old;
	str         table_name, id_text;

	if (!r || !js_arg_given(ctx, id, 1, "delete", "id") ||
	    !ctx_arg_str(ctx, id, "id", "db.delete", &id_text) ||
	    !table_arg(ctx, table, "db.delete", &table_name))
		return JS_EXCEPTION;
	e = err_in(r->arena);
	if (op_delete(engine_of(ctx), table_name, id_text, &old, &e) != ST_OK)
		return ctx_throw_err(ctx, &e);
	return JS_UNDEFINED;
}

/* --- db.get(id), db.get(table, id), ... --- */

static JSValue
db_get(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	JSValueConst a0 = js_arg(argc, argv, 0), a1 = js_arg(argc, argv, 1);

	(void)this_val;
	return js_promise_of_read(ctx, JS_IsUndefined(a1) ?
	    get_document(ctx, JS_UNDEFINED, a0, magic) : get_document(ctx, a0, a1, magic));
}

static JSValue
db_insert(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	(void)this_val, (void)magic;
	return js_promise_of(ctx,
	    insert_document(ctx, js_arg(argc, argv, 0), js_arg(argc, argv, 1)));
}

static JSValue
db_update(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	JSValueConst a0 = js_arg(argc, argv, 0), a1 = js_arg(argc, argv, 1);
	JSValueConst a2 = js_arg(argc, argv, 2);

	(void)this_val;
	return js_promise_of(ctx, JS_IsUndefined(a2) ?
	    update_document(ctx, JS_UNDEFINED, a0, a1, magic) :
	    update_document(ctx, a0, a1, a2, magic));
}

static JSValue
db_delete(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	JSValueConst a0 = js_arg(argc, argv, 0), a1 = js_arg(argc, argv, 1);

	(void)this_val, (void)magic;
	return js_promise_of(ctx, JS_IsUndefined(a1) ? delete_document(ctx, JS_UNDEFINED, a0) :
	    delete_document(ctx, a0, a1));
}

/* --- tables --- */

/* The guard of db.query() and db.normalizeId(): which face a table belongs to. */
static bool
check_face(JSContext *ctx, JSValueConst table, bool is_system, const char *method, str *ret)
{
	int system = names_system_table(ctx, table, method, ret);

	if (system < 0 || (bool)system == is_system)
		return system >= 0;
	js_throw_fmt(ctx, JSE_ERROR, "%s tables can only be accessed from db.%s%s().",
	    is_system ? "User" : "System", is_system ? "" : "system.", method);
	return false;
}

static JSValue
db_query(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	JSValueConst table = js_arg(argc, argv, 0);
	str          name;

	(void)this_val;
	if (!ctx_run(ctx) || !check_face(ctx, table, magic, "query", &name))
		return JS_EXCEPTION;
	return ctx_initializer_new(ctx, table);
}

static JSValue
db_normalize_id(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	JSValueConst table = js_arg(argc, argv, 0), id = js_arg(argc, argv, 1);
	struct run  *r = ctx_run(ctx);
	struct err   e;
	str          name, id_text;
	char         text[ID_TEXT_MAX];
	bool         found;

	(void)this_val;
	if (!r || !js_arg_given(ctx, table, 1, "normalizeId", "tableName") ||
	    !js_arg_given(ctx, id, 2, "normalizeId", "id") ||
	    !check_face(ctx, table, magic, "normalizeId", &name) ||
	    !ctx_arg_str(ctx, id, "idString", "db.normalizeId", &id_text))
		return JS_EXCEPTION;
	e = err_in(r->arena);
	if (txn_normalize_id(r->txn, name, id_text, &found, text, &e) != ST_OK)
		return js_throw_err(ctx, &e);
	return found ? JS_NewString(ctx, text) : JS_NULL;
}

/* new TableReader(name, isSystem) or TableWriter. */
static JSValue
db_table(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	bool              writer = magic == SYSTEM + 1;
	JSValue           table = JS_NewObjectProto(ctx,
	    writer ? cx->table_writer_proto : cx->table_reader_proto);

	(void)this_val;
	if (JS_IsException(table) ||
	    !js_put(ctx, table, cx->atoms.tableName, JS_DupValue(ctx, js_arg(argc, argv, 0))) ||
	    !js_put(ctx, table, cx->atoms.isSystem, JS_NewBool(ctx, magic == SYSTEM))) {
		JS_FreeValue(ctx, table);
		return JS_EXCEPTION;
	}
	return table;
}

enum { TABLE_GET, TABLE_INSERT, TABLE_PATCH, TABLE_REPLACE, TABLE_DELETE };

static JSValue
table_do(JSContext *ctx, JSValueConst name, JSValueConst this_val, int argc, JSValueConst *argv,
    int op)
{
	JSValueConst a0 = js_arg(argc, argv, 0), a1 = js_arg(argc, argv, 1);
	JSValue      is_system;
	bool         system;

	switch (op) {
	case TABLE_GET:
		is_system = JS_GetProperty(ctx, this_val, engine_of(ctx)->cx->atoms.isSystem);
		system = JS_ToBool(ctx, is_system) > 0;
		JS_FreeValue(ctx, is_system);
		return get_document(ctx, name, a0, system);
	case TABLE_INSERT:
		return insert_document(ctx, name, a0);
	case TABLE_PATCH:
	case TABLE_REPLACE:
		return update_document(ctx, name, a0, a1, op == TABLE_PATCH);
	default:
		return delete_document(ctx, name, a0);
	}
}

static JSValue
table_method(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	JSValue name = JS_GetProperty(ctx, this_val, engine_of(ctx)->cx->atoms.tableName), ret;

	ret = JS_IsException(name) ? name : table_do(ctx, name, this_val, argc, argv, magic);
	JS_FreeValue(ctx, name);
	return magic == TABLE_GET ? js_promise_of_read(ctx, ret) : js_promise_of(ctx, ret);
}

static JSValue
table_query(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           name = JS_GetProperty(ctx, this_val, cx->atoms.tableName), system, ret;

	(void)argc, (void)argv, (void)magic;
	if (JS_IsException(name))
		return name;
	system = JS_GetProperty(ctx, this_val, cx->atoms.isSystem);
	ret = JS_IsException(system) ? system :
	    db_query(ctx, JS_UNDEFINED, 1, &name, JS_ToBool(ctx, system) > 0);
	JS_FreeValue(ctx, system);
	JS_FreeValue(ctx, name);
	return ret;
}

/* --- set-up --- */

bool
ctx_db_install(struct engine *en)
{
	static const struct method reader[] = {
		{ "get", 1, table_method, TABLE_GET },
		{ "query", 0, table_query, 0 },
	};
	static const struct method writer[] = {
		{ "insert", 1, table_method, TABLE_INSERT },
		{ "patch", 2, table_method, TABLE_PATCH },
		{ "replace", 2, table_method, TABLE_REPLACE },
		{ "delete", 1, table_method, TABLE_DELETE },
	};
	struct ctx_state *cx = en->cx;

	cx->table_reader_proto = JS_NewObject(en->ctx);
	cx->table_writer_proto = JS_NewObjectProto(en->ctx, cx->table_reader_proto);
	return js_methods(en->ctx, cx->table_reader_proto, reader, COUNT_OF(reader), false) &&
	    js_methods(en->ctx, cx->table_writer_proto, writer, COUNT_OF(writer), false);
}

static JSValue
system_face(JSContext *ctx)
{
	static const struct method methods[] = {
		{ "get", 2, db_get, SYSTEM },
		{ "query", 1, db_query, SYSTEM },
		{ "normalizeId", 2, db_normalize_id, SYSTEM },
		{ "table", 1, db_table, SYSTEM },
	};
	JSValue system = JS_NewObject(ctx);

	if (js_methods(ctx, system, methods, COUNT_OF(methods), true))
		return system;
	JS_FreeValue(ctx, system);
	return JS_EXCEPTION;
}

static bool
put_system(JSContext *ctx, JSValueConst db)
{
	JSAtom atom = JS_NewAtom(ctx, "system");
	bool   ok = js_put(ctx, db, atom, system_face(ctx));

	JS_FreeAtom(ctx, atom);
	return ok;
}

static bool
put_vars(JSContext *ctx, JSValueConst db)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           vars = JS_NewObject(ctx);
	JSAtom            commit_ts = JS_NewAtom(ctx, "commitTs"), name = JS_NewAtom(ctx, "vars");
	bool              ok;

	ok = js_put(ctx, vars, commit_ts, JS_DupValue(ctx, cx->commit_ts)) &&
	    js_put(ctx, db, name, vars);
	JS_FreeAtom(ctx, commit_ts);
	JS_FreeAtom(ctx, name);
	return ok;
}

JSValue
ctx_db_new(struct engine *en, bool writer)
{
	static const struct method readers[] = {
		{ "get", 2, db_get, USER },
		{ "query", 1, db_query, USER },
		{ "normalizeId", 2, db_normalize_id, USER },
	};
	static const struct method writers[] = {
		{ "insert", 2, db_insert, 0 },
		{ "patch", 3, db_update, true },
		{ "replace", 3, db_update, false },
		{ "delete", 2, db_delete, 0 },
	};
	static const struct method read_table = { "table", 1, db_table, USER };
	static const struct method write_table = { "table", 1, db_table, SYSTEM + 1 };
	JSContext *ctx = en->ctx;
	JSValue    db = JS_NewObject(ctx);
	bool       ok;

	ok = js_methods(ctx, db, readers, COUNT_OF(readers), true) && put_system(ctx, db);
	if (writer)
		ok = ok && js_methods(ctx, db, writers, COUNT_OF(writers), true);
	ok = ok && js_methods(ctx, db, writer ? &write_table : &read_table, 1, true);
	if (ok && (!writer || put_vars(ctx, db)))
		return db;
	JS_FreeValue(ctx, db);
	return JS_EXCEPTION;
}

/* ctx_page.c - query.paginate(opts).
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#include "isolate/ctx_int.h"

static bool
refuse_items(JSContext *ctx, JSValueConst items)
{
	const char *text = JS_ToCString(ctx, items);

	if (text)
		js_throw_fmt(ctx, JSE_ERROR,
		    "`options.numItems` must be a positive number. Received `%s`.", text);
	JS_FreeCString(ctx, text);
	return false;
}

bool
ctx_page_opts(JSContext *ctx, JSValueConst opts, struct page_opts *ret)
{
	JSValue items = JS_UNDEFINED;
	bool    ok;

	memset(ret, 0, sizeof *ret);
	if (!js_arg_given(ctx, opts, 1, "paginate", "options"))
		return false;
	if (!JS_IsNull(opts))
		items = JS_GetProperty(ctx, opts, engine_of(ctx)->cx->atoms.numItems);
	if (JS_IsException(items))
		return false;
	ok = JS_IsNumber(items) && JS_ToFloat64(ctx, &ret->page_size, items) == 0 &&
	    !(ret->page_size < 0);
	if (!ok)
		refuse_items(ctx, items);
	JS_FreeValue(ctx, items);
	return ok;
}

/* A string, or nothing. */
static bool
cursor_of(JSContext *ctx, JSValueConst opts, JSAtom atom, const char *name, str *ret)
{
	JSValue v = JS_GetProperty(ctx, opts, atom);
	bool    ok = !JS_IsException(v);

	*ret = STR_EMPTY;
	if (ok && !JS_IsUndefined(v) && !JS_IsNull(v))
		ok = ctx_arg_str(ctx, v, name, "queryPage", ret);
	JS_FreeValue(ctx, v);
	return ok;
}

static bool
maximum_of(JSContext *ctx, JSValueConst opts, JSAtom atom, bool *ret_given, double *ret)
{
	JSValue v = JS_GetProperty(ctx, opts, atom);
	bool    ok = !JS_IsException(v);

	if (ok && !JS_IsUndefined(v) && !JS_IsNull(v)) {
		*ret_given = true;
		ok = JS_ToFloat64(ctx, ret, v) == 0;
	}
	JS_FreeValue(ctx, v);
	return ok;
}

bool
ctx_page_cursors(JSContext *ctx, JSValueConst opts, struct page_opts *ret)
{
	struct ctx_state *cx = engine_of(ctx)->cx;

	return cursor_of(ctx, opts, cx->atoms.cursor, "cursor", &ret->cursor) &&
	       cursor_of(ctx, opts, cx->atoms.endCursor, "endCursor", &ret->end_cursor) &&
	       maximum_of(
		   ctx, opts, cx->atoms.maximumRowsRead, &ret->max_rows_given, &ret->max_rows) &&
	       maximum_of(
		   ctx, opts, cx->atoms.maximumBytesRead, &ret->max_bytes_given, &ret->max_bytes);
}

static JSValue
page_rows(JSContext *ctx, const struct page *p)
{
	JSValue *rows = mem_alloc((p->docs.n + 1) * sizeof *rows), ret;
	UNDO_ON_JUMP(undo_mem, &rows);

	for (size_t i = 0; i < p->docs.n; i++) {
		rows[i] = js_from_val(ctx, doc_val(p->docs.v[i]));
		if (JS_IsException(rows[i])) {
			while (i-- > 0)
				JS_FreeValue(ctx, rows[i]);
			mem_free(rows);
			return JS_EXCEPTION;
		}
	}
	ret = JS_NewArrayFrom(ctx, (int)p->docs.n, rows);
	mem_free(rows);
	return ret;
}

static JSValue
page_object(JSContext *ctx, const struct page *p)
{
	struct ctx_state *cx = engine_of(ctx)->cx;
	JSValue           ret = JS_NewObject(ctx);

	if (js_put(ctx, ret, cx->atoms.page, page_rows(ctx, p)) &&
	    js_put(ctx, ret, cx->atoms.isDone, JS_NewBool(ctx, p->is_done)) &&
	    js_put(ctx, ret, cx->atoms.continueCursor, js_from_str(ctx, p->continue_cursor)) &&
	    js_put(ctx, ret, cx->atoms.splitCursor,
	        p->split_cursor.p ? js_from_str(ctx, p->split_cursor) : JS_NULL) &&
	    js_put(ctx, ret, cx->atoms.pageStatus,
	        p->status ? JS_NewString(ctx, p->status) : JS_NULL))
		return ret;
	JS_FreeValue(ctx, ret);
	return JS_EXCEPTION;
}

JSValue
ctx_page(JSContext *ctx, const struct query_spec *spec, struct page_opts *opts)
{
	struct engine *en = engine_of(ctx);
	struct err     e = err_in(en->run->arena);
	struct page    page;
	JSValue        ret;

	memset(&page, 0, sizeof page);
	UNDO_ON_JUMP(undo_mem, &page.docs.v);
	if (op_page(en, spec, opts, &page, &e) != ST_OK)
		return ctx_throw_err(ctx, &e);
	ret = page_object(ctx, &page);
	vec_clear(&page.docs);
	return ret;
}

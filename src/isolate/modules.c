/* modules.c - finding, linking and evaluating modules (spec 04 section 4).
 *
 * A module's specifier is "convex:/" and its path; imports resolve as URLs against the
 * importer's.  Sources come from the transaction, or from an import_env while a push is being
 * looked at.  What was loaded stays listed in the image: it says what to check before the next
 * run, and where source maps are.
 *
 * A module that cannot be loaded is the host's error, not an exception of the importer: it is
 * kept in im->load_error, and a plain exception makes the engine unwind.
 *
 * Thread: the isolate's.  Memory: the image's arena; sources stay in their documents.
 */
#include "isolate/bytecode.h"
#include "isolate/action_int.h"
#include "isolate/ctx_int.h"
#include "value/pack.h"

#define COMPONENT_NAME_MAX 64

/* --- names --- */

static status
check_component(str c, struct err *e)
{
	bool alnum = false;

	for (size_t i = 0; i < c.n; i++) {
		bool a = (c.p[i] >= '0' && c.p[i] <= '9') || (c.p[i] >= 'a' && c.p[i] <= 'z') ||
		    (c.p[i] >= 'A' && c.p[i] <= 'Z');

		alnum = alnum || a;
		if (!a && c.p[i] != '_' && c.p[i] != '.')
			return err_set(e, ST_BAD_REQUEST, "InvalidModulePath",
			    "Path component %.*s can only contain alphanumeric characters, "
			    "underscores, or periods.", STR_ARG(c));
	}
	if (!alnum)
		return err_set(e, ST_BAD_REQUEST, "InvalidModulePath",
		    "Path component %.*s must have at least one alphanumeric character.",
		    STR_ARG(c));
	if (c.n > COMPONENT_NAME_MAX)
		return err_set(e, ST_BAD_REQUEST, "InvalidModulePath",
		    "Path component is too long (%zu > maximum %d): %.*s", c.n, COMPONENT_NAME_MAX,
		    STR_ARG(c));
	return ST_OK;
}

/* Appends the segments of `rel` to the path in `b`; "." and ".." as in URLs. */
static void
join(struct buf *b, str rel)
{
	while (rel.n) {
		size_t at;
		str    seg = str_find_char(rel, '/', &at) ? str_head(rel, at) : rel;

		rel = str_from(rel, seg.n + 1);
		if (str_eq(seg, S("."))  || seg.n == 0)
			continue;
		if (!str_eq(seg, S(".."))) {
			if (b->n)
				buf_add_byte(b, '/');
			buf_add(b, seg);
		} else {
			b->n = str_rfind_char(buf_str(b), '/', &at) ? at : 0;
		}
	}
}

/* The path that `name` means in the module with the specifier `base`. */
static status
resolve(str base, str name, struct buf *b, struct err *e)
{
	size_t at;

	if (str_starts(name, S("./")) || str_starts(name, S("../")) || str_starts(name, S("/"))) {
		str from = str_from(base, sizeof SPECIFIER_PREFIX - 1);

		if (!str_starts(name, S("/")) && str_rfind_char(from, '/', &at))
			join(b, str_head(from, at));
		join(b, name);
		return ST_OK;
	}
	if (str_starts(name, S("convex://")))
		return err_set(e, ST_BAD_REQUEST, "UnsupportedAuthority",
		    "Module URL %.*s must not have an authority", STR_ARG(name));
	if (str_starts(name, S(SPECIFIER_PREFIX))) {
		join(b, str_from(name, sizeof SPECIFIER_PREFIX - 1));
		return ST_OK;
	}
	if (str_find_char(name, ':', &at))
		return err_set(e, ST_BAD_REQUEST, "UnsupportedScheme",
		    "Unsupported scheme (%.*s) in %.*s", (int)at, name.p, STR_ARG(name));
	return err_set(e, ST_BAD_REQUEST, "ModuleResolution",
	    "Relative import path \"%.*s\" not prefixed with / or ./ or ../", STR_ARG(name));
}

static status
check_path(str path, struct err *e)
{
	str rest = path;

	if (str_starts(path, S("_componentDeps/"))) /* not a file: the rest is base64url */
		return ST_OK;
	while (rest.n) {
		size_t at;
		str    seg = str_find_char(rest, '/', &at) ? str_head(rest, at) : rest;

		TRY(check_component(seg, e));
		rest = str_from(rest, seg.n + 1);
	}
	return ST_OK;
}

/* --- sources --- */

static struct val
pack_path(struct arena *a, str path)
{
	struct pack p;
	struct val  v;

	pack_init(&p);
	p.trusted = true;
	pack_str(&p, path);
	must(pack_done_in(&p, a, &v, NULL) == ST_OK);
	pack_clear(&p);
	return v;
}

static status
missing(str path, struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, "ModuleNotFound",
	    "Couldn't find JavaScript module '%.*s'. Did you forget to run `npx convex dev`?",
	    STR_ARG(path));
}

static status
fetch_from_txn(struct txn *t, struct module *m, struct err *e)
{
	struct doc *row, *body;
	struct val  v;

	TRY(txn_sys_first(t, S("_modules"), S("by_path"), &m->key, 1, &row, e));
	if (!row)
		return missing(m->path, e);
	v = val_get(doc_val(row), S("environment"));
	if (val_kind(v) == VAL_STRING && str_eq(val_str(v), S("node")))
		return err_set(e, ST_BAD_REQUEST, "WrongEnvironment",
		    "Trying to execute %.*s in isolate, but it is bundled for Node",
		    STR_ARG(m->path));
	v = val_get(doc_val(row), S("sha256"));
	TRY(txn_sys_first(t, S("_module_sources"), S("by_sha256"), &v, 1, &body, e));
	if (!body)
		return err_internal(e, "no source of module %.*s", STR_ARG(m->path));
	v = val_get(doc_val(body), S("source"));
	if (val_kind(v) != VAL_STRING)
		return err_internal(e, "bad source row of module %.*s", STR_ARG(m->path));
	m->row = doc_ref(row);
	m->body = doc_ref(body);
	m->source = val_str(v);
	v = val_get(doc_val(body), S("sourceMap"));
	if (val_kind(v) == VAL_STRING)
		m->source_map = val_str(v);
	return ST_OK;
}

static status
fetch_from_env(const struct engine *en, struct module *m, struct err *e)
{
	const struct import_env *env = en->import;

	for (size_t i = 0; i < env->nmodules; i++) {
		const struct module_source *s = &env->modules[i];

		if (!str_eq(s->path, m->path))
			continue;
		if (s->node)
			return err_set(e, ST_BAD_REQUEST, "WrongEnvironment",
			    "Trying to execute %.*s in isolate, but it is bundled for Node",
			    STR_ARG(m->path));
		m->source = s->source;
		m->source_map = s->source_map;
		return ST_OK;
	}
	switch (en->env) {
	case ENV_SCHEMA:
		return err_set(e, ST_BAD_REQUEST, "NoImportModuleInSchema",
		    "Can't import %.*s while evaluating schema", STR_ARG(m->path));
	case ENV_AUTH:
		return err_set(e, ST_BAD_REQUEST, "NoImportModuleInAuthConfig",
		    "Can't import %.*s while evaluating auth config", STR_ARG(m->path));
	case ENV_APP:
		return err_set(e, ST_BAD_REQUEST, "NoImportModuleDuringDefinitionEvaluation",
		    "Can't import %.*s while evaluating app definition", STR_ARG(m->path));
	case ENV_UDF:
	case ENV_ANALYZE:
		break;
	}
	return missing(m->path, e);
}

static status
fetch(struct engine *en, str path, struct module **ret, struct err *e)
{
	struct module *m = ARENA_NEW(en->im->arena, struct module);

	m->path = arena_str(en->im->arena, path);
	m->specifier = arena_fmt(en->im->arena, SPECIFIER_PREFIX "%.*s", STR_ARG(path));
	m->key = pack_path(en->im->arena, path);
	vec_push(&en->im->modules, m);
	*ret = m;
	return en->import ? fetch_from_env(en, m, e) : fetch_from_txn(en->run->txn, m, e);
}

struct module *
module_by_specifier(struct engine *en, str specifier)
{
	for (size_t i = 0; i < en->im->modules.n; i++)
		if (str_eq(en->im->modules.v[i]->specifier, specifier))
			return en->im->modules.v[i];
	return NULL;
}

void
modules_clear(struct image *im)
{
	for (size_t i = 0; i < im->modules.n; i++) {
		doc_unref(im->modules.v[i]->row);
		doc_unref(im->modules.v[i]->body);
		srcmap_free(im->modules.v[i]->map);
	}
	vec_clear(&im->modules);
}

/* --- the engine's side --- */

/* Makes the engine unwind; the error itself is in im->load_error. */
static void
fail_load(JSContext *ctx, const struct err *e)
{
	struct image *im = engine_of(ctx)->im;

	if (action_of(ctx)) { /* import(): the promise says why */
		(void)js_throw_text(ctx, JSE_ERROR, e->text);
		return;
	}
	if (im->load_error.st == ST_OK) {
		im->load_error = err_in(im->arena);
		err_set_str(&im->load_error, e->st, "ModuleError", arena_str(im->arena, e->text));
		im->load_error.code = arena_str(im->arena, e->code);
	}
	JS_ThrowTypeError(ctx, "module could not be loaded");
}

static char *
normalize(JSContext *ctx, const char *base, const char *name, void *opaque)
{
	struct engine *en = engine_of(ctx);
	struct err     e = err_in(en->im->arena);
	struct buf     b;
	char          *ret = NULL;

	(void)opaque;
	if (!en->im->linking && !action_of(ctx)) {
		JS_ThrowTypeError(ctx, "dynamic module import unsupported");
		return NULL;
	}
	buf_init(&b, 1 << 16);
	if (resolve(str_z(base), str_z(name), &b, &e) == ST_OK &&
	    check_path(buf_str(&b), &e) == ST_OK) {
		str path = arena_str(en->im->arena, buf_str(&b));

		ret = js_strdup(ctx, arena_fmt(en->im->arena, SPECIFIER_PREFIX "%.*s",
		    STR_ARG(path)).p);
	} else {
		fail_load(ctx, &e);
	}
	buf_clear(&b);
	return ret;
}

/* import.meta is an object that answers every question with a TypeError. */
static void
spoil_meta(JSContext *ctx, JSModuleDef *m)
{
	JSValue meta = JS_GetImportMeta(ctx, m);

	if (JS_IsObject(meta))
		JS_SetPrototype(ctx, meta, engine_of(ctx)->im->meta_proto);
	JS_FreeValue(ctx, meta);
}

/* The module value of `m`'s bytecode, or an exception. */
static JSValue
read_module(JSContext *ctx, struct module *m, struct err *e)
{
	struct engine *en = engine_of(ctx);
	struct blob   *code;
	JSValue        v;
	size_t         at;

	if (str_find(m->source, S("WebAssembly"), &at))
		en->im->names_wasm = true;
	if (bytecode_get(CODE_MODULE, m->specifier, m->source, en->iso->opts.cache_dir, &code, e) !=
	    ST_OK) {
		fail_load(ctx, e);
		return JS_EXCEPTION;
	}
	{
		UNDO_ON_JUMP(undo_blob, code);

		v = JS_ReadObject(
		    ctx, (const uint8_t *)code->bytes, code->n, JS_READ_OBJ_BYTECODE);
	}
	blob_unref(code);
	if (!JS_IsException(v))
		spoil_meta(ctx, JS_VALUE_GET_PTR(v));
	return v;
}

/* import() in an action: what it started with is over, so it reads what is there now. */
static status
fetch_now(struct engine *en, str path, struct module **ret, struct err *e)
{
	const struct run_request *req = en->run->req;
	status                    st;

	if (!en->run->action)
		return fetch(en, path, ret, e);
	en->run->txn = req->import_txn(req->import_arg);
	st = fetch(en, path, ret, e);
	txn_free(en->run->txn);
	en->run->txn = NULL;
	return st;
}

static JSModuleDef *
load(JSContext *ctx, const char *specifier, void *opaque)
{
	struct engine *en = engine_of(ctx);
	struct err     e = err_in(en->im->arena);
	struct module *m;
	JSValue        v;
	str            path = str_from(str_z(specifier), sizeof SPECIFIER_PREFIX - 1);

	(void)opaque;
	if (fetch_now(en, path, &m, &e) != ST_OK) {
		fail_load(ctx, &e);
		return NULL;
	}
	v = read_module(ctx, m, &e);
	if (JS_IsException(v))
		return NULL;
	JS_FreeValue(ctx, v); /* the context holds it */
	return JS_VALUE_GET_PTR(v);
}

static JSValue
meta_trap(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
	(void)this_val;
	(void)argc;
	(void)argv;
	return JS_ThrowTypeError(ctx, "import.meta unsupported");
}

void
modules_install(struct engine *en)
{
	JSContext *ctx = en->ctx;
	JSValue    target = JS_NewObject(ctx), handler = JS_NewObject(ctx);

	JS_SetPropertyStr(ctx, handler, "get", JS_NewCFunction(ctx, meta_trap, "get", 3));
	en->im->meta_proto = JS_NewProxy(ctx, target, handler);
	JS_FreeValue(ctx, target);
	JS_FreeValue(ctx, handler);
	JS_SetModuleLoaderFunc(en->rt, normalize, load, NULL);
}

/* --- for engines elsewhere (remote.c) --- */

static status
request(struct engine *en, str base, str name, struct module **ret, struct err *e)
{
	struct buf b;
	str        path = name;
	status     st = ST_OK;

	buf_init(&b, 1 << 16);
	if (base.n) {
		st = resolve(base, name, &b, e);
		path = arena_str(en->im->arena, buf_str(&b));
	}
	buf_clear(&b);
	if (st == ST_OK)
		st = check_path(path, e);
	if (st != ST_OK)
		return st;
	*ret = module_by_specifier(en,
	    arena_fmt(en->im->arena, SPECIFIER_PREFIX "%.*s", STR_ARG(path)));
	return *ret && (*ret)->source.p ? ST_OK : fetch(en, path, ret, e);
}

struct module *
module_request(struct engine *en, str base, str name)
{
	struct module *m;
	struct err     e = err_in(en->im->arena);

	if (request(en, base, name, &m, &e) == ST_OK)
		return m;
	if (en->im->load_error.st == ST_OK)
		en->im->load_error = e;
	return NULL;
}

/* --- importing --- */

status
err_copy(struct err *e, const struct err *from)
{
	err_set_str(e, from->st, "InternalServerError", from->text);
	if (e && e->arena && from->code.n)
		e->code = arena_str(e->arena, from->code); /* `from` may die first */
	return from->st;
}

status
module_load_error(struct image *im, str *ret_error, struct err *e)
{
	struct err *le = &im->load_error;

	if (!status_deterministic(le->st))
		return err_copy(e, le);
	*ret_error = arena_fmt(im->arena, "%.*s\n", STR_ARG(le->text));
	return ST_OK;
}

/* The pending exception of linking or evaluating as the function's own error. */
static status
take_exception(struct engine *en, JSValue thrown, str *ret_error, struct err *e)
{
	str ended = run_ended_by(en), data;

	if (en->im->load_error.st != ST_OK) {
		JS_FreeValue(en->ctx, thrown);
		return module_load_error(en->im, ret_error, e);
	}
	if (ended.p)
		*ret_error = arena_fmt(en->im->arena, "%.*s\n", STR_ARG(ended));
	else
		error_describe(en, thrown, en->im->arena, ret_error, &data);
	JS_FreeValue(en->ctx, thrown);
	return ST_OK;
}

static status
settle(struct engine *en, JSModuleDef *def, JSValue promise, str *ret_error, struct err *e)
{
	JSContext *ctx = en->ctx;
	status     st = ST_OK;

	switch (JS_PromiseState(ctx, promise)) {
	case JS_PROMISE_REJECTED:
		JS_PromiseMarkAsHandled(ctx, promise);
		st = take_exception(en, JS_PromiseResult(ctx, promise), ret_error, e);
		break;
	case JS_PROMISE_PENDING:
		*ret_error = S("Top-level awaits in source files are unsupported\n");
		break;
	case JS_PROMISE_FULFILLED:
	case JS_PROMISE_NOT_A_PROMISE:
		en->im->ns = JS_GetModuleNamespace(ctx, def);
		if (JS_IsException(en->im->ns))
			st = take_exception(en, JS_GetException(ctx), ret_error, e);
		break;
	}
	JS_FreeValue(ctx, promise);
	return st;
}

static status
evaluate(struct engine *en, struct module *m, str *ret_error, struct err *e)
{
	JSContext   *ctx = en->ctx;
	JSValue      v = read_module(ctx, m, e), promise;
	JSModuleDef *def;

	if (JS_IsException(v) || JS_ResolveModule(ctx, v) < 0)
		return take_exception(en, JS_GetException(ctx), ret_error, e);
	def = JS_VALUE_GET_PTR(v);
	promise = JS_EvalFunction(ctx, v);
	if (JS_IsException(promise))
		return take_exception(en, JS_GetException(ctx), ret_error, e);
	return settle(en, def, promise, ret_error, e);
}

status
module_import(struct engine *en, str path, str *ret_error, struct err *e)
{
	struct image  *im = en->im;
	struct module *m;
	struct err     why = err_in(im->arena);
	status         st;

	*ret_error = str_of(NULL, 0);
	im->entry = arena_str(im->arena, path);
	st = fetch(en, path, &m, &why);
	if (st != ST_OK) {
		im->load_error = why;
		return module_load_error(im, ret_error, e);
	}
	im->linking = true;
	st = evaluate(en, m, ret_error, e);
	im->linking = false;
	return st;
}

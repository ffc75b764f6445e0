/* engine.c - engines: a heap, a runtime, a context without eval, the prelude.
 *
 * Before the seal every free slot inside the image is used up or forgotten, so that what a
 * run allocates lies behind the image, where a reset need not copy.
 *
 * Thread: the isolate's.
 */
#include "isolate/bytecode.h"
#include "isolate/engine_int.h"
#include "runtime/metrics.h"

#define RUN_GARBAGE ((size_t)24 << 20)      /* allocated by a run before cycles are collected */
#define BUILD_NS    ((uint64_t)10000000000) /* CPU for the prelude */

static struct metric reset_time =
    METRIC_HISTOGRAM("fresnel_image_reset_seconds", "putting a heap image back after a run");
static struct metric reset_pages =
    METRIC_COUNTER("fresnel_image_reset_pages_total", "pages copied by that");
static struct metric image_faults = METRIC_COUNTER(
    "fresnel_image_faults_total", "first writes of runs to pages of heap images");

/* --- the engine's allocator --- */

/* The engine never hears that there is no memory: in many places it does not survive that,
 * and no catch may see it (spec 04 section 5.1). */
static void *
or_give_up(void *p)
{
	if (UNLIKELY(!p))
		engine_abort();
	return p;
}

static void *
js_heap_calloc(void *opaque, size_t n, size_t size)
{
	return or_give_up(heap_zalloc(opaque, n * size)); /* the engine checked the product */
}

static void *
js_heap_malloc(void *opaque, size_t n)
{
	return or_give_up(heap_alloc(opaque, n));
}

static void
js_heap_free(void *opaque, void *p)
{
	if (p)
		heap_release(opaque, p);
}

static void *
js_heap_realloc(void *opaque, void *p, size_t n)
{
	return or_give_up(heap_resize(opaque, p, n));
}

static const JSMallocFunctions heap_functions = {
	js_heap_calloc, js_heap_malloc, js_heap_free, js_heap_realloc, heap_usable,
};

/* --- making one --- */

static bool
add_intrinsics(JSContext *ctx) /* all but eval */
{
	return JS_AddIntrinsicBaseObjects(ctx) == 0 && JS_AddIntrinsicDate(ctx) == 0 &&
	    JS_AddIntrinsicRegExp(ctx) == 0 && JS_AddIntrinsicJSON(ctx) == 0 &&
	    JS_AddIntrinsicProxy(ctx) == 0 && JS_AddIntrinsicMapSet(ctx) == 0 &&
	    JS_AddIntrinsicTypedArrays(ctx) == 0 && JS_AddIntrinsicPromise(ctx) == 0 &&
	    JS_AddIntrinsicWeakRef(ctx) == 0 && JS_AddIntrinsicAToB(ctx) == 0 &&
	    JS_AddPerformance(ctx) == 0;
}

static void
install(struct engine *en)
{
	JSContext *ctx = en->ctx;
	JSValue    global = JS_GetGlobalObject(ctx), convex = JS_NewObject(ctx);

	ctx_install_classes(en);
	syscalls_install(en, convex);
	JS_DefinePropertyValueStr(ctx, global, "Convex", JS_DupValue(ctx, convex),
	    JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
	natives_install(en, global);
	wasm_install(en, global);
	stack_install(en);
	modules_install(en);
	JS_FreeValue(ctx, convex);
	JS_FreeValue(ctx, global);
}

static status
run_prelude(struct engine *en, struct err *e)
{
	str          source = str_of(prelude_js, prelude_js_len), text, data;
	struct blob *code;
	JSValue      v;

	TRY(bytecode_get(CODE_SCRIPT, S("convex:/_system/setup.js"), source,
	    en->iso->opts.cache_dir, &code, e));
	{
		UNDO_ON_JUMP(undo_blob, code);

		v = JS_ReadObject(
		    en->ctx, (const uint8_t *)code->bytes, code->n, JS_READ_OBJ_BYTECODE);
	}
	blob_unref(code);
	if (!JS_IsException(v))
		v = JS_EvalFunction(en->ctx, v);
	if (JS_IsException(v)) {
		v = JS_GetException(en->ctx);
		error_describe(en, v, en->im->arena, &text, &data);
		return err_internal(e, "prelude: %.*s", STR_ARG(text));
	}
	JS_FreeValue(en->ctx, v);
	return ST_OK;
}

/* A module that is analysed may be one that runs in the full engine, where objects are smaller. */
static size_t
heap_bytes(const struct engine *en)
{
	const struct isolate_opts *o = &en->iso->opts;

	return en->env == ENV_ANALYZE && o->full_engine ? 3 * o->heap_bytes : o->heap_bytes;
}

static void
make_runtime(struct engine *en)
{
	en->heap = heap_new(heap_bytes(en));
	en->rt = JS_NewRuntime2(&heap_functions, en->heap);
	must(en->rt);
	en->ctx = JS_NewContextRaw(en->rt);
	must(en->ctx && add_intrinsics(en->ctx));
	JS_SetRuntimeOpaque(en->rt, en);
	JS_SetContextOpaque(en->ctx, en);
	JS_SetGCThreshold(en->rt, RUN_GARBAGE);
	engine_install_limits(en);
	engine_install_jobs(en);
}

struct image *
image_new(void)
{
	struct image *im = MEM_NEW(struct image);

	im->arena = arena_new();
	im->ns = im->ctx_query = im->ctx_mutation = JS_UNDEFINED;
	loglines_init(&im->logs, im->arena);
	return im;
}

struct building {
	struct engine *en;
	status         st;
	struct err    *e;
};

static void
build(void *arg)
{
	struct building *b = arg;

	install(b->en);
	b->st = run_prelude(b->en, b->e);
}

status
engine_new(struct isolate *iso, enum environment env, const struct import_env *import,
    struct engine **ret, struct err *e)
{
	struct engine    *en = MEM_NEW(struct engine);
	struct building   b = { .en = en, .e = e };
	struct run_result res = { 0 };
	struct run        r = { .res = &res, .cpu_limit_ns = BUILD_NS };

	en->iso = iso;
	en->env = env;
	en->import = import;
	en->phase = PHASE_IMPORT;
	en->im = image_new();
	r.arena = en->im->arena;
	loglines_init(&res.logs, r.arena);
	make_runtime(en);
	engine_enter(en, &r);
	if (guard_call(en, build, &b) != JUMP_NONE)
		b.st = err_internal(
		    e, "the prelude does not fit into %zu bytes", iso->opts.heap_bytes);
	engine_leave(en, NULL);
	loglines_clear(&res.logs);
	if (b.st != ST_OK)
		engine_free(en);
	else
		*ret = en;
	return b.st;
}

void
image_free(struct image *im)
{
	modules_clear(im);
	doc_unref(im->config);
	vec_clear(&im->vars);
	vec_clear(&im->exports);
	vec_clear(&im->rejected);
	vec_clear(&im->answers);
	loglines_clear(&im->logs);
	arena_free(im->arena);
	mem_free(im);
}

void
engine_free(struct engine *en)
{
	if (!en)
		return;
	ctx_uninstall(en);
	heap_free(en->heap); /* the runtime with all it allocated */
	image_free(en->im);
	mem_free(en);
}

/* --- the image --- */

/* The engine keeps small blocks in pages of its own, by size.  Takes what is free in them. */
static void
fill_small_blocks(struct engine *en)
{
	for (size_t n = 8; n < 512; n += 8) {
		size_t used = heap_stats(en->heap).used_bytes;
		void  *p;

		while ((p = js_malloc_rt(en->rt, n)) != NULL &&
		    heap_stats(en->heap).used_bytes <= used)
			;
		js_free_rt(en->rt, p); /* the one that opened a new page */
	}
}

void
engine_seal(struct engine *en)
{
	struct image *im = en->im;

	JS_RunGC(en->rt);
	fill_small_blocks(en);
	JS_SetGCThreshold(en->rt, heap_stats(en->heap).used_bytes + RUN_GARBAGE);
	im->nimport_rejected = im->rejected.n;
	im->import_rejected = ARENA_ARRAY(im->arena, struct rejection, im->rejected.n);
	if (im->rejected.n)
		memcpy(
		    im->import_rejected, im->rejected.v, im->rejected.n * sizeof *im->rejected.v);
	heap_seal(en->heap);
	im->sealed = true;
}

void
engine_reset(struct engine *en)
{
	struct image *im = en->im;

	uint64_t      start = os_mono_ns(os_real());
	uint64_t      faults = heap_stats(en->heap).faults;

	heap_reset(en->heap);
	metric_observe_ns(&reset_time, os_mono_ns(os_real()) - start);
	metric_add(&reset_pages, (int64_t)heap_stats(en->heap).dirty_pages);
	metric_add(&image_faults, (int64_t)(faults - im->faults_seen));
	im->faults_seen = faults;
	ctx_reset(en);
	im->rejected.n = 0;
	im->answers.n = im->told = 0;
	for (size_t i = 0; i < im->nimport_rejected; i++)
		vec_push(&im->rejected, im->import_rejected[i]);
}

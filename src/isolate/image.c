/* image.c - isolates and their images: finding one, building one, forgetting one.
 *
 * An isolate keeps a few sealed engines, one or more per entry module (a nested run needs its
 * own while its caller waits), and drops the one that was used longest ago.
 *
 * Thread: the isolate's.
 */
#include "isolate/engine_int.h"

#define HEAP_DEFAULT   ((size_t)64 << 20)
#define IMAGES_DEFAULT 16
#define USER_TIME_NS   ((uint64_t)1000000000)

struct isolate *
isolate_new(const struct isolate_opts *opts)
{
	struct isolate      *iso = MEM_NEW(struct isolate);
	struct isolate_opts *o = &iso->opts;

	iso->arena = arena_new();
	*o = *opts;
	if (o->heap_bytes == 0)
		o->heap_bytes = HEAP_DEFAULT;
	if (o->images_max == 0)
		o->images_max = IMAGES_DEFAULT;
	if (o->user_time_ns == 0)
		o->user_time_ns = USER_TIME_NS;
	o->cache_dir = arena_str(iso->arena, opts->cache_dir);
	o->cloud_url = arena_str(iso->arena, opts->cloud_url);
	o->site_url = arena_str(iso->arena, opts->site_url);
	return iso;
}

void
isolate_free(struct isolate *iso)
{
	if (!iso)
		return;
	for (size_t i = 0; i < iso->engines.n; i++)
		engine_free(iso->engines.v[i]);
	vec_clear(&iso->engines);
	arena_free(iso->arena);
	mem_free(iso);
}

const char *
udf_kind_name(enum udf_kind k)
{
	static const char *const names[] = { "Query", "Mutation", "Action", "HttpAction" };

	return names[k];
}

void
engine_taint(struct engine *en)
{
	if (en->phase == PHASE_IMPORT)
		en->im->tainted = true;
}

void
image_drop(struct isolate *iso, struct engine *en)
{
	for (size_t i = 0; i < iso->engines.n; i++) {
		if (iso->engines.v[i] != en)
			continue;
		iso->engines.v[i] = iso->engines.v[--iso->engines.n];
		break;
	}
	engine_free(en);
}

static void
image_keep(struct isolate *iso, struct engine *en)
{
	while (iso->engines.n >= iso->opts.images_max) {
		struct engine *oldest = NULL;

		for (size_t i = 0; i < iso->engines.n; i++) {
			struct engine *x = iso->engines.v[i];

			if (!x->run && (!oldest || x->im->used_at < oldest->im->used_at))
				oldest = x;
		}
		if (!oldest)
			break; /* all of them wait for nested runs */
		image_drop(iso, oldest);
	}
	vec_push(&iso->engines, en);
}

/* --- exports --- */

static void
forget_exception(JSContext *ctx)
{
	JS_FreeValue(ctx, JS_GetException(ctx));
}

static bool
has(JSContext *ctx, JSValueConst v, const char *name)
{
	JSAtom atom = JS_NewAtom(ctx, name);
	int    rc = JS_HasProperty(ctx, v, atom);

	JS_FreeAtom(ctx, atom);
	if (rc < 0)
		forget_exception(ctx);
	return rc > 0;
}

/* Looks at one export as analysis does (spec 04 section 2.2).  Takes v. */
static void
note_export(struct engine *en, JSAtom atom, JSValue v)
{
	JSContext      *ctx = en->ctx;
	struct exported x = { .fn = v, .handler = JS_UNDEFINED };
	JSValue         name = JS_AtomToString(ctx, atom);

	if (JS_IsObject(v)) {
		x.is_query = has(ctx, v, "isQuery");
		x.is_mutation = has(ctx, v, "isMutation");
		x.is_action = has(ctx, v, "isAction");
		x.is_internal = has(ctx, v, "isInternal");
		x.handler = JS_GetPropertyStr(ctx, v, "_handler");
		if (JS_IsException(x.handler)) {
			forget_exception(ctx);
			x.handler = JS_UNDEFINED;
		}
	}
	if (js_text(ctx, name, en->im->arena, &x.name))
		vec_push(&en->im->exports, x);
	JS_FreeValue(ctx, name);
}

void
image_note_exports(struct engine *en)
{
	JSContext      *ctx = en->ctx;
	JSPropertyEnum *tab;
	uint32_t        n;

	if (JS_GetOwnPropertyNames(ctx, &tab, &n, en->im->ns, JS_GPN_STRING_MASK) < 0) {
		forget_exception(ctx);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		JSValue v = JS_GetProperty(ctx, en->im->ns, tab[i].atom);

		if (JS_IsException(v)) /* never initialised */
			forget_exception(ctx);
		else
			note_export(en, tab[i].atom, v);
	}
	JS_FreePropertyEnum(ctx, tab, n);
}

/* --- building --- */

struct importing {
	struct engine *en;
	str            path, error;
	status         st;
	struct err    *e;
};

static void
import(void *arg)
{
	struct importing *i = arg;
	struct engine    *en = i->en;

	i->st = module_import(en, i->path, &i->error, i->e);
	if (i->st != ST_OK || i->error.p)
		return;
	image_note_exports(en);
	en->im->ctx_query = ctx_new(en, UDF_QUERY);
	en->im->ctx_mutation = ctx_new(en, UDF_MUTATION);
	if (run_ended_by(en).p)
		i->error = arena_fmt(en->im->arena, "%.*s\n", STR_ARG(run_ended_by(en)));
	else if (!en->im->tainted)
		engine_seal(en);
}

/* Seed and clock of the import phase: zeroes where nothing was ever pushed. */
static void
import_settings(struct image *im, struct run *r)
{
	static const uint8_t none[32];
	struct val           row = im->config ? doc_val(im->config) : VAL_NONE;
	struct val           seed = val_get(row, S("importPhaseRngSeed"));
	struct val           ns = val_get(row, S("importPhaseUnixTimestamp"));
	bool                 ok = val_kind(seed) == VAL_BYTES && val_str(seed).n == sizeof none;

	run_seed(r, ok ? (const uint8_t *)val_str(seed).p : none);
	r->now_ms = val_kind(ns) == VAL_INT64 ? (double)(val_int64(ns) / 1000000) : 0;
}

static status
import_entry(struct engine *en, const struct run_request *req, str *ret_error, struct err *e)
{
	struct image     *im = en->im;
	struct run_result res = { .logs = im->logs };
	struct run        r = { .req = req, .res = &res, .arena = im->arena, .txn = req->txn,
		.cpu_limit_ns = en->iso->opts.user_time_ns };
	struct importing  i = { .en = en, .path = req->module, .e = e };

	TRY(image_read_config(im, req->txn, e));
	import_settings(im, &r);
	engine_enter(en, &r);
	if (!engine_protect(import, &i))
		i.error = arena_fmt(im->arena, "%.*s\n", STR_ARG(run_broken(en)));
	if (i.st == ST_OK && r.fatal.st != ST_OK)
		i.st = err_copy(e, &r.fatal);
	engine_leave(en, NULL);
	im->logs = res.logs;
	*ret_error = i.error.p ? arena_str(req->arena, i.error) : i.error;
	return i.st;
}

static status
build(struct isolate *iso, const struct run_request *req, struct engine **ret, str *ret_error,
    struct err *e)
{
	struct engine *en;
	status         st;

	TRY(engine_new(iso, ENV_UDF, NULL, &en, e));
	st = import_entry(en, req, ret_error, e);
	if (st != ST_OK || ret_error->p) {
		engine_free(en);
		en = NULL;
	} else if (en->im->sealed) {
		image_keep(iso, en);
	}
	*ret = en;
	return st;
}

status
image_get(struct isolate *iso, const struct run_request *req, struct engine **ret, str *ret_error,
    struct err *e)
{
	for (size_t i = 0; i < iso->engines.n;) {
		struct engine *en = iso->engines.v[i];
		bool           same;

		i++;
		if (en->run || !str_eq(en->im->entry, req->module) ||
		    !uid_eq(en->im->component, txn_component(req->txn)))
			continue;
		TRY(image_check(en->im, req->txn, &iso->opts, &same, e));
		if (same) {
			en->im->used_at = ++iso->clock;
			*ret_error = str_of(NULL, 0);
			*ret = en;
			return ST_OK;
		}
		image_drop(iso, en);
		i--;
	}
	TRY(build(iso, req, ret, ret_error, e));
	if (*ret)
		(*ret)->im->used_at = ++iso->clock;
	return ST_OK;
}

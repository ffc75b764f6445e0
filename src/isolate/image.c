/* image.c - isolates and their images: finding one, building one, forgetting one.
 *
 * An isolate keeps a few sealed engines, one or more per entry module (a nested run needs its
 * own while its caller waits), and drops the one that was used longest ago.
 *
 * Thread: the isolate's.
 */
#include "isolate/engine_int.h"
#include "isolate/heap_int.h"
#include "runtime/metrics.h"
#include "runtime/thread.h"

#define HEAP_DEFAULT   ((size_t)64 << 20)
#define IMAGES_DEFAULT 16
#define BYTES_DEFAULT  ((size_t)64 << 20)
#define USER_TIME_NS   ((uint64_t)1000000000)
#define SYSTEM_TIME_NS ((uint64_t)15000000000)
/* Modules are evaluated once for many runs here, and in every run of the full engine. */
#define IMPORT_LEAVE_NS ((uint64_t)500000000)

static struct metric image_hits =
    METRIC_COUNTER("fresnel_image_hits_total", "runs that found their heap image");
static struct metric image_builds =
    METRIC_COUNTER("fresnel_image_builds_total", "heap images built: modules evaluated");
static struct metric image_stale = METRIC_COUNTER("fresnel_image_stale_total",
    "heap images dropped because what they were built of has changed");
static struct metric image_evictions = METRIC_COUNTER("fresnel_image_evictions_total",
    "heap images dropped for others that were used more recently");

struct isolate *
isolate_new(const struct isolate_opts *opts)
{
	struct isolate      *iso = MEM_NEW(struct isolate);
	struct isolate_opts *o = &iso->opts;

	iso->arena = arena_new();
	must(pthread_mutex_init(&iso->lock, NULL) == 0);
	*o = *opts;
	if (o->heap_bytes == 0)
		o->heap_bytes = HEAP_DEFAULT;
	if (o->images_max == 0)
		o->images_max = IMAGES_DEFAULT;
	if (o->images_bytes == 0)
		o->images_bytes = BYTES_DEFAULT;
	if (o->burst_max < o->images_max)
		o->burst_max = o->images_max;
	if (o->burst_bytes < o->images_bytes)
		o->burst_bytes = o->images_bytes;
	if (o->user_time_ns == 0)
		o->user_time_ns = USER_TIME_NS;
	if (o->system_time_ns == 0)
		o->system_time_ns = SYSTEM_TIME_NS;
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
	engine_free(iso->spare);
	must(pthread_mutex_destroy(&iso->lock) == 0);
	engine_free(iso->natives);
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

/* --- the list --- */

/* With the lock: takes one out. */
static struct engine *
take_at(struct isolate *iso, size_t i)
{
	struct engine *en = iso->engines.v[i];

	iso->engines.v[i] = iso->engines.v[--iso->engines.n];
	iso->idle_bytes -= en->im->bytes;
	return en;
}

/* With the lock: the one that was used longest ago; there is one. */
static size_t
oldest(const struct isolate *iso)
{
	size_t ret = 0;

	for (size_t i = 1; i < iso->engines.n; i++)
		if (iso->engines.v[i]->im->used_at < iso->engines.v[ret]->im->used_at)
			ret = i;
	return ret;
}

/* One that may fit; NULL: there is none. */
static struct engine *
list_take(struct isolate *iso, const struct run_request *req)
{
	MUTEX_GUARD(&iso->lock);
	for (size_t i = iso->engines.n; i-- > 0;) {
		const struct image *im = iso->engines.v[i]->im;

		if (str_eq(im->entry, req->module) &&
		    uid_eq(im->component, txn_component(req->txn)))
			return take_at(iso, i);
	}
	return NULL;
}

static void
list_put(struct isolate *iso, struct engine *en)
{
	struct heap_stats hs = heap_stats(en->heap);
	uint64_t          now = os_mono_ns(iso->opts.os);

	MUTEX_GUARD(&iso->lock);
	en->im->bytes = (hs.image_pages + hs.dirty_pages) * HEAP_PAGE;
	en->im->used_at = ++iso->clock;
	en->im->idle_since_ns = now;
	iso->idle_bytes += en->im->bytes;
	vec_push(&iso->engines, en);
}

static bool
fit(const struct isolate *iso, size_t max, size_t bytes)
{
	return iso->engines.n <= 1 || (iso->engines.n <= max && iso->idle_bytes <= bytes);
}

/* One that there is no room for; NULL: there is for all. */
static struct engine *
list_over(struct isolate *iso)
{
	MUTEX_GUARD(&iso->lock);
	if (fit(iso, iso->opts.burst_max, iso->opts.burst_bytes))
		return NULL;
	metric_add(&image_evictions, 1);
	return take_at(iso, oldest(iso));
}

/* One beyond the usual bounds that nobody used since then. */
static struct engine *
list_idle(struct isolate *iso, uint64_t since_ns)
{
	size_t i;

	MUTEX_GUARD(&iso->lock);
	if (fit(iso, iso->opts.images_max, iso->opts.images_bytes))
		return NULL;
	i = oldest(iso);
	return iso->engines.v[i]->im->idle_since_ns <= since_ns ? take_at(iso, i) : NULL;
}

void
isolate_trim(struct isolate *iso, uint64_t idle_ns)
{
	uint64_t       now = os_mono_ns(iso->opts.os);
	struct engine *en;

	while ((en = list_idle(iso, now - idle_ns)) != NULL)
		engine_free(en);
}

void
image_give(struct engine *en, bool whole)
{
	struct isolate *iso = en->iso;

	if (!en->im->sealed || !whole) {
		engine_free(en);
		return;
	}
	engine_reset(en);
	list_put(iso, en);
	while ((en = list_over(iso)) != NULL)
		engine_free(en);
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

const str image_left = { "left", 4 };

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

void
image_import_settings(struct image *im, struct run *r)
{
	static const uint8_t none[32];
	struct val           row = im->config ? doc_val(im->config) : VAL_NONE;
	struct val           seed = val_get(row, S("importPhaseRngSeed"));
	struct val           ns = val_get(row, S("importPhaseUnixTimestamp"));
	bool                 ok = val_kind(seed) == VAL_BYTES && val_str(seed).n == sizeof none;

	run_seed(r, ok ? (const uint8_t *)val_str(seed).p : none);
	r->now_ms = val_kind(ns) == VAL_INT64 ? (double)(val_int64(ns) / 1000000) : 0;
}

static uint64_t
import_leave_ns(const struct run_request *req)
{
	if (!req->leave_after_ns)
		return 0;
	return req->import_leave_ns ? req->import_leave_ns : IMPORT_LEAVE_NS;
}

static status
import_entry(struct engine *en, const struct run_request *req, str *ret_error, struct err *e)
{
	struct image     *im = en->im;
	struct run_result res = { .logs = im->logs };
	struct run        r = { .req = req, .res = &res, .arena = im->arena, .txn = req->txn,
		.cpu_limit_ns = en->iso->opts.user_time_ns,
		.leave_after_ns = import_leave_ns(req) };
	struct importing  i = { .en = en, .path = req->module, .e = e };
	enum jump         why;

	TRY(image_read_config(im, req->txn, e));
	image_import_settings(im, &r);
	engine_enter(en, &r);
	why = guard_call(en, import, &i);
	if (why != JUMP_NONE)
		i.error = arena_fmt(im->arena, "%.*s\n", STR_ARG(run_broken(en, why)));
	if (i.st == ST_OK && r.fatal.st != ST_OK)
		i.st = err_copy(e, &r.fatal);
	engine_leave(en, NULL);
	im->logs = res.logs;
	*ret_error = i.error.p ? arena_str(req->arena, i.error) : i.error;
	if (r.left)
		*ret_error = image_left;
	return i.st;
}

void
isolate_prepare(struct isolate *iso)
{
	struct engine *en;
	bool           have;

	must(pthread_mutex_lock(&iso->lock) == 0);
	have = iso->spare != NULL;
	must(pthread_mutex_unlock(&iso->lock) == 0);
	if (have || engine_new(iso, ENV_UDF, NULL, &en, NULL) != ST_OK)
		return;
	must(pthread_mutex_lock(&iso->lock) == 0);
	if (!iso->spare) {
		iso->spare = en;
		en = NULL;
	}
	must(pthread_mutex_unlock(&iso->lock) == 0);
	engine_free(en);
}

/* With the prelude evaluated and nothing else. */
static status
fresh_engine(struct isolate *iso, struct engine **ret, struct err *e)
{
	must(pthread_mutex_lock(&iso->lock) == 0);
	*ret = iso->spare;
	iso->spare = NULL;
	must(pthread_mutex_unlock(&iso->lock) == 0);
	return *ret ? ST_OK : engine_new(iso, ENV_UDF, NULL, ret, e);
}

static status
build(struct isolate *iso, const struct run_request *req, struct engine **ret, str *ret_error,
    struct err *e)
{
	struct engine *en;
	status         st;

	metric_add(&image_builds, 1);
	TRY(fresh_engine(iso, &en, e));
	st = import_entry(en, req, ret_error, e);
	if (st != ST_OK || ret_error->p) {
		engine_free(en);
		en = NULL;
	}
	*ret = en;
	return st;
}

status
image_get(struct isolate *iso, const struct run_request *req, struct engine **ret, str *ret_error,
    struct err *e)
{
	struct engine *en;

	*ret_error = str_of(NULL, 0);
	while ((en = list_take(iso, req)) != NULL) {
		bool   same = false;
		status st = image_check(en->im, req->txn, &iso->opts, &same, e);

		if (st == ST_OK && same) {
			metric_add(&image_hits, 1);
			*ret = en;
			return ST_OK;
		}
		metric_add(&image_stale, 1);
		engine_free(en); /* built of what is no longer there */
		TRY(st);
	}
	return build(iso, req, ret, ret_error, e);
}

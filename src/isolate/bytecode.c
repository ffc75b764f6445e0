/* bytecode.c - compiling and remembering.
 *
 * Each compilation has a runtime of its own on malloc, with the eval intrinsic, thrown away
 * afterwards.  Imports are not followed: the compiler resolves them to empty stand-ins, and
 * the running context links the real ones.
 *
 * Thread: any.  Memory: see bytecode.h.
 */
#include "isolate/bytecode.h"

#include <quickjs.h>
#include <stdatomic.h>

#include "base/enc.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "isolate/engine_int.h"
#include "os/file.h"
#include "runtime/thread.h"

#define FORMAT_VERSION  "fresnel bytecode 1"
#define COMPILE_MEMORY  ((size_t)1 << 30)
#define DIGEST          32u
#define SWEEP_EVERY     (BYTECODE_DISK_BYTES / 8)

static struct {
	pthread_mutex_t lock;
	struct map     *blobs; /* digest -> one reference */
	size_t          bytes;
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
key_of(enum code_kind kind, str specifier, str source, uint8_t ret[DIGEST])
{
	struct sha256 *h = sha256_new();
	const char     k = kind == CODE_MODULE ? 'm' : 's';

	sha256_add(h, S(FORMAT_VERSION));
	sha256_add(h, str_z(JS_GetVersion()));
	sha256_add(h, str_of(&k, 1));
	sha256_add(h, specifier);
	sha256_add(h, str_of("", 1));
	sha256_add(h, source);
	sha256_end_free(h, ret);
}

static struct blob *
memory_get(str key)
{
	struct blob *b = NULL;
	MUTEX_GUARD(&cache.lock);

	if (cache.blobs)
		b = map_get(cache.blobs, key);
	return b ? blob_ref(b) : NULL;
}

static void
memory_drop(void)
{
	size_t pos = 0;
	str    key;
	void  *b;

	while (map_next(cache.blobs, &pos, &key, &b))
		blob_unref(b);
	map_free(cache.blobs);
	cache.blobs = NULL;
	cache.bytes = 0;
}

static void
memory_put(str key, struct blob *b)
{
	MUTEX_GUARD(&cache.lock);

	if (cache.blobs && cache.bytes + b->n > BYTECODE_CACHE_BYTES)
		memory_drop();
	if (!cache.blobs)
		cache.blobs = map_new();
	if (map_get(cache.blobs, key))
		return;
	map_put(cache.blobs, key, blob_ref(b));
	cache.bytes += b->n;
}

static void
file_path(struct buf *b, str dir, str key)
{
	buf_add(b, dir);
	buf_add_byte(b, '/');
	enc_hex(b, key);
	buf_addz(b, ".qjs");
	buf_add_byte(b, 0);
}

static struct blob *
file_get(str dir, str key)
{
	struct buf   path, content;
	struct blob *b = NULL;
	uint8_t      digest[DIGEST];

	buf_init(&path, 4096);
	buf_init(&content, BUF_MAX_DEFAULT);
	file_path(&path, dir, key);
	if (file_read(path.p, &content, NULL) == ST_OK && content.n > DIGEST) {
		str body = str_from(buf_str(&content), DIGEST);

		sha256(body, digest);
		if (memcmp(digest, content.p, DIGEST) == 0)
			b = blob_new(body);
		file_touch(path.p);
	}
	buf_clear(&path);
	buf_clear(&content);
	return b;
}

/* The first time in a process, and whenever much was added. */
static status
sweep_sometimes(str dir, size_t added, struct err *e)
{
	static _Atomic size_t since;
	size_t                before = atomic_fetch_add(&since, added);
	struct buf            path;
	status                st;

	if (before != 0 && before < SWEEP_EVERY)
		return ST_OK;
	atomic_store(&since, 1);
	buf_init(&path, 4096);
	buf_add(&path, dir);
	buf_add_byte(&path, 0);
	st = file_sweep(path.p, BYTECODE_DISK_BYTES, e);
	buf_clear(&path);
	return st;
}

static void
file_put(str dir, str key, const struct blob *b)
{
	struct buf path, content;
	uint8_t    digest[DIGEST];
	struct err e = err_in(NULL);

	buf_init(&path, 4096);
	buf_init(&content, BUF_MAX_DEFAULT);
	file_path(&path, dir, key);
	sha256(blob_str(b), digest);
	buf_add(&content, str_of(digest, DIGEST));
	buf_add(&content, blob_str(b));
	if (file_write_atomic(path.p, buf_str(&content), &e) != ST_OK ||
	    sweep_sometimes(dir, content.n, &e) != ST_OK)
		log_warn("bytecode cache: %.*s", STR_ARG(e.text)); /* only slower without it */
	buf_clear(&path);
	buf_clear(&content);
}

static int
stand_in_init(JSContext *ctx, JSModuleDef *m)
{
	(void)ctx;
	(void)m;
	return 0;
}

static JSModuleDef *
stand_in(JSContext *ctx, const char *name, void *opaque)
{
	(void)opaque;
	return JS_NewCModule(ctx, name, stand_in_init);
}

/* As written: what the importer said is enough to tell stand-ins apart. */
static char *
keep_name(JSContext *ctx, const char *base, const char *name, void *opaque)
{
	(void)base;
	(void)opaque;
	return js_strdup(ctx, name);
}

static status
syntax_error(JSContext *ctx, str specifier, struct err *e)
{
	JSValue     thrown = JS_GetException(ctx), stack;
	const char *text = JS_ToCString(ctx, thrown), *where;
	status      st;
	str         first;
	size_t      at;

	stack = JS_GetPropertyStr(ctx, thrown, "stack");
	where = JS_ToCString(ctx, stack);
	first = str_trim(str_z(where));
	if (str_find_char(first, '\n', &at))
		first = str_head(first, at);
	if (str_starts(first, S("at ")))
		first = str_from(first, 3);
	if (str_starts(first, specifier))
		st = err_set(e, ST_BAD_REQUEST, "SyntaxError", "%.*s: Uncaught %s", STR_ARG(first),
		    text ? text : "SyntaxError");
	else
		st = err_set(e, ST_BAD_REQUEST, "SyntaxError", "%.*s: Uncaught %s",
		    STR_ARG(specifier), text ? text : "SyntaxError");
	JS_FreeCString(ctx, where);
	JS_FreeCString(ctx, text);
	JS_FreeValue(ctx, stack);
	JS_FreeValue(ctx, thrown);
	return st;
}

static status
compile_in(JSContext *ctx, enum code_kind kind, str specifier, str source, struct blob **ret,
    struct err *e)
{
	struct arena *a = arena_new();
	const char   *src = arena_z(a, source), *name = arena_z(a, specifier);
	int           flags = JS_EVAL_FLAG_COMPILE_ONLY |
	    (kind == CODE_MODULE ? JS_EVAL_TYPE_MODULE : JS_EVAL_TYPE_GLOBAL);
	/* Functions of the prelude show "[native code]", and their source takes no room. */
	int           write = JS_WRITE_OBJ_BYTECODE |
	    (kind == CODE_SCRIPT ? JS_WRITE_OBJ_STRIP_SOURCE : 0);
	JSValue       code = JS_Eval(ctx, src, source.n, name, flags);
	uint8_t      *bytes = NULL;
	size_t        n;
	status        st = ST_OK;

	if (!JS_IsException(code))
		bytes = JS_WriteObject(ctx, &n, code, write);
	if (bytes)
		*ret = blob_new(str_of(bytes, n));
	else
		st = syntax_error(ctx, specifier, e);
	js_free(ctx, bytes);
	JS_FreeValue(ctx, code);
	arena_free(a);
	return st;
}

static status
compile(enum code_kind kind, str specifier, str source, struct blob **ret, struct err *e)
{
	JSRuntime *rt = JS_NewRuntime();
	JSContext *ctx = rt ? JS_NewContext(rt) : NULL;
	status     st;

	must(ctx);
	JS_SetMaxStackSize(rt, engine_stack_size());
	JS_SetMemoryLimit(rt, COMPILE_MEMORY);
	JS_SetModuleLoaderFunc(rt, keep_name, stand_in, NULL);
	guard_hold(); /* this runtime's memory is not the run's */
	st = compile_in(ctx, kind, specifier, source, ret, e);
	guard_release();
	JS_FreeContext(ctx);
	JS_FreeRuntime(rt);
	return st;
}

static status
get(enum code_kind kind, str specifier, str source, str cache_dir, struct blob **ret,
    struct err *e)
{
	uint8_t      digest[DIGEST];
	str          key = str_of(digest, DIGEST);
	struct blob *b;

	key_of(kind, specifier, source, digest);
	b = memory_get(key);
	if (!b && cache_dir.n && (b = file_get(cache_dir, key)) != NULL)
		memory_put(key, b);
	if (!b) {
		TRY(compile(kind, specifier, source, &b, e));
		memory_put(key, b);
		if (cache_dir.n)
			file_put(cache_dir, key, b);
	}
	*ret = b;
	return ST_OK;
}

static void
undo_lock(void *lock)
{
	must(pthread_mutex_unlock(lock) == 0);
}

/* All workers want the prelude when the server starts: one compiles it, the others wait. */
static status
get_prelude(str specifier, str source, str cache_dir, struct blob **ret, struct err *e)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	status                 st;

	must(pthread_mutex_lock(&lock) == 0);
	{
		UNDO_ON_JUMP(undo_lock, &lock);

		st = get(CODE_SCRIPT, specifier, source, cache_dir, ret, e);
	}
	must(pthread_mutex_unlock(&lock) == 0);
	return st;
}

status
bytecode_get(enum code_kind kind, str specifier, str source, str cache_dir, struct blob **ret,
    struct err *e)
{
	return kind == CODE_SCRIPT ? get_prelude(specifier, source, cache_dir, ret, e) :
	                             get(kind, specifier, source, cache_dir, ret, e);
}

/* ctx_int.h - what the files of the native ctx and of the syscalls share.
 *
 * Both are two faces of the same operations (database/txn.h, database/query.h, run_host): the
 * native ctx takes and returns engine values, the syscalls take and return JSON text.
 *
 * Objects of the native ctx hold no host pointer while no run is in progress.  Query, range
 * and expression objects are made during a run: their opaque pointer goes into the run's
 * arena, and the reset of the heap drops them with it, so no class here has a finalizer.
 *
 * Thread: the isolate's.
 */
#ifndef ISOLATE_CTX_INT_H
#define ISOLATE_CTX_INT_H

#include "isolate/isolate_int.h"
#include "value/pack.h"
#include "value/vjson.h"

#define RUN_ARENA_MAX ((size_t)256 << 20) /* bytes: specs, ids, texts, parsed arguments */
#define PACKS_MAX 8 /* getters of a value that is being converted may convert others */

/* Property names, interned in the image. */
#define CTX_ATOMS(X)                                                          \
	X(value) X(done) X(page) X(isDone) X(continueCursor) X(splitCursor)   \
	X(pageStatus) X(message) X(data) X(name) X(constructor) X(tableName)  \
	X(isSystem) X(export) X(numItems) X(cursor) X(endCursor)              \
	X(maximumRowsRead) X(maximumBytesRead) X(useStaleSnapshot)            \
	X(transactionLimits) X(stack) X(next)

/* Host side of one engine's ctx.  The JSValues are references into its image. */
struct ctx_state {
	JSClassID query, range, search, expr;
	void     *object_proto;   /* Object.prototype */
	JSValue   error_ctor, type_error_ctor, range_error_ctor;
	JSValue   commit_ts;      /* db.vars.commitTs */
	JSValue   file_store, file_get; /* storage.store, storage.get of mutations */
	JSValue   filter_builder;
	JSValue   initializer_proto, table_reader_proto, table_writer_proto;
	JSAtom convex_error, reference_path, function_name, async_iterator,
	    to_primitive; /* symbols */
	struct {
#define X(n) JSAtom n;
		CTX_ATOMS(X)
#undef X
	} atoms;
	struct pack packs[PACKS_MAX];
	int         packs_busy;
};

/* --- throw.c --- */

enum js_error { JSE_ERROR, JSE_TYPE, JSE_RANGE };
/* Always JS_EXCEPTION; the constructors are the original ones, the message has no limit. */
JSValue js_throw_text(JSContext *ctx, enum js_error kind, str text);
JSValue js_throw_fmt(JSContext *ctx, enum js_error kind, const char *fmt, ...) PRINTF(3, 4);
/* As js_throw_err() for callers of the native ctx: data makes it a ConvexError, as the npm
 * helper does with rejected syscalls. */
JSValue ctx_throw_err(JSContext *ctx, const struct err *e);
/* Records the error that ends the run: no JavaScript runs after it. */
void    run_fail(struct engine *en, const struct err *e);
/* "Must provide arg N `name` to `method`"; false if v is undefined. */
bool    js_arg_given(JSContext *ctx, JSValueConst v, int n, const char *method, const char *name);
/* stringifyValueForError() of the npm package; a string or an exception. */
JSValue js_stringify_for_error(JSContext *ctx, JSValueConst v);

/* --- convert.c --- */

/* js_to_val() whose limit violations read "Invalid argument `arg` for `method`: ...". */
bool js_to_val_arg(JSContext *ctx, JSValueConst v, int how, const char *arg, const char *method,
    struct arena *a, struct val *ret);
/* A plain object by the npm package's isSimpleObject(): 1, 0, or -1 with an exception. */
int  js_is_simple(JSContext *ctx, JSValueConst v);
/* JSON of any engine value that came out of JSON. */
JSValue js_from_json(JSContext *ctx, str json);

/* --- ctx.c --- */

struct method {
	const char      *name; /* "@@asyncIterator" is the symbol */
	int              length;
	JSCFunctionMagic *fn;
	int              magic;
};
/* Own members of a plain object are enumerable, those of a prototype are not. */
bool    js_methods(JSContext *ctx, JSValueConst object, const struct method *m, size_t n, bool own);
/* The run in progress, in its execute phase; NULL with an exception otherwise.  Each operation
 * asks for it first, so this is where what operations leave in the run's arena is bounded. */
struct run *ctx_run(JSContext *ctx);
/* What an object of this class points to, also through proxies; NULL: it is none of them. */
void   *ctx_payload(JSContext *ctx, JSValueConst v, JSClassID id);
/* The same for `this`: NULL with an exception. */
void   *ctx_payload_this(JSContext *ctx, JSValueConst this_val, JSClassID id);
/* name(...) and name.method(...) of what should be a function: else the words about that. */
JSValue ctx_call(JSContext *ctx, JSValueConst fn, const char *name, int argc, JSValueConst *argv);
JSValue ctx_invoke(JSContext *ctx, JSValueConst v, const char *name, const char *method, int argc,
    JSValueConst *argv);
/* A string argument into the run's arena; else the text of an InvalidArgument. */
bool    ctx_arg_str(JSContext *ctx, JSValueConst v, const char *arg, const char *method, str *ret);
/* `object`[atom] = value for new own members; takes value. False with an exception. */
bool    js_put(JSContext *ctx, JSValueConst object, JSAtom atom, JSValue value);
/* Member of argv or undefined. */
static inline JSValueConst
js_arg(int argc, JSValueConst *argv, int i)
{
	return i < argc ? argv[i] : JS_UNDEFINED;
}

/* --- ctx_db.c: the db members of queries and mutations --- */

bool    ctx_db_install(struct engine *en);
JSValue ctx_db_new(struct engine *en, bool writer);

/* --- ctx_query.c --- */

bool    ctx_query_install(struct engine *en);
JSValue ctx_initializer_new(JSContext *ctx, JSValueConst table_name);

/* --- ctx_page.c: paginate() --- */

/* The checks before the query is taken: the options and numItems. */
bool    ctx_page_opts(JSContext *ctx, JSValueConst opts, struct page_opts *ret);
/* The rest of the options. */
bool    ctx_page_cursors(JSContext *ctx, JSValueConst opts, struct page_opts *ret);
JSValue ctx_page(JSContext *ctx, const struct query_spec *spec, struct page_opts *opts);

/* --- ctx_filter.c, ctx_range.c: builders --- */

/* What the parser of query JSON would refuse is kept as JSON (`bad`) until the query starts, so
 * that both faces fail with the parser's words at the same moment. */

bool    ctx_filter_install(struct engine *en);
/* serializeExpression(): an expression object or a literal.  *ret_bad: JSON that only the
 * parser can judge; p == NULL: none. */
bool    ctx_expr_of(JSContext *ctx, JSValueConst v, const struct expr **ret, str *ret_bad);
/* A path of valid identifiers, hence one that needs no parser. */
bool    ctx_path_ok(str path);

struct ranges {                 /* the payload of a range builder */
	bool   consumed;
	size_t n;
	const struct range_expr *v;
	str    bad;             /* JSON of one range expression; p == NULL: none */
};
bool    ctx_range_install(struct engine *en);
/* Runs the callback over a fresh builder and takes what it returns. */
bool    ctx_ranges_of(JSContext *ctx, JSValueConst callback, struct ranges *ret);
/* The same with a search filter builder: JSON array elements. */
bool    ctx_search_of(JSContext *ctx, JSValueConst callback, str *ret_filters);

/* --- ctx_host.c: auth, scheduler, storage, meta, calls --- */

bool    ctx_host_install(struct engine *en, JSValueConst object, enum udf_kind kind);
/* The prelude hands in storage.store and storage.get of mutations, which work with Blobs. */
JSValue ctx_provide_files(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
    int magic);

/* --- ops.c: operations below both faces --- */

/* Those on documents are of txn.h and query.h, with their time as the run's system time: once that
 * is used up they end with OPERATIONAL TXN_SLOW, which ends the run. */
NODISCARD status op_get(struct engine *en, str table, str id, bool is_system, struct doc **ret,
    struct err *e);
NODISCARD status op_insert(struct engine *en, str table, struct val v, struct docid *ret,
    struct err *e);
typedef status op_update_fn(struct txn *t, str table, str id, struct val v, struct doc **ret,
    struct err *e); /* txn_patch, txn_replace */
NODISCARD status op_update(struct engine *en, op_update_fn *update, str table, str id,
    struct val v, struct doc **ret, struct err *e);
NODISCARD status op_delete(struct engine *en, str table, str id, struct doc **ret, struct err *e);
NODISCARD status op_count(struct engine *en, str table, double *ret, struct err *e);
NODISCARD status op_query_open(struct engine *en, const struct query_spec *spec,
    struct query **ret, struct err *e);
NODISCARD status op_query_next(struct engine *en, struct query *q, struct doc **ret,
    struct err *e);
NODISCARD status op_identity(struct engine *en, str *ret_json, struct err *e); /* p == NULL: null */
/* The result is in c->arena, as is what an error says; it ends before the caller's budget. */
NODISCARD status op_run_udf(struct engine *en, struct nested_call *c, struct val *ret,
    struct err *e);
NODISCARD status op_schedule(struct engine *en, const struct nested_call *c, double ts_seconds,
    str *ret_id, struct err *e);
NODISCARD status op_cancel_job(struct engine *en, str id, struct err *e);
NODISCARD status op_create_handle(struct engine *en, const struct nested_call *c, str *ret,
    struct err *e);
NODISCARD status op_page(struct engine *en, const struct query_spec *spec, struct page_opts *o,
    struct page *ret, struct err *e);
NODISCARD status op_request_metadata(struct engine *en, struct buf *ret_json, struct err *e);
void   op_function_metadata(struct engine *en, struct buf *ret_json);
void   op_deployment_metadata(struct engine *en, struct buf *ret_json);
void   op_transaction_metrics(struct engine *en, struct buf *ret_json);
int64_t op_snapshot_ts(struct engine *en);
/* `args` holds claims and expiresInSeconds; appends the token as JSON. */
NODISCARD status op_sign_jwt(struct engine *en, const struct json *args, struct buf *ret_json,
    struct err *e);
/* Appends the result's JSON. */
NODISCARD status op_storage(struct engine *en, const struct storage_call *c, struct buf *ret_json,
    struct err *e);

#endif

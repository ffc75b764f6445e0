/* isolate_int.h - what the files of this folder share.
 *
 * engine.c builds engines, run.c drives runs, ctx*.c is the native ctx, syscall.c the npm
 * helpers' contract, convert.c moves values across, console.c formats, stack.c maps frames.
 *
 * The JSContext lives inside the heap and is restored with it; its opaque pointer is the
 * engine, which lives outside and says what is being run now.
 *
 * Ownership rule of quickjs-ng: a JSValue parameter takes ownership, a JSValueConst does not.
 */
#ifndef ISOLATE_ISOLATE_INT_H
#define ISOLATE_ISOLATE_INT_H

#include <quickjs.h>

#include "isolate/guard.h"
#include "isolate/heap.h"
#include "isolate/isolate.h"

enum phase { PHASE_IMPORT, PHASE_EXECUTE };
enum environment { ENV_UDF, ENV_ANALYZE, ENV_SCHEMA, ENV_AUTH, ENV_APP };

/* The state of one run.  Host memory only; dies with the run's arena. */
struct run {
	const struct run_request *req;  /* NULL while importing for analysis */
	struct run_result        *res;
	struct arena             *arena;
	struct txn               *txn;  /* NULL outside of runs */
	struct query            **queries; /* by queryStream id; NULL: closed */
	size_t                    nqueries;
	struct err                fatal;   /* an error that ended the run: not OK if set */
	bool                      terminated; /* no JavaScript may run any more */
	str                       uncatchable; /* developer error that ended it; p == NULL: none */
	uint64_t                  cpu_start_ns, cpu_limit_ns;
	uint64_t                  cpu_paused_ns; /* since cpu_start_ns, in the host's operations */
	uint64_t                  cpu_before_ns; /* user time before cpu_start_ns */
	uint64_t                  leave_after_ns; /* CPU; 0: never (run_request) */
	uint64_t                  system_ns, system_limit_ns; /* wall time in those operations */
	bool                      clock_paused;
	bool                      left;       /* ended because of leave_after_ns */
	uint64_t                  rng[4];
	double                    now_ms;
	int                       async_pending;
	bool                      internal; /* the function is an internal one (ctx.meta) */
	struct action            *action;   /* NULL: a query or mutation */
};

/* One engine: a heap with a runtime, a context, the prelude and perhaps modules. */
struct engine {
	struct isolate  *iso;
	struct heap     *heap;
	JSRuntime       *rt;
	JSContext       *ctx;
	enum environment env;
	enum phase       phase;
	struct run      *run;      /* what is running now; NULL between runs */
	const struct import_env *import; /* where modules come from in the other environments */
	JSValue           natives; /* the prelude's host object */
	JSValue           wasm;    /* the prelude's stand-in for WebAssembly */
	struct ctx_state *cx;      /* ctx.c's: class ids, atoms, scratch; outside of the heap */
	struct image     *im;      /* engine_int.h: modules and what importing them observed */
};

static inline struct engine *
engine_of(JSContext *ctx)
{
	return JS_GetContextOpaque(ctx);
}

/* --- convert.c --- */

/* A JavaScript value to packed form.  False with a pending exception (the npm helper's
 * texts of convexToJson: unsupported types, undefined in arrays, class instances ...).
 * `undefined_ok`: the top level may be undefined (becomes UNDEFINED), object members that are
 * undefined are dropped; `patch`: members that are undefined become UNDEFINED. */
enum to_val { TO_VAL = 0, TO_VAL_UNDEFINED_OK = 1, TO_VAL_PATCH = 2 };
bool    js_to_val(JSContext *ctx, JSValueConst v, int how, struct arena *a, struct val *ret);
/* Packed to JavaScript; documents' strings are copied into the heap.  Exception on OOM. */
JSValue js_from_val(JSContext *ctx, struct val v);
JSValue js_from_str(JSContext *ctx, str s);
/* Text in the run's arena; false with a pending exception if it is not a string. */
bool    js_to_str(JSContext *ctx, JSValueConst v, struct arena *a, str *ret);

/* Turns an err into what JavaScript sees (spec 04 section 1.2): deterministic kinds throw an
 * Error with message and data; others end the run.  Always returns JS_EXCEPTION. */
JSValue js_throw_err(JSContext *ctx, const struct err *e);
/* Ends the run with a developer error that catch and finally do not see. */
JSValue js_throw_uncatchable(JSContext *ctx, const char *fmt, ...) PRINTF(2, 3);

/* The same: it occupies too much of the host's memory. */
JSValue js_throw_memory(JSContext *ctx);

/* --- installed into a fresh context, in this order (engine.c calls them) --- */

/* ctx.c: native classes and prototypes; makes en->cx. */
void ctx_install_classes(struct engine *en);
/* Frees en->cx, when the engine dies; NULL is fine. */
void ctx_uninstall(struct engine *en);
/* Between runs. */
void ctx_reset(struct engine *en);
/* The ctx object of a query or mutation, for _handler(ctx, args); built in the image. */
JSValue ctx_new(struct engine *en, enum udf_kind kind);
/* The npm package's validateReturnValue(): false with an exception if it is a query. */
bool ctx_result_ok(JSContext *ctx, JSValueConst v);
void syscalls_install(struct engine *en, JSValueConst convex); /* Convex.syscall, asyncSyscall */
/* Console sink, Date, Math.random, crypto, env, text codecs. */
void natives_install(struct engine *en, JSValueConst global);

/* --- the prelude --- */
/* Bytecode or source of js/prelude, linked into the binary (generated at build time). */
extern const unsigned char prelude_js[];
extern const size_t        prelude_js_len;

/* --- image.c, limits.c, observe.c, random.c for the others --- */

/* What the import does cannot be part of an image: the modules are evaluated in each run. */
void engine_taint(struct engine *en);

/* A promise of an outcome, told when the jobs are done (jobs.c): result is owned.  JS_EXCEPTION
 * rejects with the pending exception (unless it is uncatchable: then it propagates). */
JSValue js_promise_of(JSContext *ctx, JSValue result);
JSValue js_promise_of_read(JSContext *ctx, JSValue result); /* of documents: told together */
/* Wrap a call to another function: what that takes is not this run's time. */
void run_pause_clock(struct run *r);
void run_resume_clock(struct run *r);
/* CPU time spent in JavaScript so far (spec 04 section 5.1: user time). */
uint64_t run_user_ns(const struct run *r);
/* Draws from the run's generator (spec 04 section 3.2); marks observed_rng. */
double   run_random(struct engine *en);
void     run_random_bytes(struct engine *en, uint8_t *ret, size_t n);
/* Marks observed_time in the execute phase; in actions the time goes on. */
double   run_now_ms(struct engine *en);
/* An environment variable as this run or import sees it, with its read recorded. */
NODISCARD status run_env_var(struct engine *en, str name, bool *ret_found, str *ret, struct err *e);

/* --- thrown.c, stack.c --- */

/* Message and mapped frames of a thrown value, "Uncaught Error: boom\n    at f
 * (../convex/m.ts:3:8)\n", and ConvexError data. */
void error_describe(struct engine *en, JSValueConst thrown, struct arena *a, str *ret_text,
    str *ret_data);
/* error.stack as user code sees it: mapped frames only. */
void stack_install(struct engine *en);

#endif

/* engine_int.h - engines and images: what engine.c, modules.c, run.c, stack.c and analyze.c
 * share and the native ctx does not see.
 *
 * An image is an engine whose heap is sealed after one entry module's graph was evaluated.
 * The JSValues below are references into that heap: taken before the seal, so a reset keeps
 * them good, and never freed one by one.
 *
 * Thread: the isolate's.
 */
#ifndef ISOLATE_ENGINE_INT_H
#define ISOLATE_ENGINE_INT_H

#include <pthread.h>

#include "base/vec.h"
#include "isolate/guard.h"
#include "isolate/isolate_int.h"
#include "isolate/srcmap.h"
#include "value/doc.h"

#define SPECIFIER_PREFIX "convex:/"

struct module {
	str            path;       /* "messages.js" */
	str            specifier;  /* "convex:/messages.js" */
	struct val     key;        /* the path as index value */
	struct doc    *row;        /* in _modules: one reference; NULL: from an import_env */
	struct doc    *body;       /* in _module_sources: one reference; or NULL */
	str            source;     /* borrowed from body or the import_env */
	str            source_map; /* the same; p == NULL: none */
	struct srcmap *map;        /* parsed at the first error */
	bool           map_tried;
};

struct observed_var {
	str        name;
	struct val key;
	bool       found;
	str        value;
};

/* A property of the entry module's namespace that may be a registered function. */
struct exported {
	str     name;
	JSValue fn;
	JSValue handler;  /* _handler or undefined */
	bool    is_query, is_mutation, is_action, is_internal;
};

struct rejection {
	JSValue promise, reason;
};

/* Of a promise of the host that has not been told. */
enum answer_kind { ANSWER_ALONE, ANSWER_READ };
struct answer {
	JSValue          tell, value;
	enum answer_kind kind;
};

struct image {
	struct arena                 *arena;
	str                           entry;      /* path; n == 0: none yet */
	struct uid                    component;
	VEC(struct module *)          modules;    /* in the order of loading */
	struct doc                   *config;     /* _udf_config row: one reference; or NULL */
	VEC(struct observed_var)      vars;
	VEC(struct exported)          exports;
	struct loglines               logs;       /* console lines of the import */
	VEC(struct rejection)         rejected;   /* now, without a handler */
	VEC(struct answer)            answers;  /* of this run's operations */
	size_t                        told;     /* of them */
	struct rejection             *import_rejected; /* at the seal */
	size_t                        nimport_rejected;
	JSValue                       ctx_query, ctx_mutation;
	JSValue                       ns;         /* of the entry module */
	JSValue                       meta_proto; /* what import.meta inherits from: throws */
	JSValue                       error_proto;
	bool                          linking;    /* static imports may load */
	bool                          tainted;    /* must be evaluated in each run */
	bool                          sealed;
	bool                          names_wasm; /* a module's text has the word WebAssembly */
	struct err                    load_error; /* st not OK: why a module did not load */
	uint64_t                      faults_seen; /* of the heap's, counted in the metrics */
	uint64_t                      used_at;    /* for the LRU */
	uint64_t                      idle_since_ns; /* monotonic */
	size_t                        bytes;      /* in isolate.idle_bytes */
};

struct isolate {
	struct isolate_opts   opts;
	struct arena         *arena;
	pthread_mutex_t       lock;    /* of engines and clock: actions share an isolate */
	VEC(struct engine *)  engines; /* sealed images that nobody uses */
	uint64_t              clock;   /* counts uses */
	size_t                idle_bytes; /* of engines */
	struct engine        *spare;   /* isolate_prepare(); or NULL */
	struct engine        *natives; /* remote_native.c's; NULL: none idle */
};

/* --- engine.c --- */

/* A fresh engine with the prelude evaluated.  INTERNAL if even that fails. */
NODISCARD status engine_new(struct isolate *iso, enum environment env,
    const struct import_env *import, struct engine **ret, struct err *e);
void engine_free(struct engine *en);
/* What the engine may use of this thread's stack: 2 MiB, less where there is less left. */
size_t engine_stack_size(void);
/* The engine calls it around the allocation of a buffer's bytes (tools/quickjs-buffers.patch). */
void engine_buffers(void *opaque, bool on);
void engine_install_limits(struct engine *en);
void engine_install_jobs(struct engine *en);
/* Takes the run as the current one, with its limits in force; returns the one before. */
struct run *engine_enter(struct engine *en, struct run *r);
void        engine_leave(struct engine *en, struct run *before);
/* Runs the queued jobs until there are none or the run is terminated. */
void engine_drain(struct engine *en);
/* Settles the promises of the next operations; false: there are none. */
bool engine_tell(struct engine *en);
/* The promise behind v, which it takes: v itself, or resolved with it. */
JSValue engine_promise(JSContext *ctx, JSValue v);
/* Remembers what is there now as the image. */
void engine_seal(struct engine *en);
void engine_reset(struct engine *en);

/* --- modules.c --- */

/* Loads, links and evaluates the graph of `path`; sets im->ns.  OK also if it failed for a
 * reason that is the function's own: then *ret_error is its text (p == NULL: success). */
NODISCARD status module_import(struct engine *en, str path, str *ret_error, struct err *e);
/* *e = *from, which dies with an engine. */
status err_copy(struct err *e, const struct err *from);
void modules_install(struct engine *en); /* loader callbacks */
/* The module that `name` means in the one with the specifier `base`, loaded; base.n == 0: `name` is
 * a path.  NULL: im->load_error says why not. */
struct module *module_request(struct engine *en, str base, str name);
/* im->load_error as the function's own error (*ret_error), or as the run's. */
NODISCARD status module_load_error(struct image *im, str *ret_error, struct err *e);
struct module *module_by_specifier(struct engine *en, str specifier); /* loaded ones; or NULL */
void modules_clear(struct image *im);
/* True if everything that import observed is the same in this transaction; records the reads. */
NODISCARD status image_check(struct image *im, struct txn *t, const struct isolate_opts *opts,
    bool *ret_same, struct err *e);
/* Seed and time of the import phase, from the component's _udf_config row. */
NODISCARD status image_read_config(struct image *im, struct txn *t, struct err *e);

/* --- image.c --- */

/* A sealed image that fits the request, else a new one, not sealed if it is tainted; the caller's
 * until image_give().  *ret NULL: the import failed, *ret_error
 * is why, in the request's arena. */
extern const str image_left; /* an *ret_error, by its pointer: the run is better off elsewhere */
NODISCARD status image_get(struct isolate *iso, const struct run_request *req,
    struct engine **ret, str *ret_error, struct err *e);
struct image *image_new(void);
void image_free(struct image *im);
/* Seed and clock of the import phase: zeroes where nothing was ever pushed. */
void image_import_settings(struct image *im, struct run *r);
/* Fills im->exports from the namespace: by name. */
void image_note_exports(struct engine *en);
/* Gives back what image_get() took: put back to its image if it was sealed and `whole`, else
 * freed. */
void image_give(struct engine *en, bool whole);

/* --- random.c --- */

void run_seed(struct run *r, const uint8_t seed[32]);

/* --- wasm.c --- */

void wasm_install(struct engine *en, JSValueConst global);

/* --- run.c --- */

/* The run's failure, with the newline that ends all of them. */
void run_fail_text(const struct run_request *req, struct run_result *ret, str text);
/* The same of the run in progress: by a thrown value, which it takes, unless the run has ended for
 * another reason. */
void run_fail_thrown(struct engine *en, JSValue thrown);
void run_fail_exception(struct engine *en); /* the pending one */
/* Runs the jobs, and those that the host's answers make; false if the run has failed with that. */
bool run_drain(struct engine *en);
/* The failure of a function that is not what it is called as; x NULL: there is none. */
void run_refuse(const struct run_request *req, struct run_result *ret, const struct exported *x);
/* The result that a helper of the npm package returned, as text. */
void run_take_json(const struct run_request *req, struct run_result *ret, str text);

/* Nanoseconds that the run's operations may take. */
uint64_t run_system_limit(const struct isolate *iso, const struct run_request *req);

/* --- limits.c --- */

#define SYSTEM_TIME_TEXT "Your request timed out performing too many system operations."

/* The text of what ended the run, if something did (p == NULL: nothing). */
str  run_ended_by(struct engine *en);
/* Ends it because guard_call() did not return normally; the text. */
str  run_broken(struct engine *en, enum jump why);
/* Ends the run because it is better off elsewhere; leave_after_ns must be set. */
void run_leave(struct run *r);
/* Ends the run because of its time; it leaves, if it may. */
void run_out_of_time(struct run *r);
void run_stay(struct run *r); /* it cannot begin anew elsewhere any more */
/* The texts of section 5.1, with this isolate's limit of memory. */
str  limits_time_text(struct arena *a, uint64_t limit_ns);
str  limits_memory_text(struct arena *a, const struct isolate *iso);
/* True if the engine's run has had its time.  Also called by a signal handler. */
bool run_is_over(const struct engine *en);
/* The same, or an action has to end: for long computations that look from time to time. */
bool run_must_end(const struct engine *en);

/* --- guard.c --- */

void guard_install(void); /* the handler of WATCHDOG_SIGNAL */

/* --- stack.c --- */

/* Generated line and column (from 1) to those of the source (from 0); false: no map. */
bool module_position(struct module *m, uint32_t line, uint32_t col, uint32_t *ret_line,
    uint32_t *ret_col);

/* The lines of an engine's stack text, mapped and trimmed, each with a newline. */
void frames_write(struct engine *en, str raw, struct buf *b);

/* --- thrown.c --- */

/* Text of a JavaScript value, lone surrogates replaced; false if it has none (the exception is
 * dropped). */
bool js_text(JSContext *ctx, JSValueConst v, struct arena *a, str *ret);
/* Property of an object as above; false if it is absent or not a string. */
bool js_text_of(JSContext *ctx, JSValueConst obj, const char *name, struct arena *a, str *ret);
/* "Uncaught NAME: MESSAGE", without what is empty. */
str  error_text(struct arena *a, str name, str message);

#endif

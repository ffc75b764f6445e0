/* placement.c - which engine a function runs in.
 *
 * Known by path and the revision of its module, so that a push begins with an open mind.  The
 * memory is bounded: when it is full it is emptied, and heavy functions are found again.
 *
 * Thread: any; placement.lock.  Entries are guarded by it as well.
 */
#include "functions/placement.h"

#include "base/log.h"
#include "functions/functions_int.h"
#include "functions/http_action.h"
#include "node/tier.h"
#include "runtime/metrics.h"
#include "runtime/thread.h"

#define NS_PER_MS    1000000u
#define LEAVE_NS     ((uint64_t)40 * NS_PER_MS) /* CPU in the isolate; then a run is given up */
#define CALL_NS      ((uint64_t)1000 * NS_PER_MS) /* of a call (spec 04 section 5.1) */
#define LIGHT_NS     ((uint64_t)5 * NS_PER_MS)  /* in V8: the isolate would not take long */
#define ACTION_NS    ((uint64_t)200 * NS_PER_MS) /* an action goes elsewhere next time */
#define LIGHT_RUNS   8                          /* in a row, until the function is forgotten */
#define ENTRIES_MAX  4096

static struct metric moved = METRIC_COUNTER("fresnel_tier_moves_total",
    "functions found to need V8");
static struct metric forgotten = METRIC_COUNTER("fresnel_tier_forgotten_total",
    "functions that returned to the isolate, since they need little time in V8");

struct entry {
	int      light;     /* runs in a row */
	bool     back;      /* begins in the isolate, with more time there */
	bool     twice;     /* it left again: no third time */
	uint64_t import_ns; /* back: what V8 needs for its modules, in each run */
};

struct placement {
	struct tier    *tier;
	pthread_mutex_t lock;
	struct map     *heavy; /* key -> struct entry *, owned */
};

static void
forget_all(struct placement *p)
{
	size_t at = 0;
	str    key;
	void  *entry;

	while (map_next(p->heavy, &at, &key, &entry))
		mem_free(entry);
	map_free(p->heavy);
}

struct placement *
placement_new(struct tier *tier)
{
	struct placement *p = MEM_NEW(struct placement);

	p->tier = tier;
	p->heavy = map_new();
	must(pthread_mutex_init(&p->lock, NULL) == 0);
	return p;
}

void
placement_free(struct placement *p)
{
	if (!p)
		return;
	forget_all(p);
	must(pthread_mutex_destroy(&p->lock) == 0);
	mem_free(p);
}

/* --- what is known --- */

/* Where it begins, and what it may use up in the isolate. */
static bool
is_heavy(struct placement *p, str key, uint64_t *ret_leave_ns, uint64_t *ret_import_leave_ns)
{
	struct entry *x;
	uint64_t      run_ns, rest_ns;

	MUTEX_GUARD(&p->lock);
	x = map_get(p->heavy, key);
	*ret_leave_ns = LEAVE_NS;
	*ret_import_leave_ns = 0;
	if (!x || !x->back)
		return x != NULL;
	/* Should it leave again, V8 must have time for the modules and as much for the run. */
	run_ns = LEAVE_NS + x->import_ns;
	rest_ns = x->import_ns < CALL_NS ? (CALL_NS - x->import_ns) / 2 : 0;
	run_ns = run_ns < rest_ns ? run_ns : rest_ns;
	*ret_leave_ns = run_ns > LEAVE_NS ? run_ns : LEAVE_NS;
	*ret_import_leave_ns = CALL_NS;
	return false;
}

static void
note_heavy(struct placement *p, str key)
{
	struct entry *x;

	metric_add(&moved, 1);
	MUTEX_GUARD(&p->lock);
	x = map_get(p->heavy, key);
	if (x) {
		x->twice = x->twice || x->back;
		x->back = false;
		return;
	}
	if (map_count(p->heavy) >= ENTRIES_MAX) {
		forget_all(p);
		p->heavy = map_new();
	}
	(void)map_put(p->heavy, key, MEM_NEW(struct entry));
}

/* Evaluating the modules is a part of each run in V8, while the isolate keeps an image of them: if
 * that alone is more than a function may use up there before it leaves, it gets a second chance. */
static void
note_use(struct placement *p, str key, uint64_t used_ns, uint64_t import_ns)
{
	struct entry *x;

	MUTEX_GUARD(&p->lock);
	x = map_get(p->heavy, key);
	if (!x)
		return;
	if (!x->twice && import_ns > LEAVE_NS) {
		x->back = true;
		x->import_ns = import_ns;
	}
	x->light = used_ns < LIGHT_NS ? x->light + 1 : 0;
	if (x->light < LIGHT_RUNS)
		return;
	mem_free(map_del(p->heavy, key));
	metric_add(&forgotten, 1);
	log_debug("%.*s returns to the isolate", STR_ARG(key));
}

/* --- running --- */

static status
key_of(struct fn_worker *w, struct txn *t, const struct target *g, struct arena *a, str *ret,
    struct err *e)
{
	const struct module_info *m;

	TRY(module_find(w, t, g->module, &m, e));
	*ret = arena_fmt(a, "%.*s at %lld", STR_ARG(g->path), m ? (long long)m->ts : 0);
	return ST_OK;
}

/* FEATURE_UNAVAILABLE: it did not begin. */
static status
run_in_tier(struct placement *p, struct nest *n, str key, const struct run_request *req,
    struct run_result *ret, struct err *e)
{
	status st = tier_run(p->tier, &(struct tier_run){ .iso = n->w->iso, .req = req,
	    .spent_ns = n->w->spent_ns, .kind = n->depth > 0 ? TIER_NESTED : TIER_CALL }, ret, e);

	if (st == ST_FEATURE_UNAVAILABLE)
		return st;
	log_debug("%.*s ran in V8, %.1f ms", STR_ARG(key), (double)ret->user_ns / NS_PER_MS);
	if (st == ST_OK && ret->ok)
		note_use(p, key, ret->user_ns - n->w->spent_ns, ret->import_ns);
	return st;
}

status
placement_run(struct placement *p, struct nest *n, const struct target *g,
    const struct run_request *req, struct run_result *ret, struct err *e)
{
	struct run_request q = *req;
	str                key;
	status             st;

	if (!p || g->system || n->w->stays)
		return isolate_run(n->w->iso, req, ret, e);
	TRY(key_of(n->w, n->txn, g, n->arena, &key, e));
	if (is_heavy(p, key, &q.leave_after_ns, &q.import_leave_ns) && tier_available(p->tier)) {
		st = run_in_tier(p, n, key, req, ret, e);
		if (st != ST_FEATURE_UNAVAILABLE)
			return st;
	}
	if (!tier_available(p->tier))
		q.leave_after_ns = 0;
	st = isolate_run(n->w->iso, &q, ret, e);
	if (!q.leave_after_ns && ret->user_ns > LEAVE_NS)
		tier_regret(p->tier);
	if (st != ST_OK || !ret->left)
		return st;
	note_heavy(p, key);
	n->w->spent_ns += ret->user_ns - ret->import_ns; /* V8 counts its own import */
	log_debug("%.*s leaves the isolate after %.1f ms", STR_ARG(key),
	    (double)ret->user_ns / NS_PER_MS);
	return err_set(e, ST_OPERATIONAL, PLACEMENT_MOVED, "runs elsewhere");
}

/* --- actions --- */

status
placement_action(struct placement *p, struct fn_worker *w, struct txn *t, const struct target *g,
    const struct http_request *http, struct arena *a, struct placed *ret, struct err *e)
{
	*ret = (struct placed){ .key = STR_EMPTY };
	if (!p || !tier_available(p->tier))
		return ST_OK;
	TRY(key_of(w, t, g, a, &ret->key, e));
	if (http)
		ret->key = arena_fmt(a, "%.*s %.*s %.*s", STR_ARG(ret->key), STR_ARG(http->method),
		    STR_ARG(http->path));
	ret->elsewhere = is_heavy(p, ret->key, &ret->leave_after_ns, &ret->import_leave_ns);
	return ST_OK;
}

status
placement_run_action(struct placement *p, struct fn_worker *w, const struct placed *at,
    const struct run_request *req, struct run_result *ret, struct err *e)
{
	status st;

	if (!at->elsewhere)
		note_heavy(p, at->key);
	st = tier_run(
	    p->tier, &(struct tier_run){ .iso = w->iso, .req = req, .kind = TIER_ACTION }, ret, e);
	if (st == ST_FEATURE_UNAVAILABLE)
		return st;
	log_debug("%.*s ran in V8, %.1f ms", STR_ARG(at->key), (double)ret->user_ns / NS_PER_MS);
	if (st == ST_OK && ret->ok)
		note_use(p, at->key, ret->user_ns, ret->import_ns);
	return st;
}

void
placement_learn(struct placement *p, const struct placed *at, const struct run_result *ret)
{
	bool heavy = ret->user_ns > ACTION_NS;

	if (!p)
		return;
	if (heavy)
		tier_regret(p->tier);
	heavy = heavy && ret->user_ns > at->leave_after_ns;
	if (at->key.n && (heavy || ret->wants_wasm))
		note_heavy(p, at->key);
}

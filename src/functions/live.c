/* live.c - queries that somebody watches, and the results that somebody may ask for again.
 *
 * A result (vres) is valid from the snapshot it was computed at until the first commit that
 * touches its read set.  While it is valid it answers everyone who asks the same question; the
 * subscription tells when it stops, and those who hold it are told once.  A result that did
 * not look at the identity belongs to everybody ("shared" key), else to one identity ("own"
 * key); whether a function looks is only known after a run, so the first run of a question is
 * shared, and those whom its result does not fit ask again under their own keys.
 *
 * Results of queries that nobody watches stay in the same table under a byte budget, which
 * makes it the query cache of spec 01 section 8.
 *
 * Considered and dropped: re-running a watched query when it becomes invalid.  Runs happen
 * when a session asks, at the snapshot of its next transition, so that a slow reader costs
 * nothing and every transition has one timestamp.
 *
 * Thread: the loop thread.
 * Memory: an entry owns a reference to its newest result, every watch one to the result it
 * was last given; entries leave in least-recently-used order, first those that nobody asked for
 * a second time, so that a client that pages through everything pushes out only its own pages
 * (segmented LRU: Karedla, Love and Wherry, IEEE Computer 27(3), 1994).
 */
#include "functions/runner_int.h"

#define AGAIN_PART(max) ((max) / 4 * 3) /* of the budget, for what was asked for again */
#define TIME_DEPENDENT_MAX_NS (17ull * 1000000000ull) /* spec 01 section 8 */

struct vres {
	unsigned          refs;
	struct runner    *r;
	struct link       all;     /* in runner.results */
	struct link       dirty;   /* in runner.dirty */
	struct link       holders; /* of struct live_watch */
	struct fn_result *res;     /* one reference */
	struct sub       *sub;     /* NULL: depends on nothing, or invalid */
	ts_t              invalid_at; /* first commit that changed what it read; 0: valid */
	uint64_t          born_ns;
};

struct entry {
	struct link     lru;     /* in runner.once or runner.again */
	bool            again;   /* asked for again since it was computed */
	struct live_key key;
	struct vres    *newest; /* one reference; NULL: none */
	struct link     evals;  /* waiting for the flight */
	bool            flying; /* a run is out */
	bool            observes; /* shared key: the last result looked at the identity */
	size_t          bytes;
};

struct live_watch {
	struct runner  *r;
	struct fn_call *c;      /* one reference; with the journal of the last result */
	struct eval     eval;
	struct vres    *held;   /* one reference; what was last handed out */
	struct link     hold;   /* in held->holders */
	struct link     notify; /* in runner.notify */
	void (*invalidated)(void *arg);
	void *invalidated_arg;
	fn_done done;
	void   *done_arg;
};

/* --- keys --- */

static void
key_part(struct buf *b, str s)
{
	buf_add_u64le(b, s.p ? s.n : UINT64_MAX);
	buf_add(b, s);
}

void
live_keys(const struct fn_call *c, str journal, struct live_key *own, struct live_key *shared)
{
	const struct identity *i = c->identity;
	struct buf             b;

	buf_init(&b, BUF_MAX_DEFAULT);
	key_part(&b, c->path);
	key_part(&b, c->component);
	key_part(&b, c->args_json);
	key_part(&b, journal);
	buf_add_byte(&b, (uint8_t)c->format);
	buf_add_byte(&b, (uint8_t)(c->redact | c->internal_ok << 1 | c->as_http_missing << 2 |
				   identity_is_admin(i) << 3 | i->read_only << 4));
	sha256(buf_str(&b), shared->b);
	key_part(&b, blob_str(i->label));
	key_part(&b, blob_str(i->attributes));
	key_part(&b, blob_str(i->error));
	sha256(buf_str(&b), own->b);
	buf_clear(&b);
}

static str
key_str(const struct live_key *k)
{
	return str_of(k->b, LIVE_KEY);
}

/* --- results --- */

static struct vres *
vres_ref(struct vres *v)
{
	v->refs++;
	return v;
}

static void
vres_unref(struct vres *v)
{
	if (!v || --v->refs > 0)
		return;
	must(!link_joined(&v->holders));
	if (v->sub)
		subs_remove(v->r->subs, v->sub);
	link_leave(&v->all);
	link_leave(&v->dirty);
	fn_result_unref(v->res);
	mem_free(v);
}

/* Subscribes; a result that is older than what the subscriptions have met already is checked
 * against the log instead. */
static struct vres *
vres_new(struct runner *r, struct fn_result *res)
{
	struct vres *v = MEM_NEW(struct vres);
	ts_t         at = 0;

	v->refs = 1;
	v->r = r;
	v->res = fn_result_ref(res);
	v->born_ns = os_mono_ns(r->os);
	link_init(&v->dirty);
	link_init(&v->holders);
	link_before(&r->results, &v->all);
	if (!res->reads || res->reads->n == 0)
		return v;
	if (res->ts < r->processed && db_changed(r->db, res->reads, res->ts, r->processed, &at))
		v->invalid_at = at ? at : res->ts + 1;
	else
		v->sub = subs_add(r->subs, res->reads, v);
	return v;
}

/* True if the result is what a run at `at` would give. */
static bool
vres_covers(const struct vres *v, ts_t at)
{
	if (at < v->res->ts)
		return !v->res->reads || v->res->reads->n == 0 ||
		    !db_changed(v->r->db, v->res->reads, at, v->res->ts, NULL);
	return v->invalid_at == 0 || at < v->invalid_at;
}

/* May answer someone who did not wait for it (spec 04 section 9.2). */
static bool
vres_reusable(const struct vres *v)
{
	return v->res->ok &&
	    (!v->res->observed_time ||
		os_mono_ns(v->r->os) - v->born_ns <= TIME_DEPENDENT_MAX_NS);
}

/* --- entries --- */

static size_t
result_bytes(const struct fn_result *res)
{
	size_t n = sizeof *res + arena_footprint(res->arena);

	for (size_t i = 0; res->reads && i < res->reads->n; i++)
		n += res->reads->ranges[i].lo.n + res->reads->ranges[i].hi.n +
		    sizeof res->reads->ranges[i];
	return n;
}

static struct entry *
entry_get(struct runner *r, const struct live_key *k)
{
	struct entry *e = map_get(r->entries, key_str(k));

	if (e)
		return e;
	e = MEM_NEW(struct entry);
	e->key = *k;
	e->bytes = sizeof *e;
	link_init(&e->evals);
	link_before(&r->once, &e->lru);
	(void)map_put(r->entries, key_str(k), e);
	r->cache_bytes += e->bytes;
	return e;
}

static void
entry_free(struct runner *r, struct entry *e)
{
	(void)map_del(r->entries, key_str(&e->key));
	link_leave(&e->lru);
	r->cache_bytes -= e->bytes;
	if (e->again)
		r->again_bytes -= e->bytes;
	vres_unref(e->newest);
	mem_free(e);
}

/* The youngest of its kind. */
static void
entry_place(struct runner *r, struct entry *e, bool again)
{
	if (e->again)
		r->again_bytes -= e->bytes;
	e->again = again;
	if (again)
		r->again_bytes += e->bytes;
	link_leave(&e->lru);
	link_before(again ? &r->again : &r->once, &e->lru);
}

/* Asked for again.  Those that were not for the longest time make room. */
static void
entry_touch(struct runner *r, struct entry *e)
{
	entry_place(r, e, true);
	while (r->again_bytes > AGAIN_PART(r->cache_max_bytes))
		entry_place(r, LINK_OWNER(r->again.next, struct entry, lru), false);
}

static void
trim_list(struct runner *r, struct link *list)
{
	struct link *l = list->next;

	while (l != list && r->cache_bytes > r->cache_max_bytes) {
		struct entry *e = LINK_OWNER(l, struct entry, lru);

		l = l->next;
		if (!e->flying && !link_joined(&e->evals))
			entry_free(r, e);
	}
}

/* Back under the budget.  Entries with something under way stay. */
static void
cache_trim(struct runner *r)
{
	trim_list(r, &r->once);
	trim_list(r, &r->again);
}

static void
entry_keep(struct runner *r, struct entry *e, struct vres *v)
{
	size_t bytes = sizeof *e + result_bytes(v->res);

	if (e->newest && e->newest->res->ts > v->res->ts)
		return;
	(void)vres_ref(v);
	vres_unref(e->newest);
	e->newest = v;
	r->cache_bytes += bytes - e->bytes;
	if (e->again)
		r->again_bytes += bytes - e->bytes;
	e->bytes = bytes;
	entry_place(r, e, e->again);
}

static struct vres *
entry_fit(struct runner *r, struct entry *e, ts_t at)
{
	if (!e || !e->newest || !vres_reusable(e->newest) || !vres_covers(e->newest, at))
		return NULL;
	entry_touch(r, e);
	return e->newest;
}

/* --- questions --- */

static void
eval_finish(struct eval *ev, struct fn_result *res, struct vres *v, bool ran)
{
	link_leave(&ev->link);
	ev->active = false;
	snapshot_unref(ev->at);
	ev->at = NULL;
	ev->done(ev, res, v, ran);
}

static void
flight_start(struct eval *ev, struct entry *e)
{
	struct job *j = job_new(ev->r, JOB_QUERY);

	e->flying = true;
	j->call = fn_call_ref(ev->c);
	j->at = snapshot_ref(ev->at);
	j->entry = e;
	j->own = ev->own;
	j->shared = ev->shared;
	job_submit(ev->r, j);
}

static void
eval_dispatch(struct eval *ev)
{
	struct runner *r = ev->r;
	ts_t           at = snapshot_ts(ev->at);
	struct entry  *shared = map_get(r->entries, key_str(&ev->shared));
	struct vres   *v = entry_fit(r, shared, at);
	struct entry  *e;

	if (!v)
		v = entry_fit(r, map_get(r->entries, key_str(&ev->own)), at);
	if (v) {
		/* Kept alive over `done`, which may push it out of the cache. */
		(void)vres_ref(v);
		eval_finish(ev, v->res, v, false);
		vres_unref(v);
		return;
	}
	e = entry_get(r, shared && shared->observes ? &ev->own : &ev->shared);
	link_before(&e->evals, &ev->link);
	if (!e->flying)
		flight_start(ev, e);
}

void
eval_start(struct eval *ev, struct snapshot *at)
{
	must(!ev->active);
	if (snapshot_ts(at) > ev->r->processed)
		live_walk(ev->r);
	ev->at = snapshot_ref(at);
	ev->active = true;
	eval_dispatch(ev);
}

void
eval_stop(struct eval *ev)
{
	if (!ev->active)
		return;
	link_leave(&ev->link);
	ev->active = false;
	snapshot_unref(ev->at);
	ev->at = NULL;
}

static bool
key_eq(const struct live_key *a, const struct live_key *b)
{
	return memcmp(a->b, b->b, LIVE_KEY) == 0;
}

/* True if the next run of this call is to have the journal that the last one left. */
static bool
journal_changed(const struct fn_call *c, str journal)
{
	return journal.p && !(c->journal.p && str_eq(c->journal, journal));
}

/* Puts a result where later askers look; also under the journal it left, with which the same
 * question will be asked from now on. */
static void
flight_keep(struct runner *r, const struct job *j, struct vres *v)
{
	const struct fn_result *res = v->res;
	struct live_key         own = j->own, shared = j->shared;

	for (int pass = 0; pass < 2; pass++) {
		entry_get(r, &shared)->observes = res->observed_identity;
		if (res->ok)
			entry_keep(r, entry_get(r, res->observed_identity ? &own : &shared), v);
		if (!journal_changed(j->call, res->journal))
			return;
		live_keys(j->call, res->journal, &own, &shared);
	}
}

void
live_job_done(struct runner *r, struct job *j)
{
	struct fn_result *res = j->res;
	struct vres      *v = NULL;
	struct link       waiting, *l;

	j->entry->flying = false;
	link_take_all(&waiting, &j->entry->evals);
	if (res->st == ST_OK) {
		v = vres_new(r, res);
		flight_keep(r, j, v);
	}
	while ((l = link_first(&waiting)) != NULL) {
		struct eval *ev = LINK_OWNER(l, struct eval, link);

		link_leave(l);
		if (!v)
			eval_finish(ev, res, NULL, true);
		else if ((!res->observed_identity || key_eq(&ev->own, &j->own)) &&
		    vres_covers(v, snapshot_ts(ev->at)))
			eval_finish(ev, res, v, true);
		else
			eval_dispatch(ev);
	}
	vres_unref(v);
	cache_trim(r);
}

/* --- watches --- */

static void
watch_hold(struct live_watch *w, struct vres *v)
{
	(void)vres_ref(v);
	link_leave(&w->hold);
	vres_unref(w->held);
	w->held = v;
	link_before(&v->holders, &w->hold);
	link_leave(&w->notify);
	if (v->invalid_at) {
		link_before(&w->r->notify, &w->notify);
		runner_wake(w->r);
	}
}

/* From now on the query runs with the journal that it left. */
static void
watch_take_journal(struct live_watch *w, str journal)
{
	struct fn_call *c;

	if (!journal_changed(w->c, journal))
		return;
	c = fn_call_copy(w->c, w->c->identity, journal);
	fn_call_unref(w->c);
	w->c = c;
	w->eval.c = c;
	live_keys(c, c->journal, &w->eval.own, &w->eval.shared);
}

static void
watch_eval_done(struct eval *ev, struct fn_result *res, struct vres *v, bool ran)
{
	struct live_watch *w = LINK_OWNER(ev, struct live_watch, eval);

	(void)ran;
	if (v) {
		watch_hold(w, v);
		watch_take_journal(w, res->journal);
	}
	w->done(w->done_arg, res);
}

struct live_watch *
live_watch(struct runner *r, struct fn_call *c, void (*invalidated)(void *arg), void *arg)
{
	struct live_watch *w = MEM_NEW(struct live_watch);

	w->r = r;
	w->c = fn_call_ref(c);
	w->eval.r = r;
	w->eval.c = c;
	w->eval.done = watch_eval_done;
	w->invalidated = invalidated;
	w->invalidated_arg = arg;
	live_keys(c, c->journal, &w->eval.own, &w->eval.shared);
	return w;
}

void
live_unwatch(struct live_watch *w)
{
	if (!w)
		return;
	eval_stop(&w->eval);
	link_leave(&w->hold);
	link_leave(&w->notify);
	vres_unref(w->held);
	fn_call_unref(w->c);
	mem_free(w);
}

void
live_eval(struct live_watch *w, struct snapshot *at, fn_done done, void *arg)
{
	struct vres *v = w->held;

	if (snapshot_ts(at) > w->r->processed)
		live_walk(w->r);
	w->done = done;
	w->done_arg = arg;
	link_leave(&w->notify);
	if (!v || !vres_covers(v, snapshot_ts(at))) {
		eval_start(&w->eval, at);
		return;
	}
	watch_hold(w, vres_ref(v));
	done(arg, v->res);
	vres_unref(v);
}

bool
live_valid(const struct live_watch *w)
{
	return w->held && w->held->invalid_at == 0 && !w->eval.active;
}

/* --- commits --- */

static void
mark_invalid(struct vres *v, ts_t ts)
{
	if (v->invalid_at || ts <= v->res->ts)
		return;
	v->invalid_at = ts;
	link_before(&v->r->dirty, &v->dirty);
}

static void
on_hit(void *arg, void *cookie)
{
	struct runner *r = arg;

	mark_invalid(cookie, r->walk_ts);
}

static void
on_change(void *arg, ts_t ts, str full_key)
{
	struct runner *r = arg;

	r->walk_ts = ts;
	subs_stab(r->subs, full_key, on_hit, r);
}

/* The log has forgotten what happened: everything that depends on data may have changed. */
static void
mark_all_invalid(struct runner *r, ts_t latest)
{
	for (struct link *l = r->results.next; l != &r->results; l = l->next) {
		struct vres *v = LINK_OWNER(l, struct vres, all);

		if (v->sub && v->res->ts < latest)
			mark_invalid(v, v->res->ts > r->processed ? v->res->ts + 1 :
								    r->processed + 1);
	}
}

void
live_walk(struct runner *r)
{
	ts_t         latest = db_latest_ts(r->db);
	struct link *l;

	if (latest <= r->processed)
		return;
	r->walk_ts = r->processed;
	if (!db_changes(r->db, r->processed, on_change, r))
		mark_all_invalid(r, latest);
	r->processed = r->walk_ts > latest ? r->walk_ts : latest;
	while ((l = link_first(&r->dirty)) != NULL) {
		struct vres *v = LINK_OWNER(l, struct vres, dirty);

		link_leave(l);
		subs_remove(r->subs, v->sub);
		v->sub = NULL;
		for (struct link *h = v->holders.next; h != &v->holders; h = h->next) {
			struct live_watch *w = LINK_OWNER(h, struct live_watch, hold);

			if (!w->eval.active && !link_joined(&w->notify))
				link_before(&r->notify, &w->notify);
		}
	}
	if (link_joined(&r->notify))
		runner_wake(r);
}

bool
live_notify(struct runner *r)
{
	struct link       *l = link_first(&r->notify);
	struct live_watch *w;

	if (!l)
		return false;
	link_leave(l);
	w = LINK_OWNER(l, struct live_watch, notify);
	w->invalidated(w->invalidated_arg);
	return true;
}

static void
free_entries(struct runner *r, struct link *list)
{
	struct link *l;

	while ((l = link_first(list)) != NULL) {
		struct entry *e = LINK_OWNER(l, struct entry, lru);

		must(!e->flying && !link_joined(&e->evals));
		entry_free(r, e);
	}
}

void
live_free(struct runner *r)
{
	free_entries(r, &r->once);
	free_entries(r, &r->again);
	must(!link_joined(&r->results));
}

/* Returns their bytes. */
static size_t
entries_check(const struct link *list, bool again)
{
	size_t bytes = 0;

	for (struct link *l = list->next; l != list; l = l->next) {
		const struct entry *e = LINK_OWNER(l, struct entry, lru);

		bytes += e->bytes;
		must(e->again == again);
		must(!link_joined(&e->evals) || e->flying);
		must(!e->newest || e->newest->refs > 0);
	}
	return bytes;
}

/* Every result is subscribed exactly while it is valid and depends on something; who holds an
 * invalid one has been told or is being told; the budget counts what is there. */
void
live_check(const struct runner *r)
{
	size_t subscribed = 0, again;

	must(!link_joined(&r->dirty));
	for (struct link *l = r->results.next; l != &r->results; l = l->next) {
		const struct vres *v = LINK_OWNER(l, struct vres, all);

		subscribed += v->sub != NULL;
		must(v->refs > 0 && !(v->sub && v->invalid_at));
		must(v->sub || v->invalid_at || !v->res->reads || v->res->reads->n == 0);
		must(v->invalid_at == 0 || v->invalid_at > v->res->ts);
	}
	must(subscribed == subs_count(r->subs));
	again = entries_check(&r->again, true);
	must(again == r->again_bytes);
	must(entries_check(&r->once, false) + again == r->cache_bytes);
}

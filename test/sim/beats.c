/* beats.c - a cron that notes each of its times (spec 05 section 3.3).
 *
 * Its mutation writes down which time it ran for; that, its log and the next time are one commit.
 * So whatever dies or fails, no time comes twice or out of order, and a log never says more than
 * what happened.
 *
 * Thread: one, on fibers.  Memory: the call's arena.
 */
#include "bank.h"
#include "functions/crons.h"

#define PERIOD_NS 1000000000ll

static const char crons[] =
    "[{\"identifier\":\"beat\",\"spec\":{\"udfPath\":\"bank.js:beat\",\"udfArgs\":[91,123,125,93],"
    "\"cronSchedule\":{\"type\":\"interval\",\"seconds\":1}}}]";

status
beats_setup(struct txn *t, struct err *e)
{
	struct cron_diff diff = { 0 };
	struct json     *specs;
	status           st;

	TRY(json_parse(txn_arena(t), str_z(crons), &specs, e));
	st = crons_replace(
	    t, specs, os_now_ns(db_os(snapshot_db(txn_snapshot(t)))), &diff, e);
	cron_diff_clear(&diff);
	return st;
}

static int64_t
int_of(struct doc *d, const char *name)
{
	return d ? val_int64(val_get(doc_val(d), str_z(name))) : 0;
}

static bool
last_doc(void *arg, struct doc *d)
{
	*(struct doc **)arg = d;
	return true;
}

static struct val
time_val(struct arena *a, int64_t ns)
{
	struct pack p;
	struct val  v;

	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("at"));
	pack_int64(&p, ns);
	pack_end(&p);
	must(pack_done_in(&p, a, &v, NULL) == ST_OK);
	pack_clear(&p);
	return v;
}

status
beat(const struct native_call *c, struct val *ret, struct err *e)
{
	struct sim  *s = db_os(snapshot_db(txn_snapshot(c->txn)))->arg;
	struct doc  *run, *last = NULL;
	struct docid id;
	int64_t      at;

	TRY(txn_sys_first(c->txn, S("_cron_next_run"), S("by_next_ts"), NULL, 0, &run, e));
	at = int_of(run, "nextTs");
	if (txn_sys_each(c->txn, S("beats"), S("by_creation_time"), NULL, 0, last_doc, &last,
	        NULL) == ST_OK && last && s->server.up) {
		int64_t since = at - int_of(last, "at");

		if (since <= 0 || since % PERIOD_NS != 0)
			sim_fail(s, "a cron ran %lld ns after its last time", (long long)since);
	}
	sim_pause(s, MS / 5);
	TRY(txn_insert(c->txn, S("beats"), time_val(c->arena, at), &id, e));
	if (draw(s, 6) == 0)
		return err_set(e, ST_BAD_REQUEST, "Tired", "no beat this time");
	*ret = val_null;
	return ST_OK;
}

struct beats {
	VEC(int64_t) at;
	size_t       said; /* by logs */
	size_t       failed;
	bool         wrong;
};

static bool
note_beat(void *arg, struct doc *d)
{
	struct beats *b = arg;

	vec_push(&b->at, int_of(d, "at"));
	return true;
}

static bool
note_log(void *arg, struct doc *d)
{
	struct beats *b = arg;
	int64_t       ts = int_of(d, "ts");
	str           type = val_str(val_get(val_get(doc_val(d), S("status")), S("type")));
	bool          there = false;

	for (size_t i = 0; i < b->at.n; i++)
		there = there || b->at.v[i] == ts;
	b->said += there;
	b->failed += str_eq(type, S("err"));
	b->wrong = b->wrong || there != str_eq(type, S("success"));
	return true;
}

void
beats_check_end(struct sim *s)
{
	struct txn  *t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(s->server.db) });
	struct beats b = { { 0 }, 0, 0, false };

	if (txn_sys_each(t, S("beats"), S("by_creation_time"), NULL, 0, note_beat, &b, NULL) !=
	    ST_OK)
		trace(s, "beats: the table was never made");
	must(txn_sys_each(t, S("_cron_job_logs"), S("by_name_and_ts"), NULL, 0, note_log, &b,
	         NULL) == ST_OK);
	if (b.wrong)
		sim_fail(s, "a cron's log says what did not happen");
	for (size_t i = 1; i < b.at.n; i++) {
		if (b.at.v[i] <= b.at.v[i - 1])
			sim_fail(s, "a time of a cron came twice");
	}
	if (b.said + b.failed == 0)
		sim_fail(s, "a cron never ran");
	trace(s, "beats: %zu, of the last runs %zu failed", b.at.n, b.failed);
	vec_clear(&b.at);
	txn_free(t);
}

/* crons.c - see crons.h.
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#include "functions/crons.h"

#include "base/cron.h"
#include "base/map.h"
#include "database/query.h"
#include "value/pack.h"

#define SECOND_NS    1000000000ll
#define LOGS_MAX     5    /* rows kept for each cron */
#define TEXT_MAX     1000 /* bytes of a result, and of the lines, in a log */
#define SOON_NS      (30 * SECOND_NS)
#define NAME(s)      str_z(s)

static const char jobs_table[] = "_cron_jobs", runs_table[] = "_cron_next_run",
		  logs_table[] = "_cron_job_logs";

/* --- times --- */

static int64_t
int_of(struct val v, const char *name)
{
	struct val x = val_get(v, NAME(name));

	return val_kind(x) == VAL_INT64 ? val_int64(x) : 0;
}

static str
text_of(struct val v, const char *name)
{
	struct val x = val_get(v, NAME(name));

	return val_kind(x) == VAL_STRING || val_kind(x) == VAL_BYTES ? val_str(x) : STR_EMPTY;
}

static bool
is_interval(struct val schedule)
{
	return str_eq(text_of(schedule, "type"), S("interval"));
}

static int64_t
period_ns(struct val schedule)
{
	int64_t seconds = int_of(schedule, "seconds");

	return (seconds > 0 ? seconds : 1) * SECOND_NS;
}

/* The schedule as a cron expression (spec 05 section 3.2). */
static str
expression(struct arena *a, struct val s)
{
	str type = text_of(s, "type");
	int minute = (int)int_of(s, "minuteUTC"), hour = (int)int_of(s, "hourUTC");

	if (str_eq(type, S("hourly")))
		return arena_fmt(a, "%d * * * *", minute);
	if (str_eq(type, S("daily")))
		return arena_fmt(a, "%d %d * * *", minute, hour);
	if (str_eq(type, S("weekly")))
		return arena_fmt(a, "%d %d * * %d", minute, hour, (int)int_of(s, "dayOfWeek"));
	if (str_eq(type, S("monthly")))
		return arena_fmt(a, "%d %d %d * *", minute, hour, (int)int_of(s, "day"));
	return text_of(s, "cronExpr");
}

/* The first time of a clock schedule after `after_ns`. */
static status
next_clock(struct arena *a, struct val schedule, int64_t after_ns, int64_t *ret_ns, struct err *e)
{
	struct cron c;
	int64_t     s;

	if (!cron_parse(&c, expression(a, schedule)) || !cron_next(&c, after_ns / SECOND_NS, &s))
		return err_internal(e, "a schedule in _cron_jobs never comes");
	*ret_ns = s * SECOND_NS;
	return ST_OK;
}

/* Of a new cron. */
static status
first_run(struct arena *a, struct val schedule, int64_t now_ns, int64_t *ret_ns, struct err *e)
{
	if (!is_interval(schedule))
		return next_clock(a, schedule, now_ns, ret_ns, e);
	*ret_ns = now_ns;
	return ST_OK;
}

/* What comes behind a run that is over; times of intervals that have passed meanwhile are counted,
 * of clock schedules not. */
static status
next_run(struct arena *a, const struct cron_row *row, int64_t now_ns, int64_t *ret_ns,
    int64_t *ret_skipped, struct err *e)
{
	int64_t period = period_ns(row->schedule);

	*ret_skipped = 0;
	if (!is_interval(row->schedule))
		return next_clock(a, row->schedule, now_ns, ret_ns, e);
	*ret_ns = row->next_ns + period;
	if (*ret_ns < now_ns)
		*ret_skipped = (now_ns - *ret_ns + period - 1) / period;
	*ret_ns += *ret_skipped * period;
	return ST_OK;
}

/* --- reading --- */

static status
get_job(struct txn *t, str id, struct doc **ret, struct err *e)
{
	struct docid parsed;

	*ret = NULL;
	if (id_parse(id, &parsed, NULL) != ST_OK)
		return ST_OK;
	return txn_sys_get(t, parsed, ret, e);
}

static status
read_run(struct txn *t, struct doc *d, bool *ret_found, struct cron_row *ret, struct err *e)
{
	struct val  v = doc_val(d), spec;
	struct doc *job;

	TRY(get_job(t, text_of(v, "cronJobId"), &job, e));
	*ret_found = job != NULL;
	if (!job)
		return ST_OK;
	spec = val_get(doc_val(job), S("cronSpec"));
	*ret = (struct cron_row){ .id = d->id,
		.doc = v,
		.in_progress =
		    str_eq(text_of(val_get(v, S("state")), "type"), S("inProgress")),
		.next_ns = int_of(v, "nextTs"),
		.name = text_of(doc_val(job), "name"),
		.path = text_of(spec, "udfPath"),
		.args_json = text_of(spec, "udfArgs"),
		.schedule = val_get(spec, S("cronSchedule")) };
	return ST_OK;
}

status
cron_find(struct txn *t, str id, bool *ret_found, struct cron_row *ret, struct err *e)
{
	struct docid parsed;
	struct doc  *d;

	*ret_found = false;
	TRY(id_parse(id, &parsed, e));
	TRY(txn_sys_get(t, parsed, &d, e));
	return d ? read_run(t, d, ret_found, ret, e) : ST_OK;
}

status
cron_each_due(struct txn *t, size_t limit, void (*fn)(void *arg, const struct cron_row *row),
    void *arg, struct err *e)
{
	const struct query_spec spec = { .source = QUERY_INDEX_RANGE,
		.table = NAME(runs_table), .index = S("by_next_ts") };
	struct query           *q;
	struct doc             *d;

	TRY(query_open(t, &spec, &q, e));
	for (size_t i = 0; i < limit; i++) {
		struct cron_row row;
		bool            found;

		TRY(query_next(q, &d, e));
		if (!d)
			break;
		TRY(read_run(t, d, &found, &row, e));
		if (found)
			fn(arg, &row);
	}
	query_close(q);
	return ST_OK;
}

/* --- writing: the next run --- */

static void
pack_text(struct pack *p, const char *key, str text)
{
	pack_key(p, NAME(key));
	pack_str(p, text);
}

static void
pack_int(struct pack *p, const char *key, int64_t v)
{
	pack_key(p, NAME(key));
	pack_int64(p, v);
}

/* Takes what is packed as the new row `id`, or as another row of `table` if that is NULL. */
static status
put(struct txn *t, struct pack *p, const char *table, const struct docid *id, struct docid *ret,
    struct err *e)
{
	struct val v;
	status     st;

	pack_end(p);
	st = pack_done(p, &v, e);
	if (st == ST_OK)
		st = id ? txn_sys_replace(t, *id, v, e) :
		          txn_sys_insert(t, NAME(table), v, ret, e);
	pack_clear(p);
	return st;
}

static void
begin_pack(struct pack *p)
{
	pack_init(p);
	p->trusted = true;
	pack_object(p);
}

/* What becomes of a next run; members that are not given stay. */
struct change {
	int64_t next_ns;
	bool    has_prev;
	int64_t prev_ns;
	bool    has_state;
	str     request_id, execution_id; /* in progress; p == NULL: pending */
};

static void
pack_state(struct pack *p, const struct change *c)
{
	pack_key(p, S("state"));
	pack_object(p);
	pack_text(p, "type", c->request_id.p ? S("inProgress") : S("pending"));
	if (c->request_id.p) {
		pack_text(p, "request_id", c->request_id);
		pack_text(p, "execution_id", c->execution_id);
	}
	pack_end(p);
}

static status
change_run(struct txn *t, struct docid id, struct val old, const struct change *c, struct err *e)
{
	struct pack p;

	begin_pack(&p);
	for (size_t i = 0; i < val_count(old); i++) {
		str        name;
		struct val v = val_field_at(old, i, &name);

		if (str_starts(name, S("_")))
			continue;
		pack_key(&p, name);
		pack_val(&p, v);
	}
	/* of a repeated name the last one wins */
	pack_int(&p, "nextTs", c->next_ns);
	if (c->has_prev)
		pack_int(&p, "prevTs", c->prev_ns);
	if (c->has_state)
		pack_state(&p, c);
	return put(t, &p, runs_table, &id, NULL, e);
}

static status
insert_run(struct txn *t, struct docid job, int64_t next_ns, struct err *e)
{
	const struct change pending = { .has_state = true };
	struct docid        id;
	struct pack         p;
	char                text[ID_TEXT_MAX];

	begin_pack(&p);
	pack_text(&p, "cronJobId", str_of(text, id_format(job, text)));
	pack_state(&p, &pending);
	pack_key(&p, S("prevTs"));
	pack_null(&p);
	pack_int(&p, "nextTs", next_ns);
	return put(t, &p, runs_table, NULL, &id, e);
}

status
cron_begin(struct txn *t, const struct cron_row *row, str request_id, str execution_id,
    struct err *e)
{
	return change_run(t, row->id, row->doc,
	    &(struct change){ .next_ns = row->next_ns, .has_state = true,
	        .request_id = request_id, .execution_id = execution_id }, e);
}

/* --- writing: logs --- */

static void
pack_lines(struct pack *p, const struct loglines *logs)
{
	bool       cut = false;
	size_t     total = 0;
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	pack_key(p, S("logLines"));
	pack_object(p);
	pack_key(p, S("logLines"));
	pack_array(p);
	for (size_t i = 0; logs && i < logs->lines.n && !cut; i++) {
		buf_reset(&b);
		logline_pretty(&b, &logs->lines.v[i]);
		total += b.n;
		cut = total > TEXT_MAX;
		if (!cut)
			pack_str(p, buf_str(&b));
	}
	pack_end(p);
	pack_key(p, S("isTruncated"));
	pack_bool(p, cut);
	pack_end(p);
	buf_clear(&b);
}

static void
pack_outcome(struct pack *p, const struct cron_report *r)
{
	bool fits = r->value_json.n <= TEXT_MAX;

	pack_key(p, S("status"));
	pack_object(p);
	pack_text(p, "type", r->ok ? S("success") : S("err"));
	if (r->ok) {
		pack_key(p, S("result"));
		pack_object(p);
		pack_text(p, "type", fits ? S("default") : S("truncated"));
		pack_text(p, fits ? "value" : "truncated_log",
		    str_utf8_cut(r->value_json, TEXT_MAX));
		pack_end(p);
	} else {
		pack_text(p, "error", r->error);
	}
	pack_end(p);
}

struct log_list {
	VEC(struct docid) v; /* oldest first */
};

static bool
collect_log(void *arg, struct doc *d)
{
	struct log_list *list = arg;

	vec_push(&list->v, d->id);
	return true;
}

/* The newest stay. */
static status
trim_logs(struct txn *t, str name, struct err *e)
{
	struct log_list list = { 0 };
	struct val      key = val_of_str(txn_arena(t), name);
	status          st;

	st = txn_sys_each(
	    t, NAME(logs_table), S("by_name_and_ts"), &key, 1, collect_log, &list, e);
	for (size_t i = 0; st == ST_OK && i + LOGS_MAX < list.v.n; i++)
		st = txn_sys_delete(t, list.v.v[i], e);
	vec_clear(&list.v);
	return st;
}

/* `r` NULL: `skipped` runs that did not take place. */
static status
insert_log(struct txn *t, const struct cron_row *row, int64_t ts, const struct cron_report *r,
    int64_t skipped, struct err *e)
{
	struct docid id;
	struct pack  p;

	begin_pack(&p);
	pack_text(&p, "name", row->name);
	pack_int(&p, "ts", ts);
	pack_text(&p, "udfPath", row->path);
	pack_key(&p, S("udfArgs"));
	pack_bytes(&p, row->args_json);
	pack_lines(&p, r ? r->logs : NULL);
	pack_key(&p, S("executionTime"));
	pack_float64(&p, r ? (double)r->run_ns / 1e9 : 0);
	if (r) {
		pack_outcome(&p, r);
	} else {
		pack_key(&p, S("status"));
		pack_object(&p);
		pack_text(&p, "type", S("canceled"));
		pack_int(&p, "num_canceled", skipped);
		pack_end(&p);
	}
	return put(t, &p, logs_table, NULL, &id, e);
}

status
cron_finish(struct txn *t, const struct cron_row *row, const struct cron_report *r,
    uint64_t now_ns, struct err *e)
{
	struct change c = { .has_prev = true, .prev_ns = row->next_ns, .has_state = true };
	int64_t       skipped;

	TRY(next_run(txn_arena(t), row, (int64_t)now_ns, &c.next_ns, &skipped, e));
	TRY(insert_log(t, row, row->next_ns, r, 0, e));
	if (skipped > 0)
		TRY(insert_log(
		    t, row, row->next_ns + period_ns(row->schedule), NULL, skipped, e));
	TRY(trim_logs(t, row->name, e));
	return change_run(t, row->id, row->doc, &c, e);
}

/* --- a push --- */

struct push {
	struct txn       *t;
	struct arena     *a;
	int64_t           now_ns;
	struct map       *old; /* name -> struct doc * of the stored job */
	struct cron_diff *diff;
	status            st;
	struct err       *e;
};

static bool
note_old(void *arg, struct doc *d)
{
	struct push *p = arg;

	(void)map_put(p->old, text_of(doc_val(d), "name"), d);
	return true;
}

static void
pack_schedule(struct pack *p, const struct json *schedule)
{
	pack_key(p, S("cronSchedule"));
	pack_object(p);
	for (size_t i = 0; i < schedule->n; i++) {
		const struct json *v = &schedule->items[i];

		pack_key(p, schedule->keys[i]);
		if (v->kind == JSON_STRING)
			pack_str(p, v->string);
		else
			pack_int64(p, (int64_t)v->number);
	}
	pack_end(p);
}

/* The analysis has the arguments as a list of bytes. */
static str
args_text(struct arena *a, const struct json *list)
{
	char *text = arena_alloc(a, list->n + 1);

	for (size_t i = 0; i < list->n; i++)
		text[i] = (char)(uint8_t)list->items[i].number;
	return str_of(text, list->n);
}

static status
pack_job(struct push *p, str name, const struct json *spec, struct val *ret)
{
	struct pack k;
	status      st;
	str         path = STR_EMPTY;

	(void)json_get_str(spec, "udfPath", &path);
	begin_pack(&k);
	pack_text(&k, "name", name);
	pack_key(&k, S("cronSpec"));
	pack_object(&k);
	pack_text(&k, "udfPath", path);
	pack_key(&k, S("udfArgs"));
	pack_bytes(&k, args_text(p->a, json_get(spec, "udfArgs")));
	pack_schedule(&k, json_get(spec, "cronSchedule"));
	pack_end(&k);
	pack_end(&k);
	st = pack_done_in(&k, p->a, ret, p->e);
	pack_clear(&k);
	return st;
}

static struct val
schedule_of(struct val job)
{
	return val_get(val_get(job, S("cronSpec")), S("cronSchedule"));
}

static status
add_job(struct push *p, str name, struct val job)
{
	struct docid id;
	int64_t      first;

	vec_push(&p->diff->added, name);
	TRY(first_run(p->a, schedule_of(job), p->now_ns, &first, p->e));
	TRY(txn_sys_insert(p->t, NAME(jobs_table), job, &id, p->e));
	return insert_run(p->t, id, first, p->e);
}

static status
find_run(struct push *p, struct docid job, struct doc **ret)
{
	char       text[ID_TEXT_MAX];
	struct val key = val_of_str(p->a, str_of(text, id_format(job, text)));

	return txn_sys_first(p->t, NAME(runs_table), S("by_cron_job_id"), &key, 1, ret, p->e);
}

/* When the old schedule would have come a second time from now on. */
static status
second_run(struct push *p, struct val schedule, int64_t *ret_ns)
{
	if (is_interval(schedule)) {
		*ret_ns = p->now_ns + period_ns(schedule);
		return ST_OK;
	}
	TRY(next_clock(p->a, schedule, p->now_ns, ret_ns, p->e));
	return next_clock(p->a, schedule, *ret_ns, ret_ns, p->e);
}

/* An old schedule that comes often keeps its next run, so that pushes do not postpone it for
 * ever. */
static status
reschedule(struct push *p, struct docid job, struct val from, struct val to)
{
	struct change c = { 0 };
	struct doc   *run;
	int64_t       second;

	TRY(second_run(p, from, &second));
	if (second <= p->now_ns + SOON_NS)
		return ST_OK;
	TRY(find_run(p, job, &run));
	if (!run)
		return ST_OK;
	TRY(first_run(p->a, to, p->now_ns, &c.next_ns, p->e));
	return change_run(p->t, run->id, doc_val(run), &c, p->e);
}

static status
update_job(struct push *p, str name, struct doc *old, struct val job)
{
	struct val from = schedule_of(doc_val(old)), to = schedule_of(job);

	if (val_eq(val_get(doc_val(old), S("cronSpec")), val_get(job, S("cronSpec"))))
		return ST_OK;
	vec_push(&p->diff->updated, name);
	if (!val_eq(from, to))
		TRY(reschedule(p, old->id, from, to));
	return txn_sys_replace(p->t, old->id, job, p->e);
}

static bool
delete_log(void *arg, struct doc *d)
{
	struct push *p = arg;

	p->st = txn_sys_delete(p->t, d->id, p->e);
	return p->st == ST_OK;
}

static status
delete_job(struct push *p, str name, struct doc *old)
{
	struct val  key = val_of_str(p->a, name);
	struct doc *run;

	vec_push(&p->diff->deleted, arena_str(p->a, name)); /* it is the map's */
	TRY(find_run(p, old->id, &run));
	if (run)
		TRY(txn_sys_delete(p->t, run->id, p->e));
	TRY(txn_sys_each(
	    p->t, NAME(logs_table), S("by_name_and_ts"), &key, 1, delete_log, p, p->e));
	TRY(p->st);
	return txn_sys_delete(p->t, old->id, p->e);
}

static status
replace_all(struct push *p, const struct json *specs)
{
	size_t pos = 0;
	void  *old;
	str    name;

	for (size_t i = 0; specs && i < specs->n; i++) {
		struct val job;

		if (!json_get_str(&specs->items[i], "identifier", &name))
			continue;
		TRY(pack_job(p, name, json_get(&specs->items[i], "spec"), &job));
		old = map_del(p->old, name);
		TRY(old ? update_job(p, name, old, job) : add_job(p, name, job));
	}
	while (map_next(p->old, &pos, &name, &old))
		TRY(delete_job(p, name, old));
	return ST_OK;
}

status
crons_replace(struct txn *t, const struct json *specs, uint64_t now_ns, struct cron_diff *ret,
    struct err *e)
{
	struct push p = { .t = t, .a = txn_arena(t), .now_ns = (int64_t)now_ns, .old = map_new(),
		.diff = ret, .e = e };
	status      st;

	st = txn_sys_each(t, NAME(jobs_table), S("by_name"), NULL, 0, note_old, &p, e);
	if (st == ST_OK)
		st = replace_all(&p, specs && specs->kind == JSON_ARRAY ? specs : NULL);
	map_free(p.old);
	return st;
}

void
cron_diff_clear(struct cron_diff *d)
{
	vec_clear(&d->added);
	vec_clear(&d->updated);
	vec_clear(&d->deleted);
}

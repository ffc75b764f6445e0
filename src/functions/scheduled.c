/* scheduled.c - rows of _scheduled_jobs and _scheduled_job_args: see scheduled.h.
 *
 * A row is replaced whole; its members are written in one place (pack_row).
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#include <math.h>

#include "database/query.h"
#include "functions/scheduled.h"
#include "value/pack.h"
#include "value/vjson.h"

#define DAYS_MAX (5.0 * 366.0)
#define DAY_S    86400.0

static const char *const state_names[] = { "pending", "inProgress", "success", "failed",
	"canceled" };

/* --- reading --- */

static str
text_of(struct val v, const char *name)
{
	struct val x = val_get(v, str_z(name));

	return val_kind(x) == VAL_STRING || val_kind(x) == VAL_BYTES ? val_str(x) : STR_EMPTY;
}

static int64_t
int_of(struct val v, const char *name)
{
	struct val x = val_get(v, str_z(name));

	return val_kind(x) == VAL_INT64 ? val_int64(x) : 0;
}

static bool
read_state(struct val row, enum scheduled_state *ret)
{
	str name = text_of(val_get(row, S("state")), "type");

	for (size_t i = 0; i < COUNT_OF(state_names); i++) {
		if (!str_eq(name, str_z(state_names[i])))
			continue;
		*ret = (enum scheduled_state)i;
		return true;
	}
	return false;
}

/* The arguments are in the row (older servers) or in a row of their own. */
static status
read_args(struct txn *t, struct val row, str *ret, struct err *e)
{
	str id = text_of(row, "argsId");
	struct docid parsed;
	struct doc *d = NULL;

	*ret = text_of(row, "udfArgs");
	if (id.n == 0 || id_parse(id, &parsed, NULL) != ST_OK)
		return ST_OK;
	TRY(txn_sys_get(t, parsed, &d, e));
	if (d)
		*ret = text_of(doc_val(d), "args");
	return ST_OK;
}

static status
read_row(struct txn *t, struct doc *d, struct scheduled_row *ret, struct err *e)
{
	struct val v = doc_val(d);
	struct scheduled_row j = { .id = d->id,
		.component = text_of(v, "component"),
		.path = text_of(v, "udfPath"),
		.next_ns = int_of(v, "nextTs"),
		.system_errors = int_of(val_get(v, S("attempts")), "systemErrors"),
		.doc = v };

	if (!read_state(v, &j.state) || !j.path.n)
		return err_internal(e, "a row of _scheduled_jobs is damaged");
	TRY(read_args(t, v, &j.args_json, e));
	*ret = j;
	return ST_OK;
}

status
scheduled_find(struct txn *t, str id, bool *ret_found, struct scheduled_row *ret, struct err *e)
{
	char canonical[ID_TEXT_MAX];
	struct docid parsed;
	struct doc *d = NULL;
	bool ok;

	TRY(id_parse(id, &parsed, e));
	TRY(txn_normalize_id(t, S("_scheduled_functions"), id, &ok, canonical, e));
	if (!ok)
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "expected to be an Id<\"_scheduled_functions\">, got the ID of another table "
		    "instead.");
	TRY(txn_sys_get(t, parsed, &d, e));
	*ret_found = d != NULL;
	return d ? read_row(t, d, ret, e) : ST_OK;
}

/* --- writing --- */

/* What of a row changes. */
struct change {
	enum scheduled_state state;
	str error;                     /* FAILED */
	str request_id, execution_id;  /* IN_PROGRESS */
	int64_t next_ns, completed_ns; /* 0: null */
	int64_t system_errors;
};

static void
pack_text(struct pack *p, const char *key, str text)
{
	pack_key(p, str_z(key));
	pack_str(p, text);
}

static void
pack_int_or_null(struct pack *p, const char *key, int64_t v)
{
	pack_key(p, str_z(key));
	if (v)
		pack_int64(p, v);
	else
		pack_null(p);
}

static void
pack_state(struct pack *p, const struct change *c)
{
	pack_key(p, S("state"));
	pack_object(p);
	pack_text(p, "type", str_z(state_names[c->state]));
	if (c->state == SCHEDULED_FAILED)
		pack_text(p, "error", c->error);
	if (c->state == SCHEDULED_IN_PROGRESS) {
		pack_text(p, "request_id", c->request_id);
		pack_text(p, "execution_id", c->execution_id);
	}
	pack_end(p);
}

static void
pack_change(struct pack *p, const struct change *c)
{
	pack_state(p, c);
	pack_int_or_null(p, "nextTs", c->next_ns);
	pack_int_or_null(p, "completedTs", c->completed_ns);
	pack_key(p, S("attempts"));
	pack_object(p);
	pack_key(p, S("systemErrors"));
	pack_int64(p, c->system_errors);
	pack_key(p, S("occErrors"));
	pack_int64(p, 0);
	pack_end(p);
}

static bool
changes(str name)
{
	return str_eq(name, S("state")) || str_eq(name, S("nextTs")) ||
	       str_eq(name, S("completedTs")) || str_eq(name, S("attempts")) ||
	       str_eq(name, S("_id")) || str_eq(name, S("_creationTime"));
}

static status
write_row(struct txn *t, const struct scheduled_row *j, const struct change *c, struct err *e)
{
	struct pack p;
	struct val v;
	size_t n = val_count(j->doc);
	status st;

	pack_init(&p);
	pack_object(&p);
	for (size_t i = 0; i < n; i++) {
		str name;
		struct val x = val_field_at(j->doc, i, &name);

		if (changes(name))
			continue;
		pack_key(&p, name);
		pack_val(&p, x);
	}
	pack_change(&p, c);
	pack_end(&p);
	st = pack_done(&p, &v, e);
	if (st == ST_OK)
		st = txn_sys_replace(t, j->id, v, e);
	pack_clear(&p);
	return st;
}

/* --- scheduling --- */

status
scheduled_check_time(double at_s, uint64_t now_ns, struct err *e)
{
	double days = (at_s - (double)now_ns / 1e9) / DAY_S;

	if (fabs(days) <= DAYS_MAX) /* false for NaN */
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidScheduledFunctionDelay",
	    "%.3f is more than 5 years in the %s", at_s, days < 0 ? "past" : "future");
}

static status
insert_args(struct txn *t, struct val args, char ret_id[ID_TEXT_MAX], struct err *e)
{
	struct buf json;
	struct pack p;
	struct val v;
	struct docid id;
	status st;

	buf_init(&json, BUF_MAX_DEFAULT);
	buf_add_byte(&json, '[');
	vjson_write(&json, args, VJSON_ENCODED);
	buf_add_byte(&json, ']');
	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	pack_key(&p, S("args"));
	pack_bytes(&p, buf_str(&json));
	pack_end(&p);
	st = pack_done(&p, &v, e);
	if (st == ST_OK)
		st = txn_note_scheduled(t, val_size(args), e);
	if (st == ST_OK)
		st = txn_sys_insert(t, S("_scheduled_job_args"), v, &id, e);
	if (st == ST_OK)
		id_format(id, ret_id);
	pack_clear(&p);
	buf_clear(&json);
	return st;
}

static status
insert_row(struct txn *t, const struct scheduled_new *j, str args_id, int64_t at_ns,
    const struct change *c, char ret_id[ID_TEXT_MAX], struct err *e)
{
	struct pack p;
	struct val v;
	struct docid id;
	status st;

	pack_init(&p);
	pack_object(&p);
	pack_text(&p, "component", j->component);
	pack_text(&p, "udfPath", j->path);
	pack_text(&p, "argsId", args_id);
	pack_key(&p, S("udfArgs"));
	pack_null(&p);
	pack_key(&p, S("originalScheduledTs"));
	pack_int64(&p, at_ns);
	pack_change(&p, c);
	pack_end(&p);
	st = pack_done(&p, &v, e);
	if (st == ST_OK)
		st = txn_sys_insert(t, S("_scheduled_jobs"), v, &id, e);
	if (st == ST_OK)
		id_format(id, ret_id);
	pack_clear(&p);
	return st;
}

/* What a canceled job schedules is canceled, too (section 2.2). */
static status
parent_canceled(struct txn *t, str parent, bool *ret, struct err *e)
{
	struct scheduled_row j;
	bool found;

	*ret = false;
	if (parent.n == 0)
		return ST_OK;
	TRY(scheduled_find(t, parent, &found, &j, e));
	*ret = found && j.state == SCHEDULED_CANCELED;
	return ST_OK;
}

status
scheduled_add(struct txn *t, const struct scheduled_new *j, char ret_id[ID_TEXT_MAX], struct err *e)
{
	int64_t now = (int64_t)j->now_ns, at;
	struct change c = { .state = SCHEDULED_PENDING };
	char args_id[ID_TEXT_MAX];
	bool canceled;

	TRY(parent_canceled(t, j->parent, &canceled, e));
	TRY(insert_args(t, j->args, args_id, e));
	at = (int64_t)(j->at_s * 1e9);
	if (canceled) {
		at = now;
		c.state = SCHEDULED_CANCELED;
		c.completed_ns = now;
	} else {
		c.next_ns = at > now ? at : now;
	}
	return insert_row(t, j, str_z(args_id), at, &c, ret_id, e);
}

status
scheduled_cancel(struct txn *t, str id, uint64_t now_ns, struct err *e)
{
	struct scheduled_row j;
	bool found;

	TRY(scheduled_find(t, id, &found, &j, e));
	if (!found || j.next_ns == 0)
		return ST_OK;
	return write_row(t, &j,
	    &(struct change){ .state = SCHEDULED_CANCELED,
		.completed_ns = (int64_t)now_ns,
		.system_errors = j.system_errors },
	    e);
}

/* --- running --- */

status
scheduled_begin(
    struct txn *t, const struct scheduled_row *j, str request_id, str execution_id, struct err *e)
{
	return write_row(t, j,
	    &(struct change){ .state = SCHEDULED_IN_PROGRESS,
		.next_ns = j->next_ns,
		.request_id = request_id,
		.execution_id = execution_id,
		.system_errors = j->system_errors },
	    e);
}

status
scheduled_finish(struct txn *t, const struct scheduled_row *j, enum scheduled_state state, str why,
    uint64_t now_ns, struct err *e)
{
	return write_row(t, j,
	    &(struct change){ .state = state,
		.error = why,
		.completed_ns = (int64_t)now_ns,
		.system_errors = j->system_errors },
	    e);
}

status
scheduled_postpone(struct txn *t, const struct scheduled_row *j, uint64_t next_ns, struct err *e)
{
	return write_row(t, j,
	    &(struct change){ .state = j->state,
		.next_ns = (int64_t)next_ns,
		.system_errors = j->system_errors + 1 },
	    e);
}

/* --- old ones --- */

static status
delete_job(struct txn *t, struct doc *d, struct err *e)
{
	struct docid args;
	struct doc *row = NULL;
	str id = text_of(doc_val(d), "argsId");

	if (id.n && id_parse(id, &args, NULL) == ST_OK) {
		TRY(txn_sys_get(t, args, &row, e));
		if (row)
			TRY(txn_sys_delete(t, args, e));
	}
	return txn_sys_delete(t, d->id, e);
}

status
scheduled_expire(struct txn *t, uint64_t before_ns, size_t max, size_t *ret_n, struct err *e)
{
	struct pack p;
	struct range_expr range[2] = { { RANGE_GT, S("completedTs"), val_null },
		{ .op = RANGE_LT, .field = S("completedTs") } };
	const struct query_spec spec = { .source = QUERY_INDEX_RANGE,
		.table = S("_scheduled_jobs"),
		.index = S("by_completed_ts"),
		.nrange = 2,
		.range = range };
	struct query *q;
	struct doc *d = NULL;

	pack_init(&p);
	pack_int64(&p, (int64_t)before_ns);
	must(pack_done_in(&p, txn_arena(t), &range[1].value, NULL) == ST_OK);
	pack_clear(&p);
	TRY(query_open(t, &spec, &q, e));
	for (*ret_n = 0; *ret_n < max; ++*ret_n) {
		TRY(query_next(q, &d, e));
		if (!d)
			break;
		TRY(delete_job(t, d, e));
	}
	query_close(q);
	return ST_OK;
}

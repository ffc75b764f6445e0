/* finish.c - finish_push: one transaction that makes the push the running application.
 *
 * Spec 02 section 8.
 *
 * Thread: function workers.  Memory: the transaction's arena; the reply is written before it ends.
 */
#include "deploy/deploy_int.h"
#include "functions/crons.h"

#define MESSAGE_MAX 1024
#define FINISH_TRIES 8

struct finish {
	struct push       *p;
	const struct json *analysis;
	uint64_t           now_ns;
	struct buf        *reply;
};

static void
write_list(struct buf *b, const char *key, const str *v, size_t n)
{
	json_key(b, key);
	buf_add(b, S("["));
	for (size_t i = 0; i < n; i++) {
		json_comma(b);
		json_write_str(b, v[i]);
	}
	buf_add(b, S("]"));
}

static void
write_maybe(struct buf *b, const char *key, str s)
{
	json_key(b, key);
	if (s.p)
		json_write_str(b, s);
	else
		buf_add(b, S("null"));
}

struct outcome {
	str                auth_added, auth_removed;
	struct module_diff modules;
	str                previous_version;
	struct cron_diff   crons;
	struct index_diff  indexes;
	str                previous_schema, next_schema;
};

static void
write_reply(struct buf *b, const struct push *p, const struct outcome *o)
{
	bool version_changed = !str_eq(o->previous_version, p->server_version);

	buf_add(b, S("{\"authDiff\":{\"added\":"));
	buf_add(b, o->auth_added);
	buf_add(b, S(",\"removed\":"));
	buf_add(b, o->auth_removed);
	buf_add(
	    b, S("},\"definitionDiffs\":{\"\":{}},\"componentDiffs\":{\"\":{\"diffType\":{\"type\":"
		 "\"modify\"},\"moduleDiff\":{"));
	write_list(b, "added", o->modules.added.v, o->modules.added.n);
	write_list(b, "removed", o->modules.removed.v, o->modules.removed.n);
	buf_add(b, S("},\"udfConfigDiff\":"));
	if (version_changed && o->previous_version.n) {
		buf_add(b, S("{"));
		write_maybe(b, "previous_version", o->previous_version);
		write_maybe(b, "next_version", p->server_version);
		buf_add(b, S("}"));
	} else {
		buf_add(b, S("null"));
	}
	buf_add(b, S(",\"cronDiff\":{"));
	write_list(b, "added", o->crons.added.v, o->crons.added.n);
	write_list(b, "updated", o->crons.updated.v, o->crons.updated.n);
	write_list(b, "deleted", o->crons.deleted.v, o->crons.deleted.n);
	buf_add(b, S("},\"indexDiff\":"));
	reply_index_diff(b, &o->indexes);
	buf_add(b, S(",\"schemaDiff\":"));
	if (str_eq(o->previous_schema, o->next_schema)) {
		buf_add(b, S("null"));
	} else {
		buf_add(b, S("{"));
		write_maybe(b, "previous_schema", o->previous_schema);
		write_maybe(b, "next_schema", o->next_schema);
		buf_add(b, S("}"));
	}
	buf_add(b, S("}}}"));
}

/* Step 1: what was evaluated must still be what functions will see. */
static status
check_environment(struct txn *t, const struct push *p, struct err *e)
{
	str now;

	TRY(env_user_json(t, txn_arena(t), &now, e));
	if (str_eq(now, p->environment))
		return ST_OK;
	return err_set(
	    e, ST_BAD_REQUEST, "RaceDetected", "Environment variables have changed during push");
}

static status
finish(struct txn *t, void *arg, struct err *e)
{
	struct finish *f = arg;
	struct push   *p = f->p;
	struct outcome o = { 0 };
	status         st;

	buf_reset(f->reply);
	TRY(check_environment(t, p, e));
	TRY(env_check_declared(t, p->definition, e));
	TRY(auth_config_store(t, p->providers, &o.auth_added, &o.auth_removed, e));
	TRY(udf_config_put(t, p, &o.previous_version, e));
	st = modules_replace(t, p, f->analysis, &o.modules, e);
	if (st == ST_OK)
		st = handles_put(t, f->now_ns, e);
	if (st == ST_OK)
		st = crons_replace(t, json_get(json_get(f->analysis, "crons.js"), "cronSpecs"),
		    f->now_ns, &o.crons, e);
	if (st == ST_OK)
		st = node_store_package(t, p, e);
	if (st == ST_OK)
		st = ddl_activate_schema(t, p->has_schema_id ? &p->schema_id : NULL,
		    &o.previous_schema, &o.next_schema, e);
	if (st == ST_OK)
		st = ddl_commit_indexes(t, p->schema, &o.indexes, e);
	if (st == ST_OK)
		write_reply(f->reply, p, &o);
	vec_clear(&o.modules.added);
	vec_clear(&o.modules.removed);
	cron_diff_clear(&o.crons);
	return st;
}

static status
check_request(const struct deploy_request *q, bool *ret_dry, str *ret_token, struct err *e)
{
	str message;

	if (json_get_str(q->body, "message", &message) && message.n > MESSAGE_MAX)
		return err_set(e, ST_BAD_REQUEST, "PushMessageTooLong",
		    "The push message is too long (%zu > maximum %d bytes)", message.n,
		    MESSAGE_MAX);
	if (!json_get_bool(q->body, "dryRun", ret_dry))
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
		    "Failed to deserialize the JSON body into the "
		    "target type: missing field `dryRun`");
	if (!json_get_str(json_get(q->body, "startPush"), "pushToken", ret_token))
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
		    "Failed to deserialize the JSON body into the "
		    "target type: startPush has no pushToken of this server");
	return ST_OK;
}

status
deploy_finish_push(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e)
{
	struct finish f = { .reply = reply, .now_ns = os_now_ns(q->deploy->os) };
	struct json  *analysis;
	bool          dry;
	str           token;
	status        st;

	(void)w;
	TRY(deploy_authorize(q, "Deploy", e));
	TRY(check_request(q, &dry, &token, e));
	if (dry) {
		buf_add(
		    reply, S("{\"authDiff\":{\"added\":[],\"removed\":[]},\"definitionDiffs\":{},"
			     "\"componentDiffs\":{}}"));
		return ST_OK;
	}
	f.p = push_find(q->deploy, token);
	if (!f.p)
		return err_set(e, ST_BAD_REQUEST, "RaceDetected",
		    "Hit an error while pushing:\nThis push is no "
		    "longer known to the server: it was restarted, or others came between. Push "
		    "again.");
	st = json_parse(f.p->arena, f.p->analysis, &analysis, e);
	f.analysis = analysis;
	if (st == ST_OK)
		st = deploy_transact(
		    q->deploy, "_system/finish_push", FINISH_TRIES, finish, &f, ret_ts, e);
	if (st == ST_OCC)
		st = err_set(e, ST_BAD_REQUEST, "ConcurrentPush",
		    "Another push finished at the same time. Are "
		    "there several `npx convex dev` running in this directory?");
	if (st == ST_OK)
		push_forget(q->deploy, token);
	else
		buf_reset(reply);
	if (st != ST_OK && status_deterministic(st))
		err_prefix(e, "Hit an error while pushing:\n");
	push_unref(f.p);
	return st;
}

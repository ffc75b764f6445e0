/* wait.c - what happens around a push: module hashes before it, waiting in it, the report after.
 *
 * Spec 02 sections 4.6, 7.1, 9.
 *
 * Thread: function workers.
 */
#include "deploy/deploy_int.h"

#define WAIT_DEFAULT_MS 10000
#define WAIT_MAX_MS     60000

static bool
write_hash(void *arg, struct doc *d)
{
	struct buf *b = arg;

	json_comma(b);
	buf_add(b, S("{"));
	json_key(b, "path");
	json_write_str(b, deploy_str(doc_val(d), "path"));
	json_key(b, "hash");
	json_write_str(b, deploy_str(doc_val(d), "sha256"));
	json_key(b, "environment");
	json_write_str(b, deploy_str(doc_val(d), "environment"));
	buf_add(b, S("}"));
	return true;
}

status
deploy_get_config_hashes(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e)
{
	struct txn *t;
	uint8_t     seed[32];
	uint64_t    ns;
	str         version;
	status      st;

	(void)w;
	TRY(deploy_authorize(q, "Deploy", e));
	t = deploy_txn(q->deploy, false, "_system/get_config_hashes");
	*ret_ts = txn_ts(t);
	buf_add(reply, S("{\"config\":{\"functions\":\"convex/\"},\"moduleHashes\":["));
	st = txn_sys_each(t, S("_modules"), S("by_path"), NULL, 0, write_hash, reply, e);
	if (st == ST_OK)
		st = udf_config_get(t, &version, seed, &ns, e);
	if (st == ST_OK) {
		buf_add(reply, S("],\"udfServerVersion\":"));
		if (version.n)
			json_write_str(reply, version);
		else
			buf_add(reply, S("null"));
		st = node_reply_version(t, reply, e);
		buf_add(reply, S("}"));
	}
	txn_free(t);
	return st;
}

uint64_t
deploy_wait_ms(const struct json *body)
{
	double ms = WAIT_DEFAULT_MS;

	json_get_num(body, "timeoutMs", &ms);
	return ms < 0 ? 0 : ms > WAIT_MAX_MS ? WAIT_MAX_MS : (uint64_t)ms;
}

static void
write_state(struct buf *b, const struct ddl_state *s)
{
	switch (s->progress) {
	case DDL_IN_PROGRESS:
		buf_fmt(b,
		    "{\"type\":\"inProgress\",\"components\":{\"\":{\"schemaValidationComplete\":%"
		    "s,"
		    "\"indexesComplete\":%zu,\"indexesTotal\":%zu}}}",
		    s->schema_complete ? "true" : "false", s->indexes_complete, s->indexes_total);
		break;
	case DDL_COMPLETE:
		buf_add(b, S("{\"type\":\"complete\"}"));
		break;
	case DDL_RACE:
		buf_add(b, S("{\"type\":\"raceDetected\"}"));
		break;
	case DDL_FAILED:
		buf_add(b, S("{\"type\":\"failed\",\"error\":"));
		json_write_str(b, s->error);
		buf_add(b, S(",\"componentPath\":\"\",\"tableName\":"));
		if (s->table.p)
			json_write_str(b, s->table);
		else
			buf_add(b, S("null"));
		buf_add(b, S("}"));
		break;
	}
}

status
deploy_wait_for_schema(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e)
{
	const struct json *ids = json_get(json_get(q->body, "schemaChange"), "schemaIds");
	struct ddl_state   state;
	struct docid       id;
	struct txn        *t;
	bool               has_id = false;
	str                text;
	status             st;

	(void)w;
	TRY(deploy_authorize(q, "Deploy", e));
	if (!ids)
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
		    "Failed to deserialize the JSON body into the "
		    "target type: missing field `schemaChange`");
	if (json_get_str(ids, "", &text)) {
		TRY(id_parse(text, &id, e));
		has_id = true;
	}
	t = deploy_txn(q->deploy, false, "_system/wait_for_schema");
	*ret_ts = txn_ts(t);
	st = ddl_schema_state(t, has_id ? &id : NULL, &state, e);
	if (st == ST_OK)
		write_state(reply, &state);
	txn_free(t);
	return st;
}

/* Traces of the CLI's own timing: accepted, not kept. */
status
deploy_report_push_completed(struct fn_worker *w, const struct deploy_request *q,
    struct buf *reply, ts_t *ret_ts, struct err *e)
{
	(void)w;
	(void)ret_ts;
	TRY(deploy_authorize(q, "Deploy", e));
	buf_add(reply, S("null"));
	return ST_OK;
}

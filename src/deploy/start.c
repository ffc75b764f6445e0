/* start.c - start_push: evaluate what was pushed, prepare schema and indexes.
 *
 * The steps and their order are spec 02 section 6.  Evaluation happens outside of any transaction
 * that writes; only the schema change at the end does.
 *
 * Thread: function workers.  Memory: the push's arena.
 */
#include "base/enc.h"
#include "deploy/deploy_int.h"

/* Push errors begin with this line; those of the request's own shape do not (section 2.3). */
static status
pushing(status st, struct err *e)
{
	if (st != ST_OK && status_deterministic(st))
		err_prefix(e, "Hit an error while pushing:\n");
	return st;
}

static void
new_token(struct deploy *d, struct push *p)
{
	struct buf b;
	uint8_t    bytes[16];

	os_random(d->os, bytes, sizeof bytes);
	buf_init(&b, 64);
	enc_hex(&b, str_of(bytes, sizeof bytes));
	p->token = arena_str(p->arena, buf_str(&b));
	buf_clear(&b);
}

/* Step 3: the same version keeps seed and time, so that module-level values stay. */
static status
choose_import_phase(struct deploy *d, struct txn *t, struct push *p, struct err *e)
{
	str version;

	TRY(udf_config_get(t, &version, p->seed, &p->import_ns, e));
	if (str_eq(version, p->server_version))
		return ST_OK;
	os_random(d->os, p->seed, sizeof p->seed);
	p->import_ns = os_now_ns(d->os);
	return ST_OK;
}

struct evaluation {
	struct fn_worker    *w;
	struct deploy       *d;
	struct push         *p;
	struct import_env    env;
	struct module_source schema, definition;
};

/* Step 4. */
static status
analyze(struct evaluation *ev, struct err *e)
{
	struct push          *p = ev->p;
	struct module_source *sources =
	    ARENA_ARRAY(p->arena, struct module_source, p->nmodules + 1);
	struct buf            analysis;
	status                st;

	for (size_t i = 0; i < p->nmodules; i++)
		sources[i] = p->modules[i].source;
	ev->env.modules = sources;
	ev->env.nmodules = p->nmodules;
	buf_init(&analysis, BUF_MAX_DEFAULT);
	st = isolate_analyze(fn_worker_isolate(ev->w), &ev->env, p->arena, &analysis, e);
	if (st == ST_OK)
		p->analysis = arena_str(p->arena, buf_str(&analysis));
	else if (status_deterministic(st))
		err_prefix(e, "Loading the pushed modules encountered the following\n    error:\n");
	buf_clear(&analysis);
	return st == ST_OK ? node_analyze_push(ev->d, p, &ev->env, e) : st;
}

/* Step 5. */
static status
evaluate_auth(struct evaluation *ev, struct err *e)
{
	struct push *p = ev->p;
	str          evaluated;

	p->providers = S("[]");
	for (size_t i = 0; i < p->nmodules; i++) {
		const struct module_source *m = &p->modules[i].source;

		if (!str_eq(m->path, S("auth.config.js")))
			continue;
		TRY(isolate_eval(fn_worker_isolate(ev->w), EVAL_AUTH_CONFIG, m, &ev->env, p->arena,
		    &evaluated, e));
		TRY(auth_config_check(p->arena, evaluated, &p->providers, e));
	}
	return ST_OK;
}

/* Step 6. */
static status
evaluate_schema(struct evaluation *ev, struct err *e)
{
	struct push *p = ev->p;
	struct json *j;
	str          text;
	status       st;

	if (!ev->schema.path.n)
		return ST_OK;
	st = isolate_eval(
	    fn_worker_isolate(ev->w), EVAL_SCHEMA, &ev->schema, &ev->env, p->arena, &text, e);
	if (st == ST_OK)
		st = json_parse(p->arena, text, &j, e);
	if (st == ST_OK)
		st = schema_parse(p->arena, j, &p->schema, e);
	if (st != ST_OK && status_deterministic(st))
		err_prefix(e, "Hit an error while evaluating your schema:\n");
	return st;
}

/* Step 7, of an app without components. */
static status
evaluate_definition(struct evaluation *ev, struct err *e)
{
	struct push       *p = ev->p;
	const struct json *children;
	struct json       *j;

	if (!ev->definition.path.n)
		return ST_OK;
	TRY(isolate_eval(fn_worker_isolate(ev->w), EVAL_APP_DEFINITION, &ev->definition, &ev->env,
	    p->arena, &p->definition, e));
	TRY(json_parse(p->arena, p->definition, &j, e));
	children = json_get(j, "childComponents");
	if (children && children->n)
		return err_set(e, ST_BAD_REQUEST, "ComponentsNotSupported",
		    "Components are not supported by this server yet. Remove them from "
		    "convex.config.ts to push.");
	return ST_OK;
}

static status
evaluate(struct evaluation *ev, struct err *e)
{
	TRY(analyze(ev, e));
	TRY(evaluate_auth(ev, e));
	TRY(evaluate_schema(ev, e));
	return evaluate_definition(ev, e);
}

/* Reads and evaluates everything; writes nothing. */
static status
read_push(struct fn_worker *w, const struct deploy_request *q, struct push *p, struct err *e)
{
	struct deploy    *d = q->deploy;
	struct txn       *t = deploy_txn(d, false, "_system/start_push");
	struct evaluation ev = { .w = w, .d = d, .p = p };
	status            st;

	new_token(d, p);
	st = push_read_body(t, q->body, p, &ev.schema, &ev.definition, e);
	if (st == ST_OK)
		st = choose_import_phase(d, t, p, e);
	if (st == ST_OK)
		st = env_user_json(t, p->arena, &p->environment, e);
	if (st == ST_OK)
		st = env_import(d, t, p->arena, &ev.env.vars, &ev.env.nvars, e);
	txn_free(t);
	if (st != ST_OK)
		return st;
	memcpy(ev.env.seed, p->seed, sizeof p->seed);
	ev.env.now_ns = p->import_ns;
	return pushing(evaluate(&ev, e), e);
}

struct change {
	struct push      *p;
	bool              dry;
	struct buf       *reply;
	bool              schema_only; /* evaluate_push: the diff alone */
	struct index_diff diff;
};

/* Step 10 (section 6.1). */
static status
change_schema(struct txn *t, void *arg, struct err *e)
{
	struct change *c = arg;

	memset(&c->diff, 0, sizeof c->diff);
	buf_reset(c->reply);
	TRY(ddl_prepare_indexes(t, c->p->schema, c->dry, &c->diff, e));
	c->p->has_schema_id = false;
	if (c->p->schema && !c->schema_only) {
		TRY(ddl_submit_schema(t, c->p->schema, &c->p->schema_id, e));
		c->p->has_schema_id = true;
	}
	/* The diff lives in the transaction: the reply is written while it does. */
	if (c->schema_only) {
		buf_add(c->reply,
		    S("{\"schemaChange\":{\"allocatedComponentIds\":{},\"schemaIds\":{\"\":null},"
		      "\"indexDiffs\":{\"\":"));
		reply_index_diff(c->reply, &c->diff);
		buf_add(c->reply, S("}}}"));
	} else {
		reply_start_push(c->reply, c->p, &c->diff);
	}
	return ST_OK;
}

status
deploy_start_push(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e)
{
	struct push  *p = push_new();
	struct change c = { .p = p, .reply = reply };
	bool          dry = false, codegen = false;
	status        st;

	json_get_bool(q->body, "dryRun", &dry);
	json_get_bool(q->body, "forCodegen", &codegen);
	c.dry = dry || codegen;
	st = deploy_authorize(q, "Deploy", e);
	if (st == ST_OK)
		st = read_push(w, q, p, e);
	if (st == ST_OK)
		st = pushing(deploy_transact(
				 q->deploy, "_system/start_push", 4, change_schema, &c, ret_ts, e),
		    e);
	if (st == ST_OK)
		push_remember(q->deploy, p);
	else
		buf_reset(reply);
	push_unref(p);
	return st;
}

status
deploy_evaluate_push(struct fn_worker *w, const struct deploy_request *q, struct buf *reply,
    ts_t *ret_ts, struct err *e)
{
	struct push  *p = push_new();
	struct change c = { .p = p, .reply = reply, .dry = true, .schema_only = true };
	struct txn   *t;
	status        st;

	st = deploy_authorize(q, "Deploy", e);
	if (st == ST_OK)
		st = read_push(w, q, p, e);
	if (st == ST_OK) {
		t = deploy_txn(q->deploy, true, "_system/evaluate_push");
		*ret_ts = txn_ts(t);
		st = pushing(change_schema(t, &c, e), e);
		txn_free(t); /* nothing is kept */
	}
	push_unref(p);
	return st;
}

/* functions.h - the functions of js/test/functions.js, bundled with the convex package itself, in a
 * world that has what they need; what each run of them says, as a text that two worlds
 * can be compared by.
 */
#ifndef TEST_UNIT_ISOLATE_FUNCTIONS_H
#define TEST_UNIT_ISOLATE_FUNCTIONS_H

#include <stdio.h>
#include <stdlib.h>

#include "../isolate/world.h"
#include "database/ddl.h"

static char *
read_file(const char *path)
{
	FILE  *f = fopen(path, "rb");
	char  *text;
	size_t n, cap = 4 << 20;

	assert_non_null(f);
	text = mem_alloc(cap);
	n = fread(text, 1, cap - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

/* What m:double and fail:* answer; everything else cannot be resolved. */
static status
nested(void *arg, const struct nested_call *c, struct run_result *caller, struct val *ret,
    struct err *e)
{
	struct world *w = arg;
	struct pack   p;

	(void)caller;
	if (c->handle.n || c->reference.n)
		return err_set(e, ST_BAD_REQUEST, "InvalidReference", "Couldn't resolve %.*s",
		    STR_ARG(c->handle.n ? c->handle : c->reference));
	if (str_eq(c->name, S("fail:plain")))
		return err_set(e, ST_BAD_REQUEST, "Nested", "Uncaught Error: plain\n");
	if (str_eq(c->name, S("fail:data"))) {
		err_set(e, ST_BAD_REQUEST, "Nested", "Uncaught ConvexError: data\n");
		e->data = S("{\"code\":{\"$integer\":\"AQAAAAAAAAA=\"}}");
		return ST_BAD_REQUEST;
	}
	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("args"));
	pack_val(&p, c->args);
	pack_key(&p, S("kind"));
	pack_str(&p, str_z(udf_kind_name(c->kind)));
	pack_key(&p, S("snapshot"));
	pack_bool(&p, c->snapshot_query);
	pack_key(&p, S("limits"));
	pack_bool(&p, c->limits != NULL);
	pack_end(&p);
	assert_int_equal(pack_done_in(&p, w->arena, ret, e), ST_OK);
	pack_clear(&p);
	return ST_OK;
}

/* No keys here. */
static status
sign_nothing(void *arg, const struct json *claims, double seconds, struct buf *ret, struct err *e)
{
	(void)arg, (void)claims, (void)seconds, (void)ret;
	return err_set(e, ST_BAD_REQUEST, "InvalidArgument", "there are no keys");
}

static void
settle(struct world *w)
{
	struct pending_batch *b;

	while ((b = db_take_batch(w->db, 1000)) != NULL)
		assert_int_equal(db_write_batch(w->db, b, NULL), ST_OK);
}

/* Pushes the schema that the bundle exports. */
static void
push_schema(struct world *w)
{
	struct err           e = err_in(NULL);
	struct arena        *a = arena_new();
	const struct schema *s;
	struct index_diff    diff;
	struct docid         id;
	struct json         *j;
	struct txn          *t;
	str                  text, prev, next;
	bool                 more = true;

	world_run(w, UDF_QUERY, "m.js", "schemaText", "[{}]");
	assert_true(w->res.ok);
	text = arena_str(a, val_str(w->res.value));
	assert_int_equal(json_parse(a, text, &j, &e), ST_OK);
	assert_int_equal(schema_parse(a, j, &s, &e), ST_OK);
	t = world_begin(w, true);
	assert_int_equal(ddl_prepare_indexes(t, s, false, &diff, &e), ST_OK);
	assert_int_equal(ddl_submit_schema(t, s, &id, &e), ST_OK);
	world_commit(t);
	while (more) {
		assert_int_equal(ddl_background_step(w->db, &more, &e), ST_OK);
		settle(w);
	}
	t = world_begin(w, true);
	assert_int_equal(ddl_activate_schema(t, &id, &prev, &next, &e), ST_OK);
	assert_int_equal(ddl_commit_indexes(t, s, &diff, &e), ST_OK);
	world_commit(t);
	arena_free(a);
}

static void
open_world(struct world *w, bool syscalls, world_engine *elsewhere, void *arg)
{
	char *source = read_file(JS_BUILD_DIR "/test-functions.js");

	world_open(w);
	w->elsewhere = elsewhere;
	w->elsewhere_arg = arg;
	world_push(w, "m.js", source);
	mem_free(source);
	w->syscalls = syscalls;
	w->host.arg = w;
	w->host.nested = nested;
	w->host.sign_jwt = sign_nothing;
	push_schema(w);
	world_run(w, UDF_MUTATION, "m.js", "seed", "[{}]");
	CHECK_STRZ(world_outcome(w), "null");
}

static bool
is_id_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

/* Ids, cursors and creation times differ between two databases: long runs become "*". */
static void
mask(char *text)
{
	char *out = text;

	while (*text) {
		size_t n = 0, digits = 0;

		while (is_id_char(text[n]))
			digits += text[n++] <= '9';
		if (n >= 31 || (n >= 13 && digits == n)) {
			*out++ = '*';
			text += n;
			if (*text == '.') /* the rest of a time */
				while (*++text >= '0' && *text <= '9')
					;
		} else if (n) {
			memmove(out, text, n);
			out += n;
			text += n;
		} else {
			*out++ = *text++;
		}
	}
	*out = 0;
}

/* Outcome, error data and log lines as one text, malloced. */
static char *
report(struct world *w, enum udf_kind kind, const char *function, const char *args)
{
	struct buf b;
	char      *ret;

	world_run(w, kind, "m.js", function, args);
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, world_outcome(w));
	if (w->res.error_data.p)
		buf_fmt(&b, "\ndata %.*s", STR_ARG(w->res.error_data));
	for (size_t i = 0; i < w->res.logs.lines.n; i++) {
		buf_add_byte(&b, '\n');
		logline_pretty(&b, &w->res.logs.lines.v[i]);
	}
	buf_fmt(&b, "\nobserved identity %d time %d rng %d", w->res.observed_identity,
	    w->res.observed_time, w->res.observed_rng);
	buf_add_byte(&b, 0);
	ret = mem_alloc(b.n);
	memcpy(ret, b.p, b.n);
	buf_clear(&b);
	mask(ret);
	return ret;
}

struct row {
	const char   *function;
	enum udf_kind kind;
	const char   *args; /* NULL: [{}] */
};

#define Q UDF_QUERY
#define M UDF_MUTATION

static const struct row rows[] = {
	{ "kinds", M, NULL },
	{ "insertAll", M, "[{\"value\":{\"a\":1,\"b\":[{\"$integer\":\"AQAAAAAAAAA=\"}]}}]" },
	{ "badValues", M, NULL },
	{ "updates", M, NULL },
	{ "badWrites", M, NULL },
	{ "gets", Q, NULL },
	{ "reads", Q, NULL },
	{ "byId", Q, NULL },
	{ "badQueries", Q, NULL },
	{ "manyOperators", Q, NULL },
	{ "paginate", Q, "[{\"numItems\":5,\"cursor\":null}]" },
	{ "paginate", Q, "[{\"numItems\":100,\"cursor\":null}]" },
	{ "paginateTwice", Q, NULL },
	{ "queryShape", Q, NULL },
	{ "mutationShape", M, NULL },
	{ "unbound", Q, NULL },
	{ "proxied", Q, NULL },
	{ "tables", M, NULL },
	{ "identity", Q, NULL },
	{ "meta", Q, NULL },
	{ "internalMeta", Q, NULL },
	{ "default", Q, NULL },
	{ "requestMeta", M, NULL },
	{ "unavailable", M, NULL },
	{ "calls", M, NULL },
	{ "callsInQuery", Q, NULL },
	{ "returns", Q, "[{\"what\":\"undefined\"}]" },
	{ "returns", Q, "[{\"what\":\"plain\"}]" },
	{ "returns", Q, "[{\"what\":\"set\"}]" },
	{ "returns", Q, "[{\"what\":\"nested\"}]" },
	{ "returns", Q, "[{\"what\":\"hole\"}]" },
	{ "returns", Q, "[{\"what\":\"undefinedElement\"}]" },
	{ "returns", Q, "[{\"what\":\"class\"}]" },
	{ "returns", Q, "[{\"what\":\"function\"}]" },
	{ "returns", Q, "[{\"what\":\"float\"}]" },
	{ "returnsQuery", Q, NULL },
	{ "returnsChained", Q, NULL },
	{ "notAsync", Q, NULL },
	{ "throwsPlain", Q, NULL },
	{ "throwsType", Q, NULL },
	{ "throwsConvex", Q, NULL },
	{ "throwsConvexText", Q, NULL },
	{ "throwsBadData", Q, NULL },
	{ "throwsNul", Q, NULL },
	{ "throwsConvexNul", Q, NULL },
	{ "throwsText", Q, NULL },
	{ "throwsFromDb", Q, NULL },
	{ "rethrows", M, NULL },
	{ "floating", M, NULL },
	{ "floatingCheck", Q, NULL },
	{ "lateRead", Q, NULL },
	{ "lateCount", Q, NULL },
	{ "lateIdentity", Q, NULL },
	{ "lateCall", Q, NULL },
	{ "inTime", Q, NULL },
	{ "turns", M, NULL },
	{ "floatingError", Q, NULL },
	{ "parallel", Q, NULL },
	{ "commitTs", M, NULL },
	{ "returnsCommitTs", M, NULL },
	{ "logs", Q, NULL },
	{ "validated", Q, "[{\"a\":1.5}]" },
	{ "indexed", Q, NULL },
	{ "filtered", Q, NULL },
	{ "relate", M, NULL },
	{ "pages", Q, NULL },
	{ "streams", Q, NULL },
	{ "customized", Q, "[{\"as\":\"me\",\"n\":4}]" },
	{ "secured", Q, NULL },
	{ "securedWrites", M, NULL },
	{ "triggered", M, NULL },
	{ "internalWrite", M, NULL },
};

#endif

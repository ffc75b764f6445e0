/* world.h - a database in memory, an isolate, modules pushed by hand: for the tests here. */
#ifndef TEST_UNIT_ISOLATE_WORLD_H
#define TEST_UNIT_ISOLATE_WORLD_H

#include "test.h"

#include "base/enc.h"
#include "base/hash.h"
#include "base/mem.h"
#include "isolate/isolate.h"
#include "value/vjson.h"

/* Runs a function by other means than the isolate's engine; as isolate_run(). */
typedef status world_engine(void *arg, struct isolate *iso, const struct run_request *q,
    struct run_result *ret, struct err *e);

struct world {
	struct db      *db;
	struct isolate *iso;
	struct arena   *arena;  /* results of the last run */
	uint64_t        now_ns, runs;
	bool            syscalls; /* call through the npm helpers' contract */
	uint64_t        leave_after_ns;
	struct run_result res;
	struct run_host  host;
	world_engine    *elsewhere; /* NULL: isolate_run() */
	void            *elsewhere_arg;
};

/* The smallest registered functions; convex/server's own come as bundles elsewhere. */
#define HELPERS                                                               \
	"const reg = (kind, f, extra) => Object.assign((c, a) => f(c, a), {"     \
	"  ['is' + kind]: true, isPublic: true, _handler: f,"                    \
	"  exportArgs: () => '{\"type\":\"any\"}', exportReturns: () => 'null' }, extra);\n" \
	"const query = (f, x) => reg('Query', f, x), mutation = (f, x) => reg('Mutation', f, x),"  \
	"  action = (f, x) => reg('Action', f, x);\n"

static inline void
world_commit(struct txn *t)
{
	ts_t            ts;
	struct conflict c;
	struct err      e = err_in(NULL);

	if (txn_commit(t, &ts, &c, &e) != ST_OK)
		fail_msg("commit: %.*s", STR_ARG(e.text));
	txn_free(t);
}

static inline struct txn *
world_begin(struct world *w, bool writable)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(w->db), .writable = writable,
	    .writer = S("test") });
}

/* Inserts the row given as JSON; replaces the first one with the same `index` value of `key`. */
static inline void
world_put(struct world *w, const char *table, const char *index, const char *key, str json)
{
	struct txn  *t = world_begin(w, true);
	struct arena *a = txn_arena(t);
	struct val   v, k;
	struct doc  *old = NULL;
	struct docid id;
	struct err   e = err_in(NULL);

	if (vjson_parse(a, json, VJSON_PLAIN, &v, &e) != ST_OK)
		fail_msg("row: %.*s", STR_ARG(e.text));
	if (index) {
		k = val_get(v, str_z(key));
		assert_int_equal(
		    txn_sys_first(t, str_z(table), str_z(index), &k, 1, &old, &e), ST_OK);
	}
	if (old)
		assert_int_equal(txn_sys_delete(t, old->id, &e), ST_OK);
	if (txn_sys_insert(t, str_z(table), v, &id, &e) != ST_OK)
		fail_msg("insert: %.*s", STR_ARG(e.text));
	world_commit(t);
}

static inline void
world_push_map(struct world *w, const char *path, const char *source, const char *map)
{
	struct buf b, hex;
	uint8_t    digest[32];
	struct sha256 *h = sha256_new();

	sha256_add(h, str_z(source));
	sha256_add(h, str_z(map));
	sha256_end_free(h, digest);
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_init(&hex, 100);
	enc_hex(&hex, str_of(digest, 32));
	buf_fmt(&b, "{\"sha256\":\"%.*s\",\"source\":", STR_ARG(buf_str(&hex)));
	json_write_str(&b, str_z(source));
	if (map) {
		buf_addz(&b, ",\"sourceMap\":");
		json_write_str(&b, str_z(map));
	}
	buf_add_byte(&b, '}');
	world_put(w, "_module_sources", "by_sha256", "sha256", buf_str(&b));
	buf_reset(&b);
	buf_fmt(&b, "{\"path\":\"%s\",\"environment\":\"isolate\",\"sha256\":\"%.*s\"}", path,
	    STR_ARG(buf_str(&hex)));
	world_put(w, "_modules", "by_path", "path", buf_str(&b));
	buf_clear(&b);
	buf_clear(&hex);
}

static inline void
world_push(struct world *w, const char *path, const char *source)
{
	world_push_map(w, path, source, NULL);
}

static inline void
world_env(struct world *w, const char *name, const char *value)
{
	char row[300];

	snprintf(row, sizeof row, "{\"name\":\"%s\",\"value\":\"%s\"}", name, value);
	world_put(w, "_environment_variables", "by_name", "name", str_z(row));
}

static inline void
world_open(struct world *w)
{
	struct db_opts o = { .os = os_real(), .instance_name = S("test") };
	struct err     e = err_in(NULL);

	memset(w, 0, sizeof *w);
	store_open_memory(&o.store);
	if (db_open(&o, &w->db, &e) != ST_OK)
		fail_msg("open: %.*s", STR_ARG(e.text));
	w->iso = isolate_new(&(struct isolate_opts){ .os = os_real(),
	    .cloud_url = S("http://127.0.0.1:3210"), .site_url = S("http://127.0.0.1:3211") });
	w->arena = arena_new();
	w->now_ns = 1700000000123456789ULL;
	world_put(w, "_udf_config", NULL, NULL,
	    S("{\"serverVersion\":\"1.48.0\",\"importPhaseRngSeed\":{\"$bytes\":"
	      "\"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"},"
	      "\"importPhaseUnixTimestamp\":{\"$integer\":\"AAAqNv6clxc=\"}}"));
}

static inline void
world_close(struct world *w)
{
	struct pending_batch *b;

	loglines_clear(&w->res.logs);
	isolate_free(w->iso);
	arena_free(w->arena);
	while ((b = db_take_batch(w->db, 100000)) != NULL)
		assert_int_equal(db_write_batch(w->db, b, NULL), ST_OK);
	db_close(w->db);
}

/* Runs it in a transaction of its own (a successful mutation is committed) unless `t` is given. */
static inline status
world_run_in(struct world *w, struct txn *t, enum udf_kind kind, const char *module,
    const char *function, const char *args, struct err *e)
{
	struct txn        *own = t ? NULL : (t = world_begin(w, kind == UDF_MUTATION));
	struct run_request q = { .kind = kind,
		.module = str_z(module),
		.function = str_z(function),
		.txn = t,
		.host = &w->host,
		.identity = { NULL, 0 },
		.request_id = S("0123456789abcdef"),
		.journal = { NULL, 0 },
		.now_ns = w->now_ns,
		.force_syscalls = w->syscalls,
		.leave_after_ns = w->leave_after_ns,
		.instance_name = S("test"),
		.client_ip = { NULL, 0 },
		.client_user_agent = { NULL, 0 } };
	status             st;

	loglines_clear(&w->res.logs);
	arena_reset(w->arena);
	memset(&w->res, 0, sizeof w->res);
	loglines_init(&w->res.logs, w->arena);
	q.arena = w->arena;
	memset(q.seed, (int)++w->runs, sizeof q.seed);
	assert_int_equal(vjson_parse(w->arena, str_z(args), VJSON_PLAIN, &q.args, e), ST_OK);
	st = w->elsewhere ? w->elsewhere(w->elsewhere_arg, w->iso, &q, &w->res, e) :
	    isolate_run(w->iso, &q, &w->res, e);
	if (own && kind == UDF_MUTATION && st == ST_OK && w->res.ok)
		world_commit(own);
	else if (own)
		txn_free(own);
	return st;
}

static inline void
world_run(struct world *w, enum udf_kind kind, const char *module, const char *function,
    const char *args)
{
	struct err e = err_in(w->arena);

	if (world_run_in(w, NULL, kind, module, function, args, &e) != ST_OK)
		fail_msg("%s:%s: %.*s", module, function, STR_ARG(e.text));
}

/* The value as JSON, or "! " and the error text without its last newline. */
static inline str
world_outcome(struct world *w)
{
	struct buf b;
	str        ret;

	if (!w->res.ok) {
		str text = w->res.error;

		if (str_ends(text, S("\n")))
			text.n--;
		return arena_fmt(w->arena, "! %.*s", STR_ARG(text));
	}
	buf_init(&b, BUF_MAX_DEFAULT);
	vjson_write(&b, w->res.value, VJSON_ENCODED);
	ret = arena_str(w->arena, buf_str(&b));
	buf_clear(&b);
	return ret;
}

/* Runs m.js:function and compares. */
#define EXPECT_RUN(w, kind, function, args, want)                             \
	do {                                                                  \
		world_run((w), (kind), "m.js", (function), (args));           \
		CHECK_STRZ(world_outcome(w), (want));                         \
	} while (0)
#define EXPECT(w, function, want) EXPECT_RUN(w, UDF_QUERY, function, "[{}]", want)

#endif

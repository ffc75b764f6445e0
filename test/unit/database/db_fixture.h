/* db_fixture.h - a database in memory with a clock and dice of its own, for the tests of
 * transactions, queries and schema changes.
 *
 * Thread: the test's.  Memory: values live in the fixture's arena.
 */
#ifndef TEST_UNIT_DATABASE_DB_FIXTURE_H
#define TEST_UNIT_DATABASE_DB_FIXTURE_H

#include "test.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "database/db.h"
#include "database/ddl.h"
#include "database/query.h"
#include "database/txn.h"
#include "value/vjson.h"

struct fix {
	uint64_t      now, dice;
	struct os     os;
	struct db    *db;
	struct arena *arena;
	struct err    err;
};

static inline uint64_t
fix_draw(uint64_t *dice)
{
	*dice ^= *dice << 13;
	*dice ^= *dice >> 7;
	*dice ^= *dice << 17;
	return *dice;
}

static inline uint64_t
fix_now(void *arg)
{
	struct fix *f = arg;

	return f->now += 1000;
}

static inline void
fix_random(void *arg, void *ret, size_t n)
{
	struct fix *f = arg;

	for (size_t i = 0; i < n; i++)
		((uint8_t *)ret)[i] = (uint8_t)(fix_draw(&f->dice) >> 32);
}

static inline void
fix_open_store(struct fix *f, str instance, struct store store)
{
	struct db_opts opts;

	memset(f, 0, sizeof *f);
	memset(&opts, 0, sizeof opts);
	f->now = 1700000000123456789u;
	f->dice = 88172645463325252u;
	f->arena = arena_new();
	f->err = err_in(f->arena);
	f->os = (struct os){ .arg = f, .now_ns = fix_now, .mono_ns = fix_now,
		.random = fix_random };
	opts.os = &f->os;
	opts.store = store;
	memset(opts.cursor_key, 7, sizeof opts.cursor_key);
	memset(opts.journal_key, 8, sizeof opts.journal_key);
	opts.instance_name = instance;
	CHECK_EQ(db_open(&opts, &f->db, &f->err), ST_OK);
}

static inline void
fix_open_named(struct fix *f, str instance)
{
	struct store store;

	store_open_memory(&store);
	fix_open_store(f, instance, store);
}

static inline void
fix_open(struct fix *f)
{
	fix_open_named(f, S("carnitas"));
}

/* The store thread's work, all of it. */
static inline void
fix_pump(struct fix *f)
{
	struct pending_batch *b;

	while ((b = db_take_batch(f->db, 1000)) != NULL)
		CHECK_EQ(db_write_batch(f->db, b, NULL), ST_OK);
}

static inline void
fix_close(struct fix *f)
{
	fix_pump(f);
	db_close(f->db);
	arena_free(f->arena);
}

static inline struct txn *
fix_begin_as(struct fix *f, bool writable, bool system, struct uid component)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(f->db), .writable = writable,
	    .system = system, .component = component, .writer = S("messages.js:send") });
}

static inline struct txn *
fix_begin(struct fix *f)
{
	return fix_begin_as(f, true, false, (struct uid){ { 0 } });
}

static inline struct txn *
fix_begin_query(struct fix *f)
{
	return fix_begin_as(f, false, false, (struct uid){ { 0 } });
}

/* Commits and frees. */
static inline status
fix_end(struct fix *f, struct txn *t)
{
	struct conflict c;
	ts_t            ts;
	status          st = txn_commit(t, &ts, &c, &f->err);

	txn_free(t);
	return st;
}

static inline struct val
fix_val(struct fix *f, const char *json)
{
	struct val v;

	CHECK_EQ(vjson_parse(f->arena, arena_str(f->arena, str_z(json)),
		     VJSON_UNDEFINED | VJSON_COMMIT_TS, &v, &f->err),
	    ST_OK);
	return v;
}

/* Inserts and returns the id's text. */
static inline str
fix_insert(struct fix *f, struct txn *t, const char *table, const char *json)
{
	char         text[ID_TEXT_MAX];
	struct docid id;
	status       st = txn_insert(t, str_z(table), fix_val(f, json), &id, &f->err);

	if (st != ST_OK)
		print_error("insert: %.*s\n", STR_ARG(f->err.text));
	CHECK_EQ(st, ST_OK);
	return arena_str(f->arena, str_of(text, id_format(id, text)));
}

/* Checks that `st` is the failure with this code and text. */
#define CHECK_FAILS(f, st, code_, text_)                                      \
	do {                                                                  \
		assert_true((st) != ST_OK);                                   \
		CHECK_STRZ((f)->err.code, code_);                             \
		CHECK_STRZ((f)->err.text, text_);                             \
	} while (0)

static inline struct query_spec *
fix_spec(struct fix *f, const char *json)
{
	struct query_spec *s = ARENA_NEW(f->arena, struct query_spec);
	struct json       *j;

	CHECK_EQ(json_parse(f->arena, arena_str(f->arena, str_z(json)), &j, &f->err), ST_OK);
	CHECK_EQ(query_spec_parse(f->arena, j, "queryStream", s, &f->err), ST_OK);
	return s;
}

/* Runs a query and joins the values of one field with blanks. */
static inline status
fix_query(struct fix *f, struct txn *t, const char *json, const char *field, str *ret)
{
	struct query *q;
	struct doc   *d;
	struct buf    b;
	status        st = query_open(t, fix_spec(f, json), &q, &f->err);

	if (st != ST_OK)
		return st;
	buf_init(&b, BUF_MAX_DEFAULT);
	while ((st = query_next(q, &d, &f->err)) == ST_OK && d) {
		if (b.n)
			buf_add_byte(&b, ' ');
		vjson_write(&b, val_path(doc_val(d), str_z(field)), VJSON_CLEAN);
	}
	query_close(q);
	*ret = arena_str(f->arena, buf_str(&b));
	buf_clear(&b);
	return st;
}

#define CHECK_QUERY(f, t, json, field, want)                                  \
	do {                                                                  \
		str got_ = STR_EMPTY;                                         \
		status st_ = fix_query((f), (t), (json), (field), &got_);     \
		if (st_ != ST_OK)                                             \
			print_error("query: %.*s\n", STR_ARG((f)->err.text)); \
		CHECK_EQ(st_, ST_OK);                                         \
		CHECK_STRZ(got_, want);                                       \
	} while (0)

/* A push of this schema, up to the point where it is active. */
static inline void
fix_push(struct fix *f, const char *schema_json)
{
	const struct schema *s;
	struct index_diff    diff;
	struct docid         id;
	struct json         *j;
	struct txn          *t = fix_begin_as(f, true, true, (struct uid){ { 0 } });
	str                  prev, next;
	bool                 more = true;

	CHECK_EQ(json_parse(f->arena, arena_str(f->arena, str_z(schema_json)), &j, &f->err), ST_OK);
	CHECK_EQ(schema_parse(f->arena, j, &s, &f->err), ST_OK);
	CHECK_EQ(ddl_prepare_indexes(t, s, false, &diff, &f->err), ST_OK);
	CHECK_EQ(ddl_submit_schema(t, s, &id, &f->err), ST_OK);
	CHECK_EQ(fix_end(f, t), ST_OK);
	while (more) {
		CHECK_EQ(ddl_background_step(f->db, &more, &f->err), ST_OK);
		fix_pump(f);
	}
	t = fix_begin_as(f, true, true, (struct uid){ { 0 } });
	CHECK_EQ(ddl_activate_schema(t, &id, &prev, &next, &f->err), ST_OK);
	CHECK_EQ(ddl_commit_indexes(t, s, &diff, &f->err), ST_OK);
	CHECK_EQ(fix_end(f, t), ST_OK);
}

#endif

/* churn_test.c - retention beside those who write: backfills, drops, and files that must not
 * grow.
 *
 * Thread: one.  Memory: everything is freed; the sanitizer build proves it.
 */
#include "db_fixture.h"

#include <sys/stat.h>

#include "database/retention_int.h"
#include "runtime/pause.h"
#include "store/sqlite_int.h"

#define ROOT   ((struct uid){ { 0 } })
#define SECOND RETENTION_SECOND
#define DOCS   600
#define SCHEMA(indexes)                                                                            \
	"{\"tables\":[{\"tableName\":\"t\",\"indexes\":[" indexes "],\"documentType\":null}],"     \
	"\"schemaValidation\":false}"
#define BY_N "{\"indexDescriptor\":\"by_n\",\"fields\":[\"n\"]}"

struct churn {
	struct fix        f;
	struct retention *r;
	str               ids[DOCS];
	uint64_t          dice;
	bool              busy; /* the hook is at work */
};

static uint32_t
draw(struct churn *c, uint32_t below)
{
	return (uint32_t)(fix_draw(&c->dice) >> 33) % below;
}

static void
step(struct churn *c)
{
	uint64_t wait;

	CHECK_EQ(retention_step(c->r, &wait, &c->f.err), ST_OK);
}

static void
fill(struct churn *c)
{
	struct txn *t = fix_begin(&c->f);

	for (size_t i = 0; i < DOCS; i++)
		c->ids[i] =
		    fix_insert(&c->f, t, "t", arena_fmt(c->f.arena, "{\"n\":%u}", draw(c, 50)).p);
	CHECK_EQ(fix_end(&c->f, t), ST_OK);
}

static void
change(struct churn *c)
{
	struct txn *t = fix_begin(&c->f);
	struct doc *d;

	for (uint32_t i = draw(c, 30); i > 0; i--) {
		size_t at = draw(c, DOCS);

		if (!c->ids[at].n)
			c->ids[at] = fix_insert(&c->f, t, "t", "{\"n\":7}");
		else if (draw(c, 5))
			CHECK_EQ(txn_replace(t, STR_EMPTY, c->ids[at],
				     fix_val(&c->f,
					 arena_fmt(c->f.arena, "{\"n\":%u}", draw(c, 50)).p),
				     &d, &c->f.err),
			    ST_OK);
		else {
			CHECK_EQ(txn_delete(t, STR_EMPTY, c->ids[at], &d, &c->f.err), ST_OK);
			c->ids[at].n = 0;
		}
	}
	CHECK_EQ(fix_end(&c->f, t), ST_OK);
}

static struct churn *hooked;

/* What others do while a backfill stands between reading documents and queueing their entries:
 * the documents change, the store writes it, time passes. */
static void
others(const char *name)
{
	struct churn *c = hooked;

	if (c->busy || strcmp(name, "backfill: read") != 0)
		return;
	c->busy = true;
	for (int i = 0; i < 3; i++) {
		change(c);
		fix_pump(&c->f);
		c->f.now += SECOND;
		step(c);
	}
	c->busy = false;
}

static struct docid
start_push(struct churn *c, const char *json, const struct schema **ret)
{
	struct txn       *t = fix_begin_as(&c->f, true, true, ROOT);
	struct index_diff diff;
	struct docid      id;
	struct json      *j;

	CHECK_EQ(json_parse(c->f.arena, str_z(json), &j, &c->f.err), ST_OK);
	CHECK_EQ(schema_parse(c->f.arena, j, ret, &c->f.err), ST_OK);
	CHECK_EQ(ddl_prepare_indexes(t, *ret, false, &diff, &c->f.err), ST_OK);
	CHECK_EQ(ddl_submit_schema(t, *ret, &id, &c->f.err), ST_OK);
	CHECK_EQ(fix_end(&c->f, t), ST_OK);
	return id;
}

static void
finish_push(struct churn *c, const struct schema *s, struct docid id)
{
	struct txn       *t = fix_begin_as(&c->f, true, true, ROOT);
	struct index_diff diff;
	str               prev, next;

	CHECK_EQ(ddl_activate_schema(t, &id, &prev, &next, &c->f.err), ST_OK);
	CHECK_EQ(ddl_commit_indexes(t, s, &diff, &c->f.err), ST_OK);
	CHECK_EQ(fix_end(&c->f, t), ST_OK);
}

/* The store's entries of an index, newest, against those of by_id. */
static void
check_index(struct churn *c, const char *name)
{
	struct snapshot         *s = db_snapshot(c->f.db);
	const struct table_info *t = catalog_table(snapshot_catalog(s), ROOT, S("t"));
	const struct index_info *ix = table_index(t, str_z(name));
	struct store_scan        q = { .tablet = t->tablet,
		       .table_number = t->number,
		       .at = TS_MAX,
		       .limit = 100000 };
	struct store_rows        all, rows;
	struct buf               key;

	buf_init(&key, BUF_MAX_DEFAULT);
	store_rows_init(&all);
	store_rows_init(&rows);
	q.index = t->by_id->id;
	CHECK_EQ(store_scan(&c->f.db->store, &q, &all, NULL), ST_OK);
	q.index = ix->id;
	CHECK_EQ(store_scan(&c->f.db->store, &q, &rows, NULL), ST_OK);
	CHECK_EQ(rows.rows.n, all.rows.n);
	for (size_t i = 0; i < rows.rows.n; i++) {
		buf_reset(&key);
		index_key(&key, ix, doc_val(rows.rows.v[i].doc));
		CHECK(str_eq(str_from(buf_str(&key), INDEX_PREFIX), rows.rows.v[i].key));
	}
	store_rows_clear(&rows);
	store_rows_clear(&all);
	buf_clear(&key);
	snapshot_unref(s);
}

/* Section 4.6: an index is filled while its documents change and while history is erased as soon
 * as it may be; what it holds then is what the table holds.  What was below the bound when the
 * backfill began is gone, and is not missed. */
TEST(backfills_beside_retention)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct retention_opts o = { .index_ns = SECOND / 10,
			.document_ns = SECOND / 10,
			.chunk_rows = 50 };
		const struct schema  *schema;
		struct churn          c = { .dice = seed * 0x9e3779b97f4a7c15u };
		struct docid          id;
		bool                  more = true;

		fix_open(&c.f);
		CHECK_EQ(retention_open(c.f.db, &o, &c.r, NULL), ST_OK);
		fill(&c);
		for (int i = 0; i < 30; i++) {
			change(&c);
			fix_pump(&c.f);
			c.f.now += SECOND;
			step(&c);
		}
		CHECK(retention_state(c.r).revisions_erased > 100);
		id = start_push(&c, SCHEMA(BY_N), &schema);
		hooked = &c;
		pause_hook = others;
		for (int i = 0; more; i++) {
			CHECK(i < 500);
			CHECK_EQ(ddl_background_step(c.f.db, &more, &c.f.err), ST_OK);
			for (int k = 0; k < 4; k++) {
				c.f.now += SECOND;
				step(&c);
			}
			if (draw(&c, 3))
				fix_pump(&c.f);
			if (draw(&c, 3) == 0)
				change(&c);
		}
		pause_hook = NULL;
		finish_push(&c, schema, id);
		fix_pump(&c.f);
		for (int i = 0; i < 40; i++) {
			c.f.now += SECOND;
			step(&c);
		}
		check_index(&c, "by_n");
		check_index(&c, "by_creation_time");
		CHECK(retention_state(c.r).index_bound > db_durable_ts(c.f.db) - SECOND);
		retention_close(c.r);
		fix_close(&c.f);
	}
}

static void
keep_open(void *self)
{
	(void)self;
}

/* Everything that the store was not told is lost. */
static void
crash(struct churn *c, struct store *real, struct store_vtable *kept,
    const struct retention_opts *o)
{
	ts_t     durable = db_durable_ts(c->f.db);
	uint64_t now = c->f.now, random = c->f.dice;

	retention_close(c->r);
	db_close(c->f.db);
	store_memory_crash(real, durable);
	arena_free(c->f.arena);
	fix_open_store(&c->f, S("carnitas"), (struct store){ kept, real->self });
	c->f.now = now + SECOND;
	c->f.dice = random; /* or ids would repeat */
	CHECK_EQ(retention_open(c->f.db, o, &c->r, NULL), ST_OK);
}

/* Section 4.6: a backfill goes on after a crash where the store knows it was, whatever had been
 * queued behind that. */
TEST(backfills_survive_crashes)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct retention_opts o = { .index_ns = SECOND / 10, .document_ns = SECOND / 10 };
		struct churn          c = { .dice = seed * 0x9e3779b97f4a7c15u };
		struct store          real;
		struct store_vtable   kept;
		const struct schema  *schema;
		struct docid          id;
		bool                  more = true;
		int                   steps = 0, crashes = 0;

		store_open_memory(&real);
		kept = *real.v;
		kept.close = keep_open;
		fix_open_store(&c.f, S("carnitas"), (struct store){ &kept, real.self });
		CHECK_EQ(retention_open(c.f.db, &o, &c.r, NULL), ST_OK);
		for (int i = 0; i < 4; i++)
			fill(&c);
		fix_pump(&c.f);
		id = start_push(&c, SCHEMA(BY_N), &schema);
		fix_pump(&c.f);
		while (more) {
			CHECK(++steps < 200);
			CHECK_EQ(ddl_background_step(c.f.db, &more, &c.f.err), ST_OK);
			if (draw(&c, 2))
				fix_pump(&c.f);
			step(&c);
			if (draw(&c, 3) == 0 && crashes < 10) {
				crash(&c, &real, &kept, &o);
				crashes++;
				more = true;
			}
		}
		CHECK(crashes > 0);
		fix_pump(&c.f);
		check_index(&c, "by_n");
		retention_close(c.r);
		fix_close(&c.f);
		store_close(&real);
		(void)schema, (void)id;
	}
}

/* The rows of a dropped index are erased when nobody can read them any more, even if the process
 * ends when it has just found out. */
TEST(dropped_indexes_are_erased)
{
	struct retention_opts    o = { .index_ns = SECOND, .document_ns = 100 * SECOND };
	struct churn             c = { .dice = 5 };
	struct snapshot         *s;
	const struct table_info *t;
	struct uid               index;
	bool                     restarted = false;
	struct store_scan        q = { .at = TS_MAX, .limit = 10 };
	struct store_rows        rows;

	fix_open(&c.f);
	CHECK_EQ(retention_open(c.f.db, &o, &c.r, NULL), ST_OK);
	fill(&c);
	fix_push(&c.f, SCHEMA(BY_N));
	s = db_snapshot(c.f.db);
	t = catalog_table(snapshot_catalog(s), ROOT, S("t"));
	index = table_index(t, S("by_n"))->id;
	q.index = index;
	q.tablet = t->tablet;
	q.table_number = t->number;
	snapshot_unref(s);
	fix_push(&c.f, SCHEMA(""));
	fix_pump(&c.f);
	store_rows_init(&rows);
	CHECK_EQ(store_scan(&c.f.db->store, &q, &rows, NULL), ST_OK);
	CHECK(rows.more);
	store_rows_clear(&rows);
	for (int i = 0; i < 60; i++) {
		c.f.now += SECOND;
		change(&c);
		fix_pump(&c.f);
		step(&c);
		if (c.r->dropped_indexes.n && !restarted) { /* what it had in mind is lost */
			retention_close(c.r);
			CHECK_EQ(retention_open(c.f.db, &o, &c.r, NULL), ST_OK);
			restarted = true;
		}
	}
	CHECK(restarted);
	CHECK_EQ(store_scan(&c.f.db->store, &q, &rows, NULL), ST_OK);
	CHECK(rows.rows.n == 0 && !rows.more);
	store_rows_clear(&rows);
	CHECK(retention_state(c.r).rows_erased >= DOCS);
	retention_close(c.r);
	fix_close(&c.f);
}

/* --- the size of a file --- */

static double
file_mib(const char *path)
{
	struct stat st;

	CHECK_EQ(stat(path, &st), 0);
	return (double)st.st_size / (1 << 20);
}

static void
grow(struct churn *c, str pad, size_t writes)
{
	struct txn   *t = fix_begin(&c->f);
	struct doc   *d;
	struct arena *a = arena_new();

	for (size_t i = 0; i < writes; i++) {
		struct val v;

		CHECK_EQ(vjson_parse(a,
			     arena_fmt(a, "{\"n\":%u,\"pad\":\"%.*s\"}", draw(c, 1000),
				 STR_ARG(pad)),
			     VJSON_UNDEFINED, &v, NULL),
		    ST_OK);
		CHECK_EQ(txn_replace(t, STR_EMPTY, c->ids[draw(c, DOCS)], v, &d, &c->f.err), ST_OK);
	}
	CHECK_EQ(fix_end(&c->f, t), ST_OK);
	arena_free(a);
	fix_pump(&c->f);
}

/* Under churn the file grows to three times what is alive and the slack, and no further, though
 * the windows are 4 minutes and 14 days; without retention it would be twenty times that. */
TEST(files_stop_growing)
{
	static const char *const names[] = { "", "-wal", "-shm", ".lock" };
	char                     dir[] = "/tmp/churn_test.XXXXXX", path[64], pad[800];
	struct retention_opts    o = { .slack_bytes = 1 << 20 };
	struct churn             c = { .dice = 9 };
	struct store             store;
	double                   alive, size = 0;

	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/db.sqlite3", dir);
	CHECK_EQ(store_open_sqlite_plain(path, &store, NULL), ST_OK);
	fix_open_store(&c.f, S("carnitas"), store);
	fill(&c);
	fix_push(&c.f, SCHEMA(BY_N));
	memset(pad, 'x', sizeof pad);
	for (size_t i = 0; i < DOCS; i++)
		grow(&c, str_of(pad, sizeof pad), 2);
	CHECK_EQ(retention_open(c.f.db, &o, &c.r, NULL), ST_OK);
	alive = DOCS * (800 + 450) / 1048576.0; /* with its rows in three indexes and the log */
	for (int i = 0; i < 400; i++) {
		c.f.now += SECOND / 2;
		grow(&c, str_of(pad, sizeof pad), 50);
		step(&c);
		step(&c);
		if (i == 200)
			size = file_mib(path);
	}
	print_message("alive %.1f MiB, file %.1f MiB at half time, %.1f MiB in the end\n", alive,
	    size, file_mib(path));
	CHECK(file_mib(path) <= 3 * alive + 1 + 2); /* pages are not full; the log of SQLite */
	CHECK(file_mib(path) <= size * 1.15);
	CHECK(retention_state(c.r).document_bound < db_latest_ts(c.f.db) - 14 * SECOND);
	retention_close(c.r);
	fix_close(&c.f);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(path, sizeof path, "%s/db.sqlite3%s", dir, names[i]);
		(void)remove(path);
	}
	CHECK_EQ(remove(dir), 0);
}

TEST_RUN(T(backfills_beside_retention), T(backfills_survive_crashes), T(dropped_indexes_are_erased),
    T(files_stop_growing))

/* verify_test.c - a database that was damaged on purpose says what is wrong; one that was killed,
 * or made small, is sound. */
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db_fixture.h"

#include "base/enc.h"
#include "database/verify.h"
#include "os/file.h"
#include "store/logged_int.h"

static char dir[64];
static char path[128];

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/fresnel-verify-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/db", dir);
	return 0;
}

static const char *const ends[] = { "", ".lock", "-wal", "-shm", ".log.1", ".log.2", ".log.3",
	".log.4", ".compact" };

static int
drop_dir(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		char file[200];

		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
		snprintf(file, sizeof file, "%s/was%s", dir, ends[i]);
		unlink(file);
	}
	return rmdir(dir);
}

/* --- a database with a past --- */

#define SCHEMA                                                                                     \
	"{\"tables\":[{\"tableName\":\"people\",\"indexes\":["                                     \
	"{\"indexDescriptor\":\"by_name\",\"fields\":[\"name\"]},"                                 \
	"{\"indexDescriptor\":\"by_age\",\"fields\":[\"age\",\"name\"]}],"                         \
	"\"documentType\":{\"type\":\"any\"}}],\"schemaValidation\":true}"

/* Twelve people; the first is renamed twice, the second is deleted. */
static void
live(struct fix *f)
{
	struct txn *t;
	struct doc *d;
	str         first, second;

	fix_push(f, SCHEMA);
	t = fix_begin(f);
	first = fix_insert(f, t, "people", "{\"name\":\"ann\",\"age\":1}");
	second = fix_insert(f, t, "people", "{\"name\":\"bob\",\"age\":2}");
	for (int i = 3; i <= 12; i++) {
		char json[64];

		snprintf(json, sizeof json, "{\"name\":\"name%02d\",\"age\":%d}", i, i);
		fix_insert(f, t, "people", json);
	}
	CHECK_EQ(fix_end(f, t), ST_OK);
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "{\"name\":\"cleo\"}" : "{\"name\":\"anna\"}";

		t = fix_begin(f);
		CHECK_EQ(txn_patch(t, S("people"), first, fix_val(f, name), &d, &f->err), ST_OK);
		CHECK_EQ(fix_end(f, t), ST_OK);
	}
	t = fix_begin(f);
	CHECK_EQ(txn_delete(t, S("people"), second, &d, &f->err), ST_OK);
	CHECK_EQ(fix_end(f, t), ST_OK);
	fix_pump(f);
}

static void
copy_files(const char *from, const char *to)
{
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		char       a[200], b[200];
		struct buf bytes;

		snprintf(a, sizeof a, "%s%s", from, ends[i]);
		snprintf(b, sizeof b, "%s%s", to, ends[i]);
		unlink(b);
		buf_init(&bytes, SIZE_MAX);
		if (file_read(a, &bytes, NULL) == ST_OK)
			CHECK_EQ(file_write_atomic(b, buf_str(&bytes), NULL), ST_OK);
		buf_clear(&bytes);
	}
}

/* `killed`: with all of it in the commit log and nothing in SQLite, as kill -9 may leave it. */
static void
build(bool killed)
{
	const struct logged_opts opts = { .segment_bytes = 1 << 20, .paused = killed };
	char                     was[160];
	struct store             s;
	struct fix               f;

	snprintf(was, sizeof was, "%s/was", dir);
	CHECK_EQ(store_open_logged_with(killed ? was : path, &opts, &s, NULL), ST_OK);
	fix_open_store(&f, S("carnitas"), s);
	live(&f);
	if (killed)
		copy_files(was, path);
	fix_close(&f);
}

/* --- asking --- */

static void
keep_line(void *arg, str text)
{
	struct buf *lines = arg;

	buf_add(lines, text);
	buf_add_byte(lines, '\n');
}

static struct db_verify
verify_into(struct buf *lines)
{
	struct db_verify v = { 0 };
	struct err       e = err_in(NULL);

	buf_init(lines, BUF_MAX_DEFAULT);
	if (db_verify(path, 20, keep_line, lines, &v, &e) != ST_OK)
		fail_msg("not verified: %.*s", STR_ARG(e.text));
	return v;
}

static struct db_verify
check_sound(void)
{
	struct buf       lines;
	struct db_verify v = verify_into(&lines);

	CHECK_STR(buf_str(&lines), S(""));
	CHECK_EQ(v.problems, 0);
	buf_clear(&lines);
	return v;
}

static void
sql(const char *text)
{
	sqlite3 *db;
	char    *why = NULL;

	CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	CHECK(sqlite3_total_changes(db) > 0);
	CHECK_EQ(sqlite3_close(db), SQLITE_OK);
}

/* What a live database leaves at its end is sound, and everything in it is looked at. */
static void
sound(void **state)
{
	struct db_verify v;

	(void)state;
	build(false);
	v = check_sound();
	CHECK(v.counts.commits >= 5);
	CHECK(v.counts.revisions >= v.counts.documents + 4); /* two renamings, a deletion */
	CHECK(v.entries > v.counts.documents);
	CHECK(v.indexes > 90);
	CHECK_EQ(v.counts.unsummed, 0);
	CHECK_EQ(v.counts.log_records, 0);
	CHECK(v.repeatable > 0);
}

#define CLEO  "json_value LIKE '%cleo%'"
/* The entry of "name10" in by_name. */
#define TEN   "substr(key, 1, 7) = x'106e616d653130'"

/* Every kind of damage is reported by name: the document, the revision, the index. */
static void
damages_have_names(void **state)
{
	const struct {
		const char *why, *damage;
		const char *want[3];
	} rows[] = {
		{ "a changed value", "UPDATE documents SET json_value = replace(json_value, "
				     "'cleo', 'cleA') WHERE " CLEO,
		    { "of table 'people': the revision of 17", "does not match its checksum",
			"index 'by_name' of table 'people': document '" } },
		{ "a revision is missing", "DELETE FROM documents WHERE " CLEO,
		    { "1 of ", "revisions are missing from the document log",
			"index 'by_creation_time' of table 'people'" } },
		{ "an old revision is missing",
		    "DELETE FROM documents WHERE json_value LIKE '%\"anna\"%'",
		    { "does not follow the one before it", "1 of ", "missing" } },
		{ "a revision too many",
		    "INSERT INTO documents SELECT id, ts + 1, table_id, json_value, deleted, ts,"
		    " sum FROM documents WHERE " CLEO,
		    { "does not match its checksum", "1 revisions that nobody wrote",
			"its entry is of another revision" } },
		{ "one for another",
		    "UPDATE documents SET sum = sum + 1 WHERE " CLEO,
		    { "does not match its checksum",
			"the revisions of the document log are not those that were written" } },
		{ "another predecessor", "UPDATE documents SET prev_ts = prev_ts - 1 WHERE " CLEO,
		    { "does not match its checksum", "does not follow the one before it" } },
		{ "a later predecessor", "UPDATE documents SET prev_ts = ts + 1 WHERE " CLEO,
		    { "says that it replaces a later one" } },
		{ "a deletion of nothing",
		    "INSERT INTO documents SELECT randomblob(16), ts, table_id, NULL, 1, NULL, NULL"
		    " FROM documents WHERE " CLEO,
		    { "deletes a document that was never there" } },
		{ "no JSON", "UPDATE documents SET json_value = '{' WHERE " CLEO,
		    { "cannot be read", "checksum" } },
		{ "another _id",
		    "UPDATE documents SET json_value = (SELECT json_value FROM documents"
		    " WHERE json_value LIKE '%name10%') WHERE " CLEO,
		    { "has another _id" } },
		{ "an id of the wrong size", "UPDATE documents SET id = x'00' WHERE " CLEO,
		    { "does not have 16 bytes" } },
		{ "a missing entry", "DELETE FROM indexes WHERE " TEN,
		    { "index 'by_name' of table 'people': document '", "its entry is missing" } },
		{ "a tombstone in its place",
		    "INSERT INTO indexes SELECT index_id, ts + 1, key, 1, NULL, NULL"
		    " FROM indexes WHERE " TEN,
		    { "by_name", "its entry is missing" } },
		{ "an entry for nobody",
		    "INSERT INTO indexes SELECT index_id, ts, x'00' || key, 0, table_id, "
		    "randomblob(16) FROM indexes WHERE " TEN,
		    { "by_name", "there is an entry for it, and it does not exist" } },
		{ "an entry under another key",
		    "UPDATE indexes SET key = x'1061' || key WHERE " TEN,
		    { "its entry is missing",
			"there is an entry for it under a key that it does not have" } },
		{ "an entry of another time", "UPDATE indexes SET ts = ts - 1 WHERE " TEN,
		    { "its entry is of another revision" } },
		{ "an entry of another table",
		    "UPDATE indexes SET table_id = randomblob(16) WHERE " TEN,
		    { "there is an entry for it, of another table" } },
		{ "a document of no table",
		    "UPDATE documents SET table_id = randomblob(16) WHERE " CLEO,
		    { "1 documents are of tables that do not exist" } },
		{ "no totals", "DELETE FROM fresnel_totals",
		    { "the totals of the document log are missing" } },
		{ "a global", "UPDATE persistence_globals SET json_value = '{' "
			      "WHERE key = 'max_repeatable_ts'",
		    { "the global 'max_repeatable_ts' is not JSON" } },
		{ "a bootstrap global", "UPDATE persistence_globals SET json_value = '7' "
					"WHERE key = 'tables_table_id'",
		    { "the global 'tables_table_id' is not an id" } },
		{ "the catalogue",
		    "UPDATE documents SET json_value = replace(json_value, '\"number\"', '\"nr\"')"
		    " WHERE json_value LIKE '%\"name\":\"people\"%'",
		    { "the catalogue cannot be read" } },
	};
	char was[160];

	(void)state;
	snprintf(was, sizeof was, "%s/was", dir);
	build(false);
	copy_files(path, was);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct buf       lines;
		struct db_verify v;
		size_t           at;

		print_message("  %s\n", rows[i].why);
		copy_files(was, path);
		sql(rows[i].damage);
		v = verify_into(&lines);
		CHECK(v.problems > 0);
		for (size_t j = 0; j < COUNT_OF(rows[i].want) && rows[i].want[j]; j++)
			if (!str_find(buf_str(&lines), str_z(rows[i].want[j]), &at))
				fail_msg("no \"%s\" in: %.*s", rows[i].want[j],
				    STR_ARG(buf_str(&lines)));
		buf_clear(&lines);
	}
	copy_files(was, path);
	check_sound();
}

/* Bytes that the disk has changed are found by SQLite's own check. */
static void
broken_pages(void **state)
{
	struct buf       bytes, lines;
	struct db_verify v;
	size_t           at;

	(void)state;
	build(false);
	buf_init(&bytes, SIZE_MAX);
	CHECK_EQ(file_read(path, &bytes, NULL), ST_OK);
	memset(bytes.p + bytes.n / 2 / 4096 * 4096, 0xa5, 64);
	CHECK_EQ(file_write_atomic(path, buf_str(&bytes), NULL), ST_OK);
	v = verify_into(&lines);
	CHECK(v.problems > 0);
	CHECK(str_find(buf_str(&lines), S("the database file is damaged"), &at));
	buf_clear(&bytes);
	buf_clear(&lines);
}

/* A database that was killed is looked at as its next start will see it, and no byte of it
 * changes. */
static void
killed(void **state)
{
	struct buf       before[COUNT_OF(ends)], after;
	struct db_verify v, again;
	struct store     s;

	(void)state;
	build(true);
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		char file[200];

		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		buf_init(&before[i], SIZE_MAX);
		CHECK(file_read(file, &before[i], NULL) == ST_OK || before[i].n == 0);
	}
	v = check_sound();
	CHECK(v.counts.log_records > 3);
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		char file[200];

		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		buf_init(&after, SIZE_MAX);
		CHECK(file_read(file, &after, NULL) == ST_OK || after.n == 0);
		if (strcmp(ends[i], "-shm") != 0) /* that is memory that is shared */
			CHECK(str_eq(buf_str(&after), buf_str(&before[i])));
		buf_clear(&after);
		buf_clear(&before[i]);
	}
	CHECK_EQ(store_open_sqlite(path, &s, NULL), ST_OK);
	store_close(&s);
	again = check_sound();
	CHECK_EQ(again.counts.log_records, 0);
	CHECK_EQ(again.counts.commits, v.counts.commits);
	CHECK_EQ(again.counts.revisions, v.counts.revisions);
	CHECK_EQ(again.entries, v.entries);
}

/* A commit log that has lost something is a problem with a name, not a refusal to look. */
static void
damaged_logs(void **state)
{
	char             log[160];
	struct buf       bytes, lines;
	struct db_verify v;
	size_t           at;

	(void)state;
	build(true);
	snprintf(log, sizeof log, "%s.log.1", path);
	buf_init(&bytes, SIZE_MAX);
	CHECK_EQ(file_read(log, &bytes, NULL), ST_OK);
	bytes.p[100] ^= 1; /* inside the payload of the first record */
	CHECK_EQ(file_write_atomic(log, buf_str(&bytes), NULL), ST_OK);
	v = verify_into(&lines);
	CHECK(v.problems > 0);
	CHECK(str_find(buf_str(&lines), S("is damaged: a record does not check"), &at));
	buf_clear(&lines);

	for (size_t i = 4; i < 8; i++) {
		snprintf(log, sizeof log, "%s%s", path, ends[i]);
		unlink(log);
	}
	v = verify_into(&lines);
	CHECK(v.problems > 0);
	CHECK(str_find(buf_str(&lines), S("its commit log"), &at));
	CHECK(str_find(buf_str(&lines), S("is missing"), &at));
	buf_clear(&lines);
	buf_clear(&bytes);
}

static status
try_verify(struct err *e)
{
	struct db_verify v;
	struct buf       lines;
	status           st;

	buf_init(&lines, BUF_MAX_DEFAULT);
	st = db_verify(path, 20, keep_line, &lines, &v, e);
	buf_clear(&lines);
	return st;
}

/* What cannot be looked at is a failure: absent, in use, newer, something else. */
static void
refusals(void **state)
{
	struct compact_sizes sizes;
	struct err           e = err_in(NULL);
	struct store         s;

	(void)state;
	CHECK_EQ(try_verify(&e), ST_NOT_FOUND);
	CHECK_EQ(db_compact(path, &sizes, &e), ST_NOT_FOUND);
	CHECK(!file_exists(path));
	build(false);
	CHECK_EQ(store_open_sqlite(path, &s, NULL), ST_OK);
	CHECK_EQ(try_verify(&e), ST_CONFLICT);
	CHECK_EQ(db_compact(path, &sizes, &e), ST_CONFLICT);
	store_close(&s);
	check_sound();
	sql("UPDATE persistence_globals SET json_value = '{\"version\":99}'"
	    " WHERE key = 'fresnel_format'");
	CHECK_EQ(try_verify(&e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseTooNew"));
	CHECK_EQ(db_compact(path, &sizes, &e), ST_OPERATIONAL);
	CHECK_EQ(file_write_atomic(path, S("no database, whatever its name may be"), NULL), ST_OK);
	CHECK_EQ(try_verify(&e), ST_OPERATIONAL);
}

/* --- compacting --- */

static void
check_people(const char *want)
{
	struct store s;
	struct fix   f;
	struct txn  *t;

	CHECK_EQ(store_open_sqlite(path, &s, NULL), ST_OK);
	fix_open_store(&f, S("carnitas"), s);
	t = fix_begin_query(&f);
	CHECK_QUERY(&f, t,
	    "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"people.by_name\",\"range\":[],"
	    "\"order\":\"asc\"},\"operators\":[]}",
	    "age", want);
	txn_free(t);
	fix_close(&f);
}

static ts_t
newest_commit(void)
{
	sqlite3      *db;
	sqlite3_stmt *st;
	ts_t          ts;

	CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_EQ(sqlite3_prepare_v2(db, "SELECT max(ts) FROM documents", -1, &st, NULL), SQLITE_OK);
	CHECK_EQ(sqlite3_step(st), SQLITE_ROW);
	ts = (ts_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return ts;
}

static str
global_of(const char *key, struct buf *out)
{
	struct store s;

	buf_reset(out);
	CHECK_EQ(store_open_sqlite(path, &s, NULL), ST_OK);
	CHECK_EQ(s.v->global(s.self, str_z(key), out, NULL), ST_OK);
	store_close(&s);
	return buf_str(out);
}

/* History goes, what is there now stays, and so do the rest of the database and time: nobody
 * reads below the last commit, and the next one comes after it. */
static void
compacting(void **state)
{
	struct store         s;
	static const char    people[] = "1.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 11.0 12.0";
	struct db_verify     before, after;
	struct compact_sizes sizes;
	struct buf           text;
	ts_t                 newest, bound;

	buf_init(&text, BUF_MAX_DEFAULT);
	for (int was_killed = 0; was_killed < 2; was_killed++) {
		build(was_killed);
		before = check_sound();
		CHECK_EQ(store_open_sqlite(path, &s, NULL), ST_OK);
		store_close(&s); /* brings in the log */
		newest = newest_commit();
		sql("UPDATE persistence_globals SET json_value = '1'"
		    " WHERE key = 'max_repeatable_ts'");
		CHECK_EQ(db_compact(path, &sizes, NULL), ST_OK);
		CHECK(newest_commit() < newest); /* that was a deletion */
		CHECK(str_to_u64(global_of("max_repeatable_ts", &text), &bound));
		CHECK_EQ(bound, newest);
		CHECK(dec_u64_base64(
		    str_of(global_of("min_snapshot_ts", &text).p + 13, 12), &bound));
		CHECK_EQ(bound, newest);
		after = check_sound();
		CHECK_EQ(after.counts.documents, before.counts.documents);
		CHECK_EQ(after.counts.revisions, after.counts.documents);
		CHECK_EQ(after.entries, before.entries);
		CHECK_EQ(after.indexes, before.indexes);
		CHECK(sizes.after > 0);
		check_people(people);
		check_sound();
		CHECK_EQ(drop_dir(NULL), 0);
		CHECK_EQ(make_dir(NULL), 0);
	}
	(void)state;
	buf_clear(&text);
}

/* A damaged database is not made small: the damage would be gone, and the data with it. */
static void
compacting_damage(void **state)
{
	struct compact_sizes sizes;
	struct err           e = err_in(NULL);
	struct buf           before, after;

	(void)state;
	build(false);
	sql("UPDATE documents SET json_value = replace(json_value, 'cleo', 'cleA') WHERE " CLEO);
	buf_init(&before, SIZE_MAX);
	buf_init(&after, SIZE_MAX);
	CHECK_EQ(file_read(path, &before, NULL), ST_OK);
	CHECK_EQ(db_compact(path, &sizes, &e), ST_OPERATIONAL);
	CHECK_STR(e.code, S("DatabaseDamaged"));
	CHECK_EQ(file_read(path, &after, NULL), ST_OK);
	CHECK(str_eq(buf_str(&before), buf_str(&after)));
	buf_clear(&before);
	buf_clear(&after);
}

/* Churn in front of the people, so that there is something to copy. */
static void
churn(void)
{
	struct store s;
	struct fix   f;

	CHECK_EQ(store_open_sqlite(path, &s, NULL), ST_OK);
	fix_open_store(&f, S("carnitas"), s);
	f.dice = 4711; /* not the ids that are there already */
	for (int i = 0; i < 40; i++) {
		struct txn *t = fix_begin(&f);

		for (int j = 0; j < 100; j++)
			fix_insert(&f, t, "filler", "{\"text\":\"some text to make it longer\"}");
		CHECK_EQ(fix_end(&f, t), ST_OK);
		fix_pump(&f);
	}
	fix_close(&f);
}

static int64_t
compact_in_child(useconds_t kill_after)
{
	struct compact_sizes sizes;
	int                  how;
	pid_t                child = fork();
	uint64_t             start = os_mono_ns(os_real());

	CHECK(child >= 0);
	if (child == 0)
		_exit(db_compact(path, &sizes, NULL) == ST_OK ? 0 : 1);
	if (kill_after) {
		usleep(kill_after);
		kill(child, SIGKILL);
	}
	CHECK_EQ(waitpid(child, &how, 0), child);
	if (!kill_after)
		CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0);
	return (int64_t)(os_mono_ns(os_real()) - start) / 1000;
}

/* kill -9 at any moment leaves the old database or the new one, and the next attempt clears up. */
static void
compacting_killed(void **state)
{
	enum { KILLS = 25 };
	char             was[160], left[200];
	struct db_verify want, got;
	int64_t          whole;

	(void)state;
	snprintf(was, sizeof was, "%s/was", dir);
	build(false);
	churn();
	want = check_sound();
	copy_files(path, was);
	whole = compact_in_child(0);
	for (int i = 0; i < KILLS; i++) {
		copy_files(was, path);
		compact_in_child((useconds_t)(whole * (i + 1) / KILLS));
		got = check_sound();
		CHECK_EQ(got.counts.documents, want.counts.documents);
		CHECK_EQ(got.entries, want.entries);
		CHECK(got.counts.revisions == want.counts.revisions ||
		    got.counts.revisions == want.counts.documents);
	}
	compact_in_child(0);
	got = check_sound();
	CHECK_EQ(got.counts.revisions, want.counts.documents);
	snprintf(left, sizeof left, "%s.compact", path);
	CHECK(!file_exists(left));
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(sound),
		IN_DIR(damages_have_names),
		IN_DIR(broken_pages),
		IN_DIR(killed),
		IN_DIR(damaged_logs),
		IN_DIR(refusals),
		IN_DIR(compacting),
		IN_DIR(compacting_damage),
		IN_DIR(compacting_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

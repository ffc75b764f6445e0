/* usage_test.c - warnings about limits that a run came close to (spec 04 section 2.8, spec 03
 * section 5.6). */
#include "fn_fixture.h"
#include "functions/functions_int.h"

static void
insert_padded(struct world *w, struct txn *t, size_t bytes, struct docid *ret)
{
	struct err e = err_in(w->arena);
	char      *p = mem_alloc(bytes);

	memset(p, 'x', bytes);
	CHECK_EQ(txn_insert(t, S("t"),
		     app_object(w->arena, S("a"), app_string(w->arena, str_of(p, bytes))), ret, &e),
	    ST_OK);
	mem_free(p);
}

/* The lines, one after the other, without their codes. */
static str
warned(struct world *w, struct txn *t, struct val args, struct val value, uint64_t user_ns)
{
	struct loglines l;
	struct buf      b;
	str             all;

	loglines_init(&l, w->arena);
	buf_init(&b, BUF_MAX_DEFAULT);
	usage_warn(&l, t, 1, args, value, user_ns);
	for (size_t i = 0; i < l.lines.n; i++) {
		CHECK_EQ(l.lines.v[i].level, LINE_WARN);
		buf_fmt(&b, "%.*s %.*s\n", STR_ARG(l.lines.v[i].system_code),
		    STR_ARG(l.lines.v[i].messages[0]));
	}
	all = arena_str(w->arena, buf_str(&b));
	buf_clear(&b);
	loglines_clear(&l);
	return all;
}

static struct txn *
begin(struct world *w)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(w->db), .writable = true,
	    .writer = S("test") });
}

/* 03 checklist 34: what was counted, from more than 80 % of a limit up to the limit, in the order
 * of the table. */
TEST(counts_above_four_fifths_warn)
{
	static const struct {
		const char *why;
		uint64_t    used;
		bool        warns;
	} rows[] = {
		{ "nothing", 0, false },
		{ "exactly 80 %", 8, false },
		{ "more", 9, true },
		{ "all of it", 10, true },
	};
	struct world w;
	struct err   e;

	world_open(&w, false);
	e = err_in(w.arena);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct txn       *t = begin(&w);
		struct txn_limits l = *txn_limits(t);
		struct docid      id;
		str               got;

		print_message("  %s\n", rows[i].why);
		l.docs_written = l.functions_scheduled = 10;
		(void)txn_set_limits(t, &l);
		for (uint64_t k = 0; k < rows[i].used; k++) {
			insert_padded(&w, t, 1, &id);
			CHECK_EQ(txn_note_scheduled(t, 100, &e), ST_OK);
		}
		got = warned(&w, t, VAL_NONE, VAL_NONE, 0);
		if (rows[i].warns)
			CHECK_STR(got,
			    arena_fmt(w.arena,
				"warning:TooManyWrites Many writes in a single function execution "
				"(actual: %d, limit: 10).\n"
				"warning:TooManyFunctionsScheduled Many functions scheduled by "
				"this mutation (actual: %d, limit: 10).\n",
				(int)rows[i].used, (int)rows[i].used));
		else
			CHECK_STRZ(got, "");
		txn_free(t);
	}
	world_close(&w);
}

/* One large document and one large list of arguments, also beyond the soft limit of the latter. */
TEST(single_large_things_warn)
{
	char         text[ID_TEXT_MAX];
	struct world w;
	struct docid id;
	struct txn  *t;
	struct err   e;

	world_open(&w, false);
	e = err_in(w.arena);
	t = begin(&w);
	insert_padded(&w, t, 838800 - 67, &id); /* 80 % of 1 MiB are 838,860 */
	CHECK_EQ(txn_note_scheduled(t, 3355443, &e), ST_OK);
	CHECK_STRZ(warned(&w, t, VAL_NONE, VAL_NONE, 0), "");
	insert_padded(&w, t, 900000 - 67, &id);
	id_format(id, text);
	CHECK_EQ(txn_note_scheduled(t, 3355444, &e), ST_OK);
	CHECK_STR(warned(&w, t, VAL_NONE, VAL_NONE, 0),
	    arena_fmt(w.arena,
		"warning:ScheduledFunctionsArgumentsTooLarge Large arguments for a single "
		"scheduled function from this mutation (actual: 3355444 bytes, limit: 4194304 "
		"bytes).\n"
		"warning:ValueTooLargeError Large document written with ID \"%s\" (actual: "
		"900000 bytes, limit: 1048576 bytes).\n",
		text));
	CHECK_EQ(txn_note_scheduled(t, 5000000, &e), ST_OK);
	CHECK(str_starts(warned(&w, t, VAL_NONE, VAL_NONE, 0),
	    S("warning:ScheduledFunctionsArgumentsTooLarge Large arguments for a single "
	      "scheduled function from this mutation (actual: 5000000 bytes, limit: 4194304 "
	      "bytes). This will become a hard error in the future.\n")));
	txn_free(t);
	world_close(&w);
}

/* Arguments, result and time. */
TEST(calls_warn)
{
	struct world w;
	struct txn  *t;
	struct val   big;
	char        *p = mem_alloc(14000000);

	world_open(&w, false);
	memset(p, 'x', 14000000);
	big = app_string(w.arena, str_of(p, 14000000));
	mem_free(p);
	t = begin(&w);
	CHECK_STRZ(warned(&w, t, big, big, 912300000),
	    "warning:TooLargeFunctionArguments Large size of the function arguments (actual: "
	    "14000002 bytes, limit: 16777216 bytes).\n"
	    "warning:TooLargeFunctionResult Large size of the function return value (actual: "
	    "14000002 bytes, limit: 16777216 bytes).\n"
	    "warning:UserTimeout Function execution took a long time. (maximum duration: 1s, "
	    "actual duration: 912.3ms).\n");
	txn_free(t);
	world_close(&w);
}

/* Actions have words of their own; their time is the clock's. */
TEST(actions_warn_too)
{
	struct world    w;
	struct loglines l;
	struct val      big;
	char           *p = mem_alloc(14 << 20);

	world_open(&w, false);
	memset(p, 'x', 14 << 20);
	big = app_string(w.arena, str_of(p, 14 << 20));
	loglines_init(&l, w.arena);
	usage_warn_action(&l, 1, val_null, val_null, 480000000000u, 600000000000u);
	CHECK_EQ(l.lines.n, 0);
	usage_warn_action(&l, 1, big, big, 500000000000u, 600000000000u);
	CHECK_EQ(l.lines.n, 3);
	CHECK_STRZ(l.lines.v[0].system_code, "warning:FunctionArgumentsTooLarge");
	CHECK_STRZ(l.lines.v[0].messages[0],
	    "Large size of the action arguments (actual: 14680066 bytes, limit: 16777216 bytes).");
	CHECK_STRZ(l.lines.v[1].messages[0], "Function execution took a long time. (maximum "
	    "duration: 600s, actual duration: 500000.0ms).");
	CHECK_STRZ(l.lines.v[2].messages[0], "Large size of the action return value (actual: "
	    "14680066 bytes, limit: 16777216 bytes).");
	loglines_clear(&l);
	mem_free(p);
	world_close(&w);
}

TEST_RUN(T(counts_above_four_fifths_warn), T(single_large_things_warn), T(calls_warn),
    T(actions_warn_too))

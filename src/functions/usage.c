/* usage.c - warnings about limits that a run came close to (spec 04 section 2.8).
 *
 * They are log lines of the function, appended after it ran, so that its author meets the
 * limit in development and not in production.
 *
 * Thread: the worker's.  Memory: the result's arena.
 */
#include "functions/functions_int.h"

#define USER_TIME_LIMIT_NS  1000000000ull
#define ONE_SCHEDULED_BYTES ((uint64_t)4 << 20) /* soft: exceeding it is a warning too */
#define DOCUMENT_BYTES      ((uint64_t)1 << 20)

#define QUERY_HELP                                                            \
	" Consider using smaller limits in your queries, paginating your queries, or using " \
	"indexed queries with a selective index range expressions."

static bool
close_to(uint64_t actual, uint64_t limit)
{
	return actual <= limit && actual * 5 > limit * 4;
}

static void
add(struct loglines *l, uint64_t now_ms, const char *code, str text)
{
	struct logline line = { .level = LINE_WARN, .nmessages = 1, .messages = &text,
		.timestamp_ms = now_ms, .system_code = arena_fmt(l->arena, "warning:%s", code) };

	loglines_add(l, &line);
}

struct usage_row {
	const char *code;
	const char *what;
	uint64_t    actual, limit;
	const char *unit, *help;
};

static void
add_row(struct loglines *l, uint64_t now_ms, const struct usage_row *r)
{
	add(l, now_ms, r->code,
	    arena_fmt(l->arena, "%s (actual: %llu%s, limit: %llu%s).%s", r->what,
		(unsigned long long)r->actual, r->unit, (unsigned long long)r->limit, r->unit,
		r->help));
}

static void
warn_rows(struct loglines *l, uint64_t now_ms, const struct usage_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (close_to(rows[i].actual, rows[i].limit))
			add_row(l, now_ms, &rows[i]);
	}
}

/* The biggest of what was scheduled and written one by one.  The third of these warnings, about
 * nesting beyond 80 % of 64 levels, cannot come up: a document has at most 16. */
static void
warn_largest(struct loglines *l, uint64_t now_ms, const struct txn_usage *u)
{
	char             id[ID_TEXT_MAX];
	struct usage_row scheduled = { "ScheduledFunctionsArgumentsTooLarge",
		"Large arguments for a single scheduled function from this mutation",
		u->scheduled_args_largest, ONE_SCHEDULED_BYTES, " bytes", "" };
	struct usage_row doc = { "ValueTooLargeError", NULL, u->largest_doc_bytes, DOCUMENT_BYTES,
		" bytes", "" };

	if (scheduled.actual > scheduled.limit)
		scheduled.help = " This will become a hard error in the future.";
	if (scheduled.actual > scheduled.limit || close_to(scheduled.actual, scheduled.limit))
		add_row(l, now_ms, &scheduled);
	if (!close_to(doc.actual, doc.limit))
		return;
	id_format(u->largest_doc, id);
	doc.what = arena_z(l->arena,
	    arena_fmt(l->arena, "Large document written with ID \"%s\"", id));
	add_row(l, now_ms, &doc);
}

static void
warn_time(struct loglines *l, uint64_t now_ms, uint64_t used_ns, uint64_t limit_ns)
{
	if (close_to(used_ns, limit_ns))
		add(l, now_ms, "UserTimeout",
		    arena_fmt(l->arena,
			"Function execution took a long time. (maximum duration: %gs, actual "
			"duration: %.1fms).",
			(double)limit_ns / 1e9, (double)used_ns / 1e6));
}

static uint64_t
size_of(struct val v)
{
	return val_some(v) ? val_size(v) : 0;
}

void
usage_warn(struct loglines *l, struct txn *t, uint64_t now_ms, struct val args, struct val value,
    uint64_t user_ns)
{
	const struct txn_usage  *u = txn_usage(t);
	const struct txn_limits *m = txn_limits(t);
	const struct usage_row   rows[] = {
		{ "TooLargeFunctionArguments", "Large size of the function arguments",
		    size_of(args), ARGS_MAX_BYTES, " bytes", "" },
		{ "TooManyDocumentsRead", "Many documents read in a single function execution",
		    u->docs_read, m->docs_read, "", QUERY_HELP },
		{ "TooManyReads", "Many reads in a single function execution", u->intervals,
		    m->intervals, "", QUERY_HELP },
		{ "TooManyBytesRead", "Many bytes read in a single function execution",
		    u->bytes_read, m->bytes_read, " bytes", QUERY_HELP },
		{ "TooManyWrites", "Many writes in a single function execution", u->docs_written,
		    m->docs_written, "", "" },
		{ "TooManyBytesWritten", "Many bytes written in a single function execution",
		    u->bytes_written, m->bytes_written, " bytes", "" },
		{ "TooManyFunctionsScheduled", "Many functions scheduled by this mutation",
		    u->functions_scheduled, m->functions_scheduled, "", "" },
		{ "ScheduledFunctionsArgumentsTooLarge",
		    "Large total size of the arguments of scheduled functions from this mutation",
		    u->scheduled_args_bytes, m->scheduled_args_bytes, " bytes", "" },
	};
	const struct usage_row result = { "TooLargeFunctionResult",
		"Large size of the function return value", size_of(value), RESULT_MAX_BYTES,
		" bytes", "" };

	warn_rows(l, now_ms, rows, COUNT_OF(rows));
	warn_largest(l, now_ms, u);
	warn_rows(l, now_ms, &result, 1);
	warn_time(l, now_ms, user_ns, USER_TIME_LIMIT_NS);
}

void
usage_warn_action(struct loglines *l, uint64_t now_ms, struct val args, struct val value,
    uint64_t wall_ns, uint64_t limit_ns)
{
	const struct usage_row rows[] = {
		{ "FunctionArgumentsTooLarge", "Large size of the action arguments", size_of(args),
		    ARGS_MAX_BYTES, " bytes", "" },
		{ "TooLargeFunctionResult", "Large size of the action return value",
		    size_of(value), RESULT_MAX_BYTES, " bytes", "" },
	};

	warn_rows(l, now_ms, &rows[0], 1);
	warn_time(l, now_ms, wall_ns, limit_ns);
	warn_rows(l, now_ms, &rows[1], 1);
}

/* metrics_test.c - counting and the text that monitoring reads. */
#include "test.h"

#include "runtime/metrics.h"
#include "runtime/thread.h"

static struct metric hits = METRIC_COUNTER("t_hits_total", "hits");
static struct metric depth = METRIC_GAUGE("t_depth", "items waiting");
static struct metric unused = METRIC_COUNTER("t_unused_total", "never counted");
static struct metric latency = METRIC_HISTOGRAM("t_latency_seconds", "how long");

static void
hit(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50000; i++)
		metric_add(&hits, 1);
}

static str
print(struct buf *b)
{
	buf_reset(b);
	metrics_print(b);
	return buf_str(b);
}

static void
check_has(str text, const char *line)
{
	size_t at;

	if (!str_find(text, str_z(line), &at))
		fail_msg("no line \"%s\" in\n%.*s", line, STR_ARG(text));
}

/* Threads lose no increments; a metric shows up with its first use and only once; names are
 * sorted. */
TEST(counters_and_gauges)
{
	struct buf     b;
	struct thread *t[2];
	size_t         at;

	(void)unused;
	buf_init(&b, BUF_MAX_DEFAULT);
	for (int i = 0; i < 2; i++)
		t[i] = thread_start("hit", 0, hit, NULL);
	for (int i = 0; i < 2; i++)
		thread_join_free(t[i]);
	metric_set(&depth, 7);
	metric_add(&depth, -9);
	CHECK_STRZ(print(&b), "# HELP t_depth items waiting\n# TYPE t_depth gauge\nt_depth -2\n"
			      "# HELP t_hits_total hits\n# TYPE t_hits_total counter\n"
			      "t_hits_total 100000\n");
	CHECK(!str_find(print(&b), S("t_unused"), &at));
	buf_clear(&b);
}

/* Buckets are cumulative, bounds inclusive; sum and count are of all observations. */
TEST(histograms)
{
	const uint64_t ns[] = { 0, 1000, 1001, 2000, 3000, UINT64_C(67108864000),
		UINT64_C(67108864001) };
	struct buf     b;
	str            text;

	buf_init(&b, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < COUNT_OF(ns); i++)
		metric_observe_ns(&latency, ns[i]);
	text = print(&b);
	check_has(text, "# TYPE t_latency_seconds histogram\n");
	check_has(text, "_bucket{le=\"1e-6\"} 2\n");
	check_has(text, "_bucket{le=\"2e-6\"} 4\n");
	check_has(text, "_bucket{le=\"4e-6\"} 5\n");
	check_has(text, "_bucket{le=\"33.554432\"} 5\n");
	check_has(text, "_bucket{le=\"67.108864\"} 6\n");
	check_has(text, "_bucket{le=\"+Inf\"} 7\n");
	check_has(text, "t_latency_seconds_sum 134.217735002\n"
			"t_latency_seconds_count 7\n");
	buf_clear(&b);
}

TEST_RUN(T(counters_and_gauges), T(histograms))

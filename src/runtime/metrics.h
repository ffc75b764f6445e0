/* metrics.h - named counters and histograms, printed in Prometheus text format.
 *
 *     static struct metric commits = METRIC_COUNTER("fresnel_commits_total", "commits published");
 *     metric_add(&commits, 1);
 *
 * A metric registers itself on first use.  Histograms have fixed buckets, powers of two
 * from 1 microsecond to 64 seconds.
 *
 * Thread: any; relaxed atomics.
 */
#ifndef RUNTIME_METRICS_H
#define RUNTIME_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_HISTOGRAM };

#define METRIC_BUCKETS 28 /* le 1, 2, 4 ... 2^26 microseconds, and the rest */

struct metric {
	const char        *name;
	const char        *help;
	enum metric_kind   kind;
	_Atomic int        registered;
	struct metric     *next;
	_Atomic int64_t    value;                   /* counter, gauge; histogram: sum in ns */
	_Atomic uint64_t   buckets[METRIC_BUCKETS]; /* histogram: counts per power of two */
};

#define METRIC_COUNTER(n, h)   { .name = (n), .help = (h), .kind = METRIC_KIND_COUNTER }
#define METRIC_GAUGE(n, h)     { .name = (n), .help = (h), .kind = METRIC_KIND_GAUGE }
#define METRIC_HISTOGRAM(n, h) { .name = (n), .help = (h), .kind = METRIC_KIND_HISTOGRAM }

void metric_add(struct metric *m, int64_t by);
void metric_set(struct metric *m, int64_t value);
void metric_observe_ns(struct metric *m, uint64_t ns);
void metrics_print(struct buf *b); /* by name; only what was used so far */

#endif

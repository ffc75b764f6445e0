/* cron.h - cron expressions of five fields: when they match (spec 05 section 3.2).
 *
 *   minute 0-59   hour 0-23   day of month 1-31   month 1-12, JAN-DEC   day of week 0-6, SUN-SAT
 *
 * A field is "*", or a list of "v", "a-b" (which may wrap around), "v/n", "a-b/n", "* / n" without
 * the blanks.  A day of the month can be "L", "L-n", "nW", "LW", "L-nW" instead: the last, n
 * before it, the working day nearest to one of these in its month.  A day of the week can be
 * "L" (Saturday), "dL" (the last of the month), "d#n" (the n-th).  If both day fields are other
 * than "*", a day that fits one of them matches.
 *
 * Times are unix seconds, in UTC without leap seconds.  Thread: any.
 */
#ifndef BASE_CRON_H
#define BASE_CRON_H

#include "base/str.h"

/* How a day is chosen. */
enum cron_day {
	CRON_ANY,
	CRON_SET,     /* one of `days` */
	CRON_LAST,    /* of the month: `n` days before its end; of the week: the last one */
	CRON_WORKING, /* nearest to day `n` of the month */
	CRON_LAST_WORKING,
	CRON_NTH,     /* `n`-th such day of the week in the month */
};

struct cron_day_rule {
	enum cron_day kind;
	uint64_t      days; /* bits; of LAST and NTH of the week: one */
	int           n;
};

struct cron {
	uint64_t             minutes, hours, months; /* bits */
	struct cron_day_rule month_day, week_day;
};

bool cron_parse(struct cron *ret, str text);
/* The first moment strictly after `after_s` at which it matches.  False: never. */
bool cron_next(const struct cron *c, int64_t after_s, int64_t *ret_s);

#endif

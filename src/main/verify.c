/* verify.c - `fresnel verify`: is everything in the database that was written, and nothing else?
 *
 * Thread: the main thread.  Memory: none of its own.
 */
#include <stdio.h>

#include "database/verify.h"
#include "main/tools.h"
#include "os/os.h"

enum { PROBLEMS_SHOWN = 20 };

static void
print_problem(void *arg, str text)
{
	(void)arg;
	printf("problem: %.*s\n", STR_ARG(text));
}

static void
print_summary(const char *path, const struct db_verify *v, double seconds)
{
	const struct verify_counts *c = &v->counts;

	if (v->problems > PROBLEMS_SHOWN)
		printf("... and %llu more\n", (unsigned long long)(v->problems - PROBLEMS_SHOWN));
	printf("%s: %llu commits, %llu revisions of %llu documents, %llu indexes with %llu "
	       "entries, %.1f s\n",
	    path, (unsigned long long)c->commits, (unsigned long long)c->revisions,
	    (unsigned long long)c->documents, (unsigned long long)v->indexes,
	    (unsigned long long)v->entries, seconds);
	if (c->log_records)
		printf("%llu records of the commit log are not in the database file yet: the next "
		       "start brings them in\n",
		    (unsigned long long)c->log_records);
	if (c->unsummed)
		printf("%llu revisions are older than checksums\n",
		    (unsigned long long)c->unsummed);
	if (v->problems)
		printf("%llu problems\n", (unsigned long long)v->problems);
	else
		puts("no problems");
}

status
verify_command(const struct flags *f, int *ret_code, struct err *e)
{
	uint64_t         start = os_mono_ns(os_real());
	struct db_verify v;
	status           st = db_verify(f->db_path, PROBLEMS_SHOWN, print_problem, NULL, &v, e);

	*ret_code = VERIFY_NOT_DONE;
	if (st != ST_OK && str_eq(e->code, S("DatabaseDamaged")))
		*ret_code = VERIFY_DAMAGED;
	TRY(st);
	print_summary(f->db_path, &v, (double)(os_mono_ns(os_real()) - start) / 1e9);
	*ret_code = v.problems ? VERIFY_DAMAGED : VERIFY_SOUND;
	return ST_OK;
}

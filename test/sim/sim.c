/* sim.c - runs the simulation for one or many seeds.
 *
 *     sim --seed 7               one seed
 *     sim --seeds 1..100         a range
 *     sim --steps 20000          events before the clients come to rest
 *     sim --twice                runs each seed twice and compares
 *     sim --verbose              prints the trace
 *
 *     sim --list FILE            the seeds that stand at the beginnings of its lines
 *     sim --stop                 stops at the first seed that fails
 *
 * For each seed one line with the hash of the trace: the same seed gives the same hash, or
 * something in the core depends on more than its inputs.  A broken promise ends the seed's
 * process with the virtual time and what was expected; the other seeds still run.
 *
 * Thread: one.  Memory: one world at a time, each in a process of its own, so that what a seed
 *         does depends on nothing that ran before it.
 */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "functions/runner_int.h"

#define PATIENCE_NS (600 * 1000 * MS) /* for the clients to come to rest */
#define REST_NS     (5 * 1000 * MS)   /* in which everything must be reflected */

/* Each subscription is in the index exactly while it lives. */
static void
step(struct sim *s)
{
	must(world_step(s));
	if (s->server.up && s->world.steps % 64 == 0)
		subs_check(s->server.runner->subs);
}

static void
run(struct sim *s, uint64_t steps)
{
	static const uint32_t owners[] = { 2, 5, ACCOUNTS };
	static const uint64_t disks[] = { MS / 4, 3 * MS, 20 * MS };
	static const size_t   caches[] = { 0, 40000, 400000 };
	static const uint64_t windows[] = { 0, 40 * MS, 700 * MS };
	static const uint32_t nerves[] = { 3, 10, 1000000 };
	uint64_t              until;

	s->owners = owners[draw(s, COUNT_OF(owners))];
	s->disk_ns = disks[draw(s, COUNT_OF(disks))];
	s->nerves = nerves[draw(s, COUNT_OF(nerves))];
	s->cache_bytes = caches[draw(s, COUNT_OF(caches))];
	s->window_ns = windows[draw(s, COUNT_OF(windows))];
	s->wlog_bytes = draw(s, 4) ? 1 << 20 : 16 << 10;
	s->logged = draw(s, 10) == 0;
	server_init(s);
	server_start(s);
	clients_start(s);
	admin_start(s);
	chaos_start(s);
	while (s->world.steps < steps)
		step(s);
	chaos_end(s);
	until = s->world.now + PATIENCE_NS;
	while (!clients_quiet(s) || !admin_quiet(s) || !later_quiet(s)) {
		if (s->world.now > until)
			sim_fail(s, "the clients or the pushes do not come to rest");
		step(s);
	}
	for (until = s->world.now + REST_NS; s->world.now < until;)
		step(s);
	checker_database(s);
	clients_check_end(s);
	later_check_end(s);
	beats_check_end(s);
}

/* Returns the hash of the trace. */
static uint64_t
run_seed(uint64_t seed, uint64_t steps, bool verbose)
{
	struct sim *s = MEM_NEW(struct sim);
	uint64_t    hash;

	s->seed = seed;
	s->world.verbose = verbose;
	world_init(s, seed);
	fiber_world(s);
	run(s, steps);
	printf("seed %" PRIu64 " trace %016" PRIx64 " commits %" PRIu64 " retries %" PRIu64
	       " refusals %" PRIu64 " transitions %" PRIu64 " drops %" PRIu64
	       " crashes %" PRIu64 " pauses %" PRIu64
	       " pushes %" PRIu64 "/%" PRIu64 " looks %" PRIu64 "\n",
	    seed, s->world.trace, s->ncommits, s->nretries, s->nrefusals, s->ntransitions,
	    s->ndrops, s->ncrashes, s->npauses, s->admin.pushes,
	    s->admin.failures, s->admin.looks);
	fflush(stdout);
	hash = s->world.trace;
	/* What is still under way holds memory: it happens, without effect. */
	s->over = true;
	clients_clear(s);
	server_clear(s);
	while (world_step(s))
		;
	fiber_world(NULL);
	world_clear(s);
	vec_clear(&s->checker.history);
	mem_free(s);
	return hash;
}

/* --- the seeds --- */

struct options {
	uint64_t    steps;
	bool        verbose, twice, stop;
	const char *list;
	uint64_t    failed;
};

/* In a process of its own.  False: it failed. */
static bool
run_apart(const struct options *o, uint64_t seed, uint64_t *ret_hash)
{
	int      ends[2], state = 0;
	uint64_t hash = 0;
	pid_t    pid;

	must(pipe(ends) == 0);
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		hash = run_seed(seed, o->steps, o->verbose);
		must(write(ends[1], &hash, sizeof hash) == sizeof hash);
		exit(0);
	}
	close(ends[1]);
	*ret_hash = 0;
	if (read(ends[0], &hash, sizeof hash) == sizeof hash)
		*ret_hash = hash;
	close(ends[0]);
	must(waitpid(pid, &state, 0) == pid);
	return WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

static void
try_seed(struct options *o, uint64_t seed)
{
	uint64_t first, second;
	bool     ok = run_apart(o, seed, &first);

	if (ok && o->twice) {
		ok = run_apart(o, seed, &second);
		if (ok && second != first)
			fprintf(stderr, "seed %" PRIu64 " went two ways\n", seed);
		ok = ok && second == first;
	}
	if (!ok)
		fprintf(stderr, "FAILED seed %" PRIu64 "\n", seed);
	o->failed += !ok;
}

/* Lines that begin with a seed; anything may stand behind it.  The file is closed before a child
 * could move its position. */
static bool
try_list(struct options *o)
{
	FILE *f = fopen(o->list, "r");
	char  line[256];
	VEC(uint64_t) seeds = { 0 };

	if (!f)
		return false;
	while (fgets(line, sizeof line, f)) {
		size_t   digits = strspn(line, "0123456789");
		uint64_t seed;

		if (digits > 0 && str_to_u64(str_of(line, digits), &seed))
			vec_push(&seeds, seed);
	}
	fclose(f);
	for (size_t i = 0; i < seeds.n; i++)
		try_seed(o, seeds.v[i]);
	vec_clear(&seeds);
	return true;
}

static bool
number(const char *text, uint64_t *ret)
{
	return text && str_to_u64(str_z(text), ret);
}

static bool
range(const char *text, uint64_t *ret_from, uint64_t *ret_to)
{
	size_t dots;

	return text && str_find(str_z(text), S(".."), &dots) &&
	    str_to_u64(str_head(str_z(text), dots), ret_from) &&
	    str_to_u64(str_from(str_z(text), dots + 2), ret_to);
}

static int
usage(void)
{
	fprintf(stderr, "usage: sim [--seed N] [--seeds A..B] [--list FILE] [--steps N] [--twice] "
			"[--stop] [--verbose]\n");
	return 2;
}

/* A flag without a value. */
static bool
toggle(struct options *o, str flag)
{
	bool *which = str_eq(flag, S("--verbose")) ? &o->verbose
	    : str_eq(flag, S("--twice"))           ? &o->twice
	    : str_eq(flag, S("--stop"))            ? &o->stop
						   : NULL;

	if (which)
		*which = true;
	return which != NULL;
}

int
main(int argc, char **argv)
{
	uint64_t       from = 1, to = 1;
	struct options o = { .steps = 20000 };
	bool           ok = true;

	for (int i = 1; i < argc && ok; i++) {
		str         flag = str_z(argv[i]);
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (toggle(&o, flag))
			continue;
		if (str_eq(flag, S("--seed"))) {
			ok = number(value, &from);
			to = from;
		} else if (str_eq(flag, S("--seeds"))) {
			ok = range(value, &from, &to);
		} else if (str_eq(flag, S("--list"))) {
			o.list = value;
			ok = value != NULL;
		} else {
			ok = str_eq(flag, S("--steps")) && number(value, &o.steps);
		}
		i++;
	}
	if (!ok)
		return usage();
	log_set_level((enum log_level)(LOG_ERROR + 1)); /* the disk fails on purpose */
	if (o.list && !try_list(&o))
		return usage();
	for (uint64_t seed = from; !o.list && seed <= to && !(o.stop && o.failed); seed++)
		try_seed(&o, seed);
	return o.failed > 0;
}

/* sim.c - runs the simulation for one or many seeds.
 *
 *     sim --seed 7               one seed
 *     sim --seeds 1..100         a range
 *     sim --steps 20000          events before the clients come to rest
 *     sim --twice                runs each seed twice and compares
 *     sim --verbose              prints the trace
 *
 * For each seed one line with the hash of the trace: the same seed gives the same hash, or
 * something in the core depends on more than its inputs.  A broken promise ends the process
 * with the seed, the virtual time and what was expected.
 *
 * Thread: one.  Memory: one world at a time.
 */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "functions/runner_int.h"

#define PATIENCE_NS (600 * 1000 * MS) /* for the clients to come to rest */
#define REST_NS     (5 * 1000 * MS)   /* in which everything must be reflected */

static void
restart_event(struct sim *s, void *arg, uint64_t n)
{
	(void)arg;
	(void)n;
	if (!s->over)
		server_start(s);
}

static void
crash_event(struct sim *s, void *arg, uint64_t n)
{
	(void)arg;
	(void)n;
	if (s->ending || s->over)
		return;
	if (s->server.up) {
		server_crash(s);
		after(s, latency(s, 30 * MS), restart_event, NULL, 0);
	}
	after(s, 50 * MS + latency(s, 200 * MS), crash_event, NULL, 0);
}

/* The wall clock is set, mostly a little, sometimes back by an hour. */
static void
clock_event(struct sim *s, void *arg, uint64_t n)
{
	(void)arg;
	(void)n;
	if (s->ending || s->over)
		return;
	s->world.skew += (int64_t)draw(s, 2000) * (int64_t)MS - 1000 * (int64_t)MS;
	if (draw(s, 8) == 0)
		s->world.skew -= (int64_t)3600 * 1000 * (int64_t)MS;
	after(s, latency(s, 500 * MS), clock_event, NULL, 0);
}

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
	uint64_t              until;

	s->owners = owners[draw(s, COUNT_OF(owners))];
	s->disk = disks[draw(s, COUNT_OF(disks))];
	server_init(s);
	server_start(s);
	clients_start(s);
	after(s, 50 * MS + latency(s, 200 * MS), crash_event, NULL, 0);
	after(s, latency(s, 500 * MS), clock_event, NULL, 0);
	while (s->world.steps < steps)
		step(s);
	s->ending = true;
	until = s->world.now + PATIENCE_NS;
	while (!clients_quiet(s)) {
		if (s->world.now > until)
			sim_fail(s, "the clients do not come to rest");
		step(s);
	}
	for (until = s->world.now + REST_NS; s->world.now < until;)
		step(s);
	checker_database(s);
	clients_check_end(s);
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
	run(s, steps);
	printf("seed %" PRIu64 " trace %016" PRIx64 " commits %" PRIu64 " retries %" PRIu64
	       " refusals %" PRIu64 " transitions %" PRIu64 " drops %" PRIu64
	       " crashes %" PRIu64 "\n",
	    seed, s->world.trace, s->ncommits, s->nretries, s->nrefusals, s->ntransitions,
	    s->ndrops, s->ncrashes);
	fflush(stdout);
	hash = s->world.trace;
	/* What is still under way holds memory: it happens, without effect. */
	s->over = true;
	clients_clear(s);
	server_clear(s);
	while (world_step(s))
		;
	world_clear(s);
	vec_clear(&s->checker.history);
	mem_free(s);
	return hash;
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

int
main(int argc, char **argv)
{
	uint64_t from = 1, to = 1, steps = 20000;
	bool     verbose = false, twice = false, ok = true;

	for (int i = 1; i < argc && ok; i++) {
		str         flag = str_z(argv[i]);
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (str_eq(flag, S("--verbose")) || str_eq(flag, S("--twice"))) {
			*(str_eq(flag, S("--twice")) ? &twice : &verbose) = true;
			continue;
		}
		if (str_eq(flag, S("--seed"))) {
			ok = number(value, &from);
			to = from;
		} else if (str_eq(flag, S("--seeds"))) {
			ok = range(value, &from, &to);
		} else {
			ok = str_eq(flag, S("--steps")) && number(value, &steps);
		}
		i++;
	}
	if (!ok) {
		fprintf(stderr,
		    "usage: sim [--seed N] [--seeds A..B] [--steps N] [--twice] [--verbose]\n");
		return 2;
	}
	log_set_level(LOG_ERROR);
	for (uint64_t seed = from; seed <= to; seed++) {
		uint64_t hash = run_seed(seed, steps, verbose);

		if (twice && run_seed(seed, steps, verbose) != hash) {
			fprintf(stderr, "seed %" PRIu64 " went two ways\n", seed);
			return 1;
		}
	}
	return 0;
}

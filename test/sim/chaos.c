/* chaos.c - what goes wrong, and when: crashes, restarts, clocks, the disk.
 *
 * Each kind of mischief is a chain of events that ends when the run comes to rest.
 *
 * Thread: one.  Memory: none.
 */
#include "sim.h"

static void
restart_event(struct sim *s, void *arg, uint64_t n)
{
	(void)arg;
	(void)n;
	if (!s->over && !s->server.up)
		server_start(s);
}

void
chaos_restart(struct sim *s)
{
	after(s, latency(s, 30 * MS), restart_event, NULL, 0);
}

/* The server is killed, or stopped, or its disk fails at the next write. */
static void
death_event(struct sim *s, void *arg, uint64_t n)
{
	(void)arg;
	(void)n;
	if (s->ending || s->over)
		return;
	if (s->server.up && !s->disk.dying) {
		switch (draw(s, 4)) {
		case 0:
			trace(s, "stop");
			server_stop(s);
			break;
		case 1:
			s->disk.dying = true;
			break;
		default:
			server_crash(s);
		}
	}
	after(s, 50 * MS + latency(s, 200 * MS), death_event, NULL, 0);
}

/* The wall clock is set, mostly a little, sometimes by an hour, forwards or back. */
static void
clock_event(struct sim *s, void *arg, uint64_t n)
{
	(void)arg;
	(void)n;
	if (s->ending || s->over)
		return;
	s->world.skew += (int64_t)draw(s, 2000) * (int64_t)MS - 1000 * (int64_t)MS;
	switch (draw(s, 12)) {
	case 0:
		s->world.skew -= (int64_t)3600 * 1000 * (int64_t)MS;
		break;
	case 1:
		s->world.skew += (int64_t)3000 * 1000 * (int64_t)MS;
		break;
	default:
		break;
	}
	after(s, latency(s, 500 * MS), clock_event, NULL, 0);
}

/* The disk is full for a while: writes are refused, reads go on. */
static void
full_event(struct sim *s, void *arg, uint64_t full)
{
	(void)arg;
	s->disk.full = full && !s->ending;
	if (!s->ending && !s->over)
		after(s, latency(s, full ? 40 * MS : 600 * MS), full_event, NULL, !full);
}

/* What is in memory goes, some or all of it. */
static void
evict_event(struct sim *s, void *arg, uint64_t n)
{
	(void)arg;
	(void)n;
	if (s->over)
		return;
	if (s->server.up)
		db_evict_now(s->server.db, draw(s, 4) ? draw(s, 4000) : SIZE_MAX);
	after(s, latency(s, 60 * MS), evict_event, NULL, 0);
}

void
chaos_start(struct sim *s)
{
	if (s->cache_bytes)
		after(s, latency(s, 50 * MS), evict_event, NULL, 0);
	after(s, 50 * MS + latency(s, 200 * MS), death_event, NULL, 0);
	after(s, latency(s, 500 * MS), clock_event, NULL, 0);
	after(s, latency(s, 300 * MS), full_event, NULL, 1);
}

void
chaos_end(struct sim *s)
{
	s->ending = true;
	s->disk.full = s->disk.dying = false;
	s->world.skew += (int64_t)24 * 3600 * 1000 * (int64_t)MS; /* all that is scheduled is due */
}

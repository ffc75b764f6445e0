/* restart_fixture.h - a db_fixture.h whose database can be closed and opened again, and which
 * forgets what it holds in memory on demand.
 *
 * Thread: the test's.  Memory: the fixture's arena lives on over restarts.
 */
#ifndef TEST_UNIT_DATABASE_RESTART_FIXTURE_H
#define TEST_UNIT_DATABASE_RESTART_FIXTURE_H

#include "db_fixture.h"

struct kept_store {
	struct store        store; /* the real one, which outlives the db */
	struct store_vtable kept;  /* its table, with a close that does nothing */
};

static inline void
kept_stays_open(void *self)
{
	(void)self;
}

static inline void
kept_open(struct kept_store *k, struct fix *f)
{
	store_open_memory(&k->store);
	k->kept = *k->store.v;
	k->kept.close = kept_stays_open;
	fix_open_store(f, S("carnitas"), (struct store){ &k->kept, k->store.self });
}

/* Everything must be read from the store from now on; the clock is set back. */
static inline void
kept_restart(struct kept_store *k, struct fix *f)
{
	uint64_t      dice = f->dice + 1;
	struct arena *a = f->arena;

	fix_pump(f);
	db_close(f->db);
	fix_open_store(f, S("carnitas"), (struct store){ &k->kept, k->store.self });
	arena_free(f->arena);
	f->arena = a;
	f->err = err_in(a);
	f->dice = dice;
}

/* Some or all of what the store has must be read from there. */
static inline void
kept_evict(struct fix *f, size_t max_bytes)
{
	fix_pump(f);
	db_evict_now(f->db, max_bytes);
}

static inline void
kept_close(struct kept_store *k, struct fix *f)
{
	fix_close(f);
	store_close(&k->store);
}

#endif

/* disk.c - the simulated store: slow, sometimes full, sometimes failing, never forgetful.
 *
 * In front of a store (memory, or for some seeds the logged store on a disk that loses what was
 * not synced, test/disk) stands a table of functions that pause, so that anything can happen
 * while the store works.  When the server dies, the write that is under way has reached the
 * disk or it has not.  The disk remembers both what is on it and what the server was told to be
 * safe; a client may know of the latter only.
 *
 * Thread: one.  Memory: the store's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk/simdisk.h"
#include "disk/simvfs.h"
#include "sim.h"
#include "store/logged_int.h"

static struct sim *owner; /* the store's functions have no other way to know */

static status
slow_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	struct sim *s = owner;
	status      st;

	sim_pause(s, s->disk_ns);
	st = s->disk.store.v->scan(self, q, ret, e);
	sim_pause(s, MS / 5);
	return st;
}

static status
alive(const struct platter *d, struct err *e)
{
	return d->dead ? err_set(e, ST_INTERNAL, "Dead", "the disk is gone") : ST_OK;
}

static ts_t
newest_of(const struct store_batch *b)
{
	ts_t ts = 0, promised;

	for (size_t i = 0; i < b->ncommits; i++)
		ts = b->commits[i]->ts;
	for (size_t i = 0; i < b->nglobals; i++)
		if (str_eq(b->globals[i].key, S("max_repeatable_ts")) &&
		    str_to_u64(b->globals[i].json, &promised) && promised > ts)
			ts = promised;
	return ts;
}

static status
write_now(struct sim *s, const struct store_batch *b, struct err *e)
{
	struct platter *d = &s->disk;

	TRY(d->store.v->write(d->store.self, b, e));
	for (size_t i = 0; i < b->ncommits; i++)
		d->stored = b->commits[i]->ts;
	/* What stands in a batch of commits is their own time. */
	if (b->ncommits == 0 && newest_of(b) > d->promised)
		d->promised = newest_of(b);
	return ST_OK;
}

/* Of the write that is under way when the process dies, or when the disk fails, all may get
 * through or nothing; of a real log's record, any of its operations. */
static void
last_write(struct sim *s, const struct store_batch *b)
{
	struct platter *d = &s->disk;

	if (s->logged && draw(s, 4)) {
		if (s->server.up)
			simdisk_fail_in(d->real, SIMDISK_WRITE | SIMDISK_SYNC, 1 + draw(s, 3), EIO,
			    1);
		else
			simdisk_crash_in(d->real, 1 + draw(s, 8));
		(void)d->store.v->write(d->store.self, b, NULL); /* boot finds out */
	} else if (draw(s, 2)) {
		must(write_now(s, b, NULL) == ST_OK);
	}
}

static status
slow_write(void *self, const struct store_batch *b, struct err *e)
{
	struct sim     *s = owner;
	struct platter *d = &s->disk;

	(void)self;
	sim_pause(s, s->disk_ns);
	if (!d->dead && d->dying) {
		trace(s, "the disk fails");
		d->dead = d->gasp = true;
	}
	if (d->dead) {
		if (d->gasp)
			last_write(s, b);
		d->gasp = false;
		return alive(d, e);
	}
	if (write_now(s, b, e) != ST_OK)
		sim_fail(s, "the store refuses a batch: %.*s", STR_ARG(e ? e->text : STR_EMPTY));
	sim_pause(s, MS / 5);
	if (!d->dead && newest_of(b) > d->synced)
		d->synced = newest_of(b);
	return ST_OK;
}

static status
full_reserve(void *self, size_t bytes, struct err *e)
{
	struct platter *d = &owner->disk;

	if (d->full)
		return err_set(e, ST_OVERLOADED, "DatabaseFull", "The disk is full.");
	return d->store.v->reserve ? d->store.v->reserve(self, bytes, e) : ST_OK;
}

/* --- history --- */

static status
slow_prune(void *self, const struct store_prune *p, struct err *e)
{
	struct platter *d = &owner->disk;

	sim_pause(owner, MS / 5);
	TRY(alive(d, e));
	return d->store.v->prune(self, p, e);
}

static status
slow_erase_index(void *self, struct uid index, size_t limit, size_t *ret, struct err *e)
{
	struct platter *d = &owner->disk;

	sim_pause(owner, MS / 5);
	TRY(alive(d, e));
	return d->store.v->erase_index(self, index, limit, ret, e);
}

static status
slow_erase_table(void *self, struct uid tablet, size_t limit, size_t *ret, struct err *e)
{
	struct platter *d = &owner->disk;

	sim_pause(owner, MS / 5);
	TRY(alive(d, e));
	return d->store.v->erase_table(self, tablet, limit, ret, e);
}

static void
keep_open(void *self)
{
	(void)self;
}

/* --- the logged store, on a disk that forgets --- */

static void
open_logged(struct sim *s)
{
	char                     path[sizeof s->disk.dir + 16];
	const struct logged_opts o = { .segment_bytes = 1 << 20,
		.checkpoint_frames = 40,
		.disk = simdisk_table(s->disk.real),
		.by_hand = true };
	struct err               e = err_in(NULL);

	snprintf(path, sizeof path, "%s/db", s->disk.dir);
	if (store_open_logged_with(path, &o, &s->disk.store, &e) != ST_OK)
		sim_fail(s, "the store does not open: %.*s", STR_ARG(e.text));
}

/* Only the lock file lies on the machine's disk. */
static void
make_dir(struct sim *s)
{
	snprintf(s->disk.dir, sizeof s->disk.dir, "/tmp/fresnel-sim-XXXXXX");
	if (!mkdtemp(s->disk.dir))
		sim_fail(s, "no directory for the lock file");
}

static void
drop_dir(struct sim *s)
{
	char lock[sizeof s->disk.dir + 16];

	snprintf(lock, sizeof lock, "%s/db.lock", s->disk.dir);
	(void)unlink(lock);
	(void)rmdir(s->disk.dir);
}

/* SQLite catches up with the log. */
static void
apply_event(struct sim *s, void *arg, uint64_t n)
{
	(void)arg;
	(void)n;
	if (s->over)
		return;
	if (s->server.up && !s->disk.dead) {
		if (draw(s, 8))
			(void)logged_step(&s->disk.store);
		else
			logged_checkpoint(&s->disk.store);
	}
	after(s, latency(s, 8 * MS), apply_event, NULL, 0);
}

/* --- looks at the past --- */

/* The accounts as an index of the store has them at a timestamp. */
static void
read_past(struct sim *s, const struct table_info *t, const struct index_info *ix, ts_t at,
    struct bank *ret)
{
	struct store_scan q = { .index = ix->id, .tablet = t->tablet, .table_number = t->number,
		.at = at, .limit = SIZE_MAX };
	struct store_rows rows;

	store_rows_init(&rows);
	for (uint32_t i = 0; i < ACCOUNTS; i++)
		ret->balance[i] = -1;
	if (store_scan(&s->disk.store, &q, &rows, NULL) != ST_OK)
		sim_fail(s, "the store cannot be read at %llu", (unsigned long long)at);
	for (size_t i = 0; i < rows.rows.n; i++) {
		struct val v = doc_val(rows.rows.v[i].doc);

		ret->balance[val_int64(val_get(v, S("owner")))] =
		    val_int64(val_get(v, S("balance")));
	}
	store_rows_clear(&rows);
}

void
disk_check_past(struct sim *s)
{
	struct snapshot         *snap = db_snapshot(s->server.db);
	const struct table_info *t =
	    catalog_table(snapshot_catalog(snap), (struct uid){ { 0 } }, S("accounts"));
	ts_t                     from = s->checker.history.v[0].ts, at;
	struct bank              got;

	if (s->server.retention && retention_state(s->server.retention).index_bound > from)
		from = retention_state(s->server.retention).index_bound;
	at = s->disk.stored;
	if (at > from) /* more often near the bound */
		at = from + draw(s, 1000) * ((at - from) / (draw(s, 2) ? 1000 : 20000));
	for (size_t i = 0; at >= from && i < t->nindexes; i++) {
		const struct index_info *ix = &t->indexes[i];

		if (ix->state != INDEX_ENABLED || str_eq(ix->def.name, S("by_extra")))
			continue; /* that one may be younger than `at` */
		read_past(s, t, ix, at, &got);
		for (uint32_t k = 0; k < ACCOUNTS; k++)
			if (got.balance[k] != checker_at(s, at)->balance[k])
				sim_fail(s, "%.*s: account %u was %lld at %llu, the store has %lld",
				    STR_ARG(ix->def.name), k,
				    (long long)checker_at(s, at)->balance[k],
				    (unsigned long long)at, (long long)got.balance[k]);
	}
	snapshot_unref(snap);
}

/* --- life --- */

void
disk_init(struct sim *s)
{
	struct platter *d = &s->disk;

	owner = s;
	if (!s->logged) {
		store_open_memory(&d->store);
		return;
	}
	make_dir(s);
	d->real = simdisk_new(draw(s, UINT32_MAX));
	simvfs_seed(draw(s, UINT32_MAX));
	simvfs_use(simdisk_table(d->real));
	open_logged(s);
	after(s, latency(s, 8 * MS), apply_event, NULL, 0);
}

void
disk_die(struct sim *s)
{
	s->disk.gasp = !s->disk.dead && draw(s, 2);
	s->disk.dead = true;
}

/* The machine comes up again: what is on the disk now? */
void
disk_boot(struct sim *s)
{
	struct platter *d = &s->disk;
	ts_t            newest = 0;

	if (!s->logged)
		return;
	logged_abandon(&d->store); /* as kill -9 leaves it */
	simdisk_boot(d->real, draw(s, 2));
	simvfs_use(simdisk_table(d->real));
	open_logged(s);
	if (d->store.v->max_ts(d->store.self, &newest, NULL) != ST_OK)
		sim_fail(s, "the store does not know its newest commit");
	if (newest > d->stored) /* less if the newest commits only deleted and were erased */
		d->stored = newest;
}

void
disk_revive(struct sim *s)
{
	struct platter *d = &s->disk;

	d->dead = d->dying = d->gasp = d->full = false;
	d->table = *d->store.v;
	d->table.scan = slow_scan;
	d->table.write = slow_write;
	d->table.prune = slow_prune;
	d->table.erase_index = slow_erase_index;
	d->table.erase_table = slow_erase_table;
	d->table.reserve = full_reserve;
	d->table.close = keep_open;
}

void
disk_clear(struct sim *s)
{
	store_close(&s->disk.store);
	if (!s->logged)
		return;
	simvfs_use(NULL);
	simdisk_free(s->disk.real);
	drop_dir(s);
}

/* counts.c - numbers of documents, kept up by commits (counts.h).
 *
 * Transactions ask at the timestamp of their snapshot, which is rarely the newest: the last
 * changes of each number are remembered, each with what the number was before it.
 *
 * Thread: any, under the db's lock.  Memory: the db's.
 */
#include "database/counts.h"

#include "base/mem.h"
#include "database/db_int.h"

#define CHANGES_KEPT 64

struct count {
	bool    known;
	int64_t n;     /* newest; not known yet: what commits added since `floor` */
	ts_t    floor; /* of earlier moments nothing is known */
	size_t  nchanges;
	struct {
		ts_t    ts;
		int64_t before;
	} changes[CHANGES_KEPT]; /* number i is at i % CHANGES_KEPT */
};

static str
key_of(const struct uid *tablet)
{
	return str_of(tablet->b, sizeof tablet->b);
}

static struct count *
find(const struct counts *c, const struct uid *tablet)
{
	return c->by_tablet ? map_get(c->by_tablet, key_of(tablet)) : NULL;
}

void
counts_clear(struct counts *c)
{
	size_t at = 0;
	void  *count;
	str    key;

	while (c->by_tablet && map_next(c->by_tablet, &at, &key, &count))
		mem_free(count);
	map_free(c->by_tablet);
	c->by_tablet = NULL;
}

static void
change(struct count *k, int64_t by, ts_t ts)
{
	size_t i = k->nchanges % CHANGES_KEPT;

	/* One commit with many documents is one change. */
	if (k->nchanges && k->changes[(k->nchanges - 1) % CHANGES_KEPT].ts == ts) {
		k->n += by;
		return;
	}
	if (k->nchanges >= CHANGES_KEPT)
		k->floor = k->changes[i].ts;
	k->changes[i].ts = ts;
	k->changes[i].before = k->n;
	k->nchanges++;
	k->n += by;
}

void
counts_publish(struct counts *c, const struct commit *w, ts_t ts)
{
	const struct table_info *table = NULL;
	struct count            *k = NULL;

	if (LIKELY(!c->by_tablet))
		return;
	for (size_t i = 0; i < w->nwrites; i++) {
		const struct write *x = &w->writes[i];

		if (x->table != table) {
			table = x->table;
			k = find(c, &table->tablet);
		}
		if (k && !x->old != !x->new)
			change(k, x->new ? 1 : -1, ts);
	}
}

bool
db_count_known(struct db *db, struct uid tablet, ts_t at, int64_t *ret)
{
	struct count *k;
	int64_t       n;

	MUTEX_GUARD(&db->lock);
	k = find(&db->counts, &tablet);
	if (!k || !k->known || at < k->floor)
		return false;
	n = k->n;
	for (size_t i = k->nchanges; i > 0; i--) {
		size_t slot = (i - 1) % CHANGES_KEPT;

		if (k->nchanges - i >= CHANGES_KEPT || k->changes[slot].ts <= at)
			break;
		n = k->changes[slot].before;
	}
	*ret = n;
	return true;
}

static ts_t
follow(struct db *db, const struct uid *tablet)
{
	struct count *k;

	MUTEX_GUARD(&db->lock);
	if (find(&db->counts, tablet))
		return 0; /* known, or somebody is counting */
	if (!db->counts.by_tablet)
		db->counts.by_tablet = map_new();
	k = MEM_NEW(struct count);
	k->floor = atomic_load(&db->latest);
	(void)map_put(db->counts.by_tablet, key_of(tablet), k);
	return k->floor;
}

bool
db_count_begin(struct db *db, struct uid tablet, ts_t at, const struct readset *all)
{
	ts_t from = follow(db, &tablet);

	if (from == 0)
		return false;
	/* What is counted at `at` holds at `from` if nothing came between. */
	if (from == at || !db_changed(db, all, at, from, NULL))
		return true;
	db_count_end(db, tablet, -1);
	return false;
}

void
db_count_end(struct db *db, struct uid tablet, int64_t n)
{
	struct count *k;

	MUTEX_GUARD(&db->lock);
	k = find(&db->counts, &tablet);
	must(k && !k->known);
	if (n < 0) {
		mem_free(map_del(db->counts.by_tablet, key_of(&tablet)));
		return;
	}
	k->known = true;
	k->n += n;
	for (size_t i = 0; i < CHANGES_KEPT && i < k->nchanges; i++)
		k->changes[i].before += n;
}

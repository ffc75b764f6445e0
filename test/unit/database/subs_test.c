/* subs_test.c - stabbing against asking every subscription.
 *
 * Thread: one.  Memory: everything is freed.
 */
#include "test.h"

#include "base/mem.h"
#include "database/subs.h"

#define SUBS 200

static uint64_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % below;
}

/* Short keys over few bytes: many meet. */
static str
random_key(char room[6])
{
	size_t n = 1 + draw(4);

	for (size_t i = 0; i < n; i++)
		room[i] = (char)('a' + draw(4));
	return str_of(room, n);
}

static struct readset *
random_reads(void)
{
	struct arena   *a = arena_new();
	struct readlog  l;
	struct readset *r;

	readlog_init(&l, a);
	for (uint32_t n = draw(5); n > 0; n--) {
		char x[6], y[6];
		str  lo = random_key(x), hi = random_key(y);

		if (draw(2))
			readlog_point(&l, lo);
		else
			readlog_add(&l, str_cmp(lo, hi) < 0 ? lo : hi,
			    str_cmp(lo, hi) < 0 ? hi : lo);
	}
	r = readlog_freeze(&l);
	readlog_clear(&l);
	arena_free(a);
	return r;
}

struct live {
	struct sub     *sub;
	struct readset *reads;
	int             hits;
};

static void
count_hit(void *arg, void *cookie)
{
	(void)arg;
	((struct live *)cookie)->hits++;
}

/* A key meets exactly the subscriptions whose read sets contain it, each once, whatever came
 * and went before. */
TEST(stabbing_equals_asking_everyone)
{
	struct live  live[SUBS] = { 0 };
	struct subs *s = subs_new();
	size_t       count = 0;

	for (seed = 7; count < SUBS * 30; count++) {
		struct live *l = &live[draw(SUBS)];
		char         room[6];
		str          key;

		if (l->sub) {
			subs_remove(s, l->sub);
			readset_unref(l->reads);
			l->sub = NULL;
		} else {
			l->reads = random_reads();
			l->sub = subs_add(s, l->reads, l);
		}
		if (count % 20 == 0)
			subs_check(s);
		key = random_key(room);
		subs_stab(s, key, count_hit, NULL);
		for (size_t i = 0; i < SUBS; i++) {
			CHECK_EQ(live[i].hits, live[i].sub && readset_has(live[i].reads, key));
			live[i].hits = 0;
		}
	}
	for (size_t i = 0; i < SUBS; i++)
		if (live[i].sub)
			readset_unref(live[i].reads);
	subs_free(s);
}

/* Removing everything leaves nothing behind. */
TEST(removed_subscriptions_are_gone)
{
	struct subs    *s = subs_new();
	struct readset *r = random_reads();
	struct live     l = { 0 };
	struct sub     *subs[50];

	for (int i = 0; i < 50; i++)
		subs[i] = subs_add(s, r, &l);
	CHECK_EQ(subs_count(s), 50);
	for (int i = 0; i < 50; i++)
		subs_remove(s, subs[i * 7 % 50]);
	CHECK_EQ(subs_count(s), 0);
	subs_check(s);
	for (size_t i = 0; i < r->n; i++)
		subs_stab(s, r->ranges[i].lo, count_hit, NULL);
	CHECK_EQ(l.hits, 0);
	readset_unref(r);
	subs_free(s);
}

TEST_RUN(T(stabbing_equals_asking_everyone), T(removed_subscriptions_are_gone))

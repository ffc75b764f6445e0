/* watch.c - the queries that clients watch, and what they must show.
 *
 * Sums by owner and by balance, counts of notes, and chains of pages as usePaginatedQuery()
 * makes them: each page begins where the one before it ended when it was first seen, and the
 * journal keeps that end where it is while rows move.  Whatever moment a transition stands
 * for, its pages must join without a gap or a row twice.
 *
 * Thread: one.  Memory: the client's.
 */
#include <stdio.h>

#include "base/json.h"
#include "sim.h"

#define PAGE_ROWS  3
#define PAGES_MAX  4

static void
first_page(struct client *c, struct watch *w)
{
	w->kind = WATCH_PAGE;
	w->desc = draw(c->s, 2);
	for (size_t i = 0; i < c->watches.n; i++)
		if (c->watches.v[i].kind == WATCH_PAGE)
			w->kind = WATCH_SUM; /* one chain is enough */
}

void
watch_make(struct client *c, struct watch *ret)
{
	struct sim  *s = c->s;
	uint32_t     x = draw(s, ACCOUNTS), y = draw(s, ACCOUNTS);
	struct watch w = { .id = c->next_query++, .lo = x < y ? x : y, .hi = (x < y ? y : x) + 1,
		.full = draw(s, 4) == 0 };

	switch (draw(s, 6)) {
	case 0:
		w.kind = WATCH_NOTES;
		w.lo = x % NOTES;
		break;
	case 1:
		w.kind = WATCH_RICH;
		w.lo *= 10;
		w.hi *= 10;
		break;
	case 2:
		first_page(c, &w);
		break;
	default:
		w.kind = WATCH_SUM;
	}
	*ret = w;
}

static void
page_json(struct buf *b, const struct watch *w)
{
	buf_fmt(b, "page\",\"args\":[{\"size\":%d,\"desc\":%d,\"cursor\":\"%s\"}]", PAGE_ROWS,
	    w->desc, w->cursor);
	if (w->journal[0])
		buf_fmt(b, ",\"journal\":\"%s\"", w->journal);
}

void
watch_add_json(struct buf *b, const struct watch *w)
{
	static const char *const paths[] = { "sum", "rich", "count" };

	json_comma(b);
	buf_fmt(b, "{\"type\":\"Add\",\"queryId\":%u,\"udfPath\":\"bank:", w->id);
	if (w->kind == WATCH_PAGE)
		page_json(b, w);
	else
		buf_fmt(b, "%s\",\"args\":[{\"lo\":%u,\"hi\":%u%s}]", paths[w->kind], w->lo, w->hi,
		    w->full ? ",\"full\":1" : "");
	buf_addz(b, "}");
}

/* --- what comes back --- */

static void
take_text(struct client *c, const struct json *j, const char *field, char *ret, size_t room)
{
	str text;

	if (!json_get_str(j, field, &text) || text.n >= room)
		sim_fail(c->s, "client %u: a page without %s", c->no, field);
	snprintf(ret, room, "%.*s", STR_ARG(text));
}

static void
take_page(struct client *c, struct watch *w, const struct json *m)
{
	const struct json *v = json_get(m, "value"), *rows = v ? json_get(v, "rows") : NULL;

	if (!rows || !json_get_bool(v, "done", &w->last))
		sim_fail(c->s, "client %u: not a page", c->no);
	take_text(c, v, "cursor", w->next, sizeof w->next);
	take_text(c, m, "journal", w->journal, sizeof w->journal);
	for (size_t i = 0; i < ACCOUNTS; i++)
		w->rows[i] = NOT_SEEN;
	w->nrows = rows->n;
	for (size_t i = 0; i < rows->n; i++) {
		int64_t n = (int64_t)rows->items[i].number;

		if (w->rows[n % 100] != NOT_SEEN)
			sim_fail(c->s, "client %u: account %d is on a page twice", c->no,
			    (int)(n % 100));
		w->rows[n % 100] = n / 100;
	}
}

void
watch_take(struct client *c, struct watch *w, const struct json *m)
{
	double value;

	if (w->kind == WATCH_PAGE)
		take_page(c, w, m);
	else if (!json_get_num(m, "value", &value))
		sim_fail(c->s, "client %u: query %u has no value", c->no, w->id);
	else
		w->value = (int64_t)value;
	w->has_value = true;
}

/* --- checks --- */

static int64_t
value_of(const struct bank *b, const struct watch *w)
{
	switch (w->kind) {
	case WATCH_SUM:
		return bank_sum(b, w->lo, w->hi);
	case WATCH_RICH:
		return bank_rich(b, w->lo, w->hi);
	case WATCH_NOTES:
		return b->notes[w->lo].ints * 1000 + b->notes[w->lo].texts;
	case WATCH_PAGE:
		break;
	}
	return 0;
}

struct chain {
	size_t         npages;
	const struct watch *end;
	int64_t        rows[ACCOUNTS];
	int64_t        far; /* the largest (desc: smallest) balance on it */
	size_t         nrows;
};

/* False while a page of it has no value. */
static bool
join_pages(struct client *c, struct chain *ch)
{
	memset(ch, 0, sizeof *ch);
	for (size_t i = 0; i < ACCOUNTS; i++)
		ch->rows[i] = NOT_SEEN;
	for (size_t i = 0; i < c->watches.n; i++) {
		const struct watch *w = &c->watches.v[i];

		if (w->kind != WATCH_PAGE)
			continue;
		if (!w->has_value)
			return false;
		for (size_t k = 0; k < ACCOUNTS; k++) {
			if (w->rows[k] == NOT_SEEN)
				continue;
			if (ch->rows[k] != NOT_SEEN)
				sim_fail(c->s, "client %u: account %zu is on two pages", c->no, k);
			ch->rows[k] = w->rows[k];
			if (ch->nrows++ == 0 || (w->rows[k] < ch->far) == w->desc)
				ch->far = w->rows[k];
		}
		ch->npages++;
		ch->end = w;
	}
	return ch->npages > 0;
}

/* All accounts up to the chain's end are on it, and as they were. */
static void
check_chain(struct client *c, const struct bank *b, ts_t ts)
{
	struct chain ch;

	if (!join_pages(c, &ch))
		return;
	for (size_t i = 0; i < ACCOUNTS; i++) {
		bool before = ch.nrows > 0 &&
		    (ch.end->desc ? b->balance[i] > ch.far : b->balance[i] < ch.far);

		if (ch.rows[i] == b->balance[i] || (ch.rows[i] == NOT_SEEN && b->balance[i] == -1))
			continue;
		if (ch.rows[i] != NOT_SEEN || before || ch.end->last)
			sim_fail(c->s,
			    "client %u: account %zu was %lld at %llu, the pages say %lld",
			    c->no, i, (long long)b->balance[i], (unsigned long long)ts,
			    (long long)ch.rows[i]);
	}
}

void
watch_check(struct client *c, ts_t ts)
{
	const struct bank *b = checker_at(c->s, ts);

	for (size_t i = 0; i < c->watches.n; i++) {
		const struct watch *w = &c->watches.v[i];

		if (w->kind != WATCH_PAGE && w->has_value && w->value != value_of(b, w))
			sim_fail(c->s, "client %u: query %u is %lld, was %lld at %llu", c->no,
			    w->id, (long long)w->value, (long long)value_of(b, w),
			    (unsigned long long)ts);
	}
	check_chain(c, b, ts);
}

bool
watch_next_page(struct client *c, struct watch *ret)
{
	struct chain ch;

	if (!join_pages(c, &ch) || ch.end->last || ch.npages == PAGES_MAX)
		return false;
	*ret = (struct watch){ .id = c->next_query++, .kind = WATCH_PAGE, .desc = ch.end->desc };
	snprintf(ret->cursor, sizeof ret->cursor, "%s", ch.end->next);
	return true;
}

/* page.c - one page of a query (spec 03 section 6.5).
 *
 * A page with an end (an end cursor, or the one that its journal remembers) reads everything
 * up to it, whatever the sizes say: that is how a live page keeps its borders while rows come
 * and go, and neighbouring pages stay adjacent.
 *
 * Thread: the transaction's.  Memory: its arena.
 */
#include "database/cursor_int.h"

#define PAGE_SIZE_MAX     32000
#define ROWS_MAX          32000.0
#define BYTES_MAX         16777216.0
#define PAGE_RECOMMENDED  6144

struct pager {
	struct txn            *t;
	struct query          *q;
	const struct page_opts *opts;
	uint8_t                fingerprint[FINGERPRINT];
	struct position        start, end;
	bool                   has_start, has_end;
	VEC(str)               keys; /* of the rows pulled, in the arena; without index number */
	double                 bytes;
	bool                   cut;  /* a limit or a maximum ended the page */
	bool                   dry;  /* the query has no more rows */
};

static status
check_opts(const struct txn *t, const struct page_opts *o, struct err *e)
{
	if (o->page_size == 0)
		return err_set(e, ST_BAD_REQUEST, "NoDocumentsForPagination",
		    "Must request at least 1 document while paginating");
	if (!(o->page_size > 0) ||
	    (o->page_size <= PAGE_SIZE_MAX && o->page_size != (double)(uint64_t)o->page_size)) {
		err_set(e, ST_BAD_REQUEST, "InvalidArgument", "expected a positive integer");
		return bad_argument(e, "pageSize", "queryPage");
	}
	if (o->page_size > PAGE_SIZE_MAX)
		return err_set(e, ST_BAD_REQUEST, "PageSizeTooLarge",
		    "Requested too many items: %.0f", o->page_size);
	if ((o->max_rows_given && !(o->max_rows > 0)) ||
	    (o->max_bytes_given && !(o->max_bytes > 0)))
		return err_set(e, ST_BAD_REQUEST, "InvalidPaginationLimit",
		    "maximumRowsRead and maximumBytesRead must be greater than 0");
	if (!uid_is_zero(t->component) && !t->system)
		return err_set(e, ST_BAD_REQUEST, "PaginationUnsupportedInComponents",
		    "paginate() is only supported in the app. Learn more at "
		    "https://docs.convex.dev/components/authoring#pagination");
	return ST_OK;
}

static status
read_cursors(struct pager *p, struct err *e)
{
	const struct page_opts *o = p->opts;

	if (o->cursor.n) {
		TRY(cursor_unseal(p->t, o->cursor, p->fingerprint, &p->start, e));
		p->has_start = true;
	}
	if (o->end_cursor.n)
		TRY(cursor_unseal(p->t, o->end_cursor, p->fingerprint, &p->end, e));
	else if (o->journal.n)
		TRY(journal_unseal(p->t, o->journal, p->fingerprint, &p->end, e));
	p->has_end = o->end_cursor.n || o->journal.n;
	return ST_OK;
}

/* The full key of a position, plus 00 if the row itself is to be on the lower side. */
static str
border(struct pager *p, str key, bool behind)
{
	struct buf *b = &p->t->key;

	buf_reset(b);
	index_prefix(b, p->q->index);
	buf_add(b, key);
	if (behind)
		buf_add_byte(b, 0);
	return arena_str(p->t->arena, buf_str(b));
}

/* Cuts [lo, hi) down to what lies after `start` and up to `end`, in the query's direction. */
static void
narrow(struct pager *p)
{
	struct query     *q = p->q;
	struct key_range *r = &q->range;
	str               k;

	if (p->has_start && p->start.end)
		q->done = true;
	if (q->done)
		return;
	if (p->has_start) {
		k = border(p, p->start.key, !q->desc);
		if (!q->desc && str_cmp(k, r->lo) > 0)
			r->lo = k;
		if (q->desc && str_cmp(k, r->hi) < 0)
			r->hi = k;
	}
	if (p->has_end && !p->end.end) {
		k = border(p, p->end.key, !q->desc);
		if (!q->desc && str_cmp(k, r->hi) < 0)
			r->hi = k;
		if (q->desc && str_cmp(k, r->lo) > 0)
			r->lo = k;
	}
	q->done = str_cmp(r->lo, r->hi) >= 0;
}

/* Maxima are tested once something was read, so that a page always makes progress. */
static bool
may_pull(void *arg)
{
	struct pager           *p = arg;
	const struct page_opts *o = p->opts;

	if (p->has_end || !p->keys.n)
		return true;
	if ((o->max_rows_given && (double)p->keys.n >= o->max_rows) ||
	    (o->max_bytes_given && p->bytes >= o->max_bytes))
		p->cut = true;
	return !p->cut;
}

static void
note_pulled(void *arg, str key, struct doc *row)
{
	struct pager *p = arg;

	p->bytes += (double)val_size(doc_val(row));
	vec_push(&p->keys, arena_str(p->t->arena, str_from(key, sizeof(uint32_t))));
}

/* The limits of section 5.6 end a page that has something to show. */
static bool
over_read_limit(const struct pager *p)
{
	const struct txn *t = p->t;

	return p->keys.n && (t->usage.docs_read > t->limits.docs_read ||
	    t->usage.bytes_read > t->limits.bytes_read);
}

static status
fill(struct pager *p, struct page *page, struct err *e)
{
	struct query_observer o = { may_pull, note_pulled, p };

	while (p->has_end || (double)page->docs.n < p->opts->page_size) {
		struct doc *d;
		status      st = query_step(p->q, &o, &d, e);

		if (st == ST_PAGINATION_LIMIT && over_read_limit(p)) {
			p->cut = true;
			return ST_OK;
		}
		TRY(st);
		if (!d) {
			p->dry = !p->cut;
			return ST_OK;
		}
		vec_push(&page->docs, d);
	}
	return ST_OK;
}

static double
least(bool given, double a, double b)
{
	return given && a < b ? a : b;
}

static const char *
page_status(const struct pager *p, const struct page *page)
{
	const struct page_opts *o = p->opts;

	if (p->cut)
		return "SplitRequired";
	if ((double)p->keys.n > 0.75 * least(o->max_rows_given, o->max_rows, ROWS_MAX) ||
	    p->bytes > 0.75 * least(o->max_bytes_given, o->max_bytes, BYTES_MAX) ||
	    page->docs.n > PAGE_RECOMMENDED)
		return "SplitRecommended";
	return NULL;
}

static void
conclude(struct pager *p, struct page *page)
{
	struct position at = { .end = true };

	if (p->has_end)
		at = p->end;
	else if (!p->dry)
		at = (struct position){ .key = p->keys.v[p->keys.n - 1] };
	page->is_done = at.end;
	page->continue_cursor = cursor_seal(p->t, &at, p->fingerprint);
	page->split_cursor = (str){ NULL, 0 };
	if (p->keys.n > 2) {
		struct position middle = { .key = p->keys.v[p->keys.n / 2] };

		page->split_cursor = cursor_seal(p->t, &middle, p->fingerprint);
	}
	page->status = page_status(p, page);
	/* An unchanged journal keeps its text: it is part of the result's cache key. */
	page->next_journal = p->opts->journal.n && !p->opts->end_cursor.n
	    ? arena_str(p->t->arena, p->opts->journal)
	    : journal_seal(p->t, &at, p->fingerprint);
}

status
query_page(struct txn *t, const struct query_spec *spec, const struct page_opts *opts,
    struct page *ret, struct err *e)
{
	struct pager p;
	struct page  page;
	status       st;

	memset(&p, 0, sizeof p);
	memset(&page, 0, sizeof page);
	p.t = t;
	p.opts = opts;
	TRY(check_opts(t, opts, e));
	TRY(query_open(t, spec, &p.q, e));
	query_fingerprint(p.q, p.fingerprint);
	st = read_cursors(&p, e);
	if (st == ST_OK) {
		narrow(&p);
		st = fill(&p, &page, e);
	}
	query_close(p.q);
	if (st == ST_OK)
		st = txn_check_intervals(t, e);
	if (st == ST_OK) {
		conclude(&p, &page);
		*ret = page;
	} else {
		vec_clear(&page.docs);
	}
	vec_clear(&p.keys);
	return st;
}

/* pages.c - pages of the accounts by balance, while balances move.
 *
 * Thread: one, on fibers.  Memory: the call's arena.
 */
#include "bank.h"

/* {rows: [balance * 100 + owner], done, cursor} */
static status
pack_page(const struct run *r, const struct page *page, struct val *ret, struct err *e)
{
	struct pack p;
	status      st;

	pack_init(&p);
	pack_object(&p);
	pack_key(&p, S("rows"));
	pack_array(&p);
	for (size_t i = 0; i < page->docs.n; i++) {
		struct val v = doc_val(page->docs.v[i]);

		pack_float64(&p, (double)(val_int64(val_get(v, S("balance"))) * 100 +
				     val_int64(val_get(v, S("owner")))));
	}
	pack_end(&p);
	pack_key(&p, S("done"));
	pack_bool(&p, page->is_done);
	pack_key(&p, S("cursor"));
	pack_str(&p, page->continue_cursor);
	pack_end(&p);
	st = pack_done_in(&p, r->c->arena, ret, e);
	pack_clear(&p);
	return st;
}

status
pages_read(const struct native_call *c, struct val *ret, struct err *e)
{
	struct query_spec spec = { .source = QUERY_INDEX_RANGE, .table = S("accounts"),
		.index = S("by_balance"), .desc = arg_u32(c, "desc") };
	struct page_opts  o = { .page_size = arg_u32(c, "size"),
		 .cursor = val_str(val_get(c->args, S("cursor"))),
		 .journal = c->call->journal };
	struct page       got;
	struct run        r;
	status            st;

	run_begin(&r, c);
	TRY(query_page(c->txn, &spec, &o, &got, e));
	sim_pause(r.s, MS / 5);
	st = pack_page(&r, &got, ret, e);
	c->res->journal = got.next_journal;
	vec_clear(&got.docs);
	return st;
}

/* database_query_fuzz.c - query JSON and cursors from outside, compiled and run.
 *
 * The first byte chooses: an even one runs the rest as the query of a stream, an odd one as a
 * page whose cursor is the query's own text, which must be refused and not crash.
 */
#include "base/json.h"
#include "base/must.h"
#include "database/query.h"
#include "value/vjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct db *
open_db(void)
{
	struct db_opts           opts;
	struct db               *db;
	struct txn              *t;
	struct arena            *a = arena_new();
	struct conflict          c;
	struct val               v;
	struct docid             id;
	ts_t                     ts;

	memset(&opts, 0, sizeof opts);
	opts.os = os_real();
	store_open_memory(&opts.store);
	must(db_open(&opts, &db, NULL) == ST_OK);
	t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(db), .writable = true });
	for (int i = 0; i < 10; i++) {
		must(vjson_parse(a, arena_fmt(a, "{\"n\":%d,\"o\":{\"x\":\"%d\"}}", i, i), 0, &v,
			 NULL) == ST_OK);
		must(txn_insert(t, S("t"), v, &id, NULL) == ST_OK);
	}
	must(txn_commit(t, &ts, &c, NULL) == ST_OK);
	txn_free(t);
	arena_free(a);
	return db;
}

static void
run(struct txn *t, const struct query_spec *s, bool page, str text)
{
	struct query *q;
	struct doc   *d;
	struct page   p;

	if (page) {
		struct page_opts o = { .page_size = 3, .cursor = text };

		if (query_page(t, s, &o, &p, NULL) == ST_OK)
			vec_clear(&p.docs);
		o.cursor = STR_EMPTY;
		if (query_page(t, s, &o, &p, NULL) == ST_OK)
			vec_clear(&p.docs);
		return;
	}
	if (query_open(t, s, &q, NULL) != ST_OK)
		return;
	while (query_next(q, &d, NULL) == ST_OK && d)
		;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct db *db;
	struct txn       *t;
	struct json      *j;
	struct query_spec s;
	str               text;

	if (!size)
		return 0;
	if (!db)
		db = open_db();
	t = txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(db) });
	text = str_of(data + 1, size - 1);
	if (json_parse(txn_arena(t), text, &j, NULL) == ST_OK &&
	    query_spec_parse(txn_arena(t), j, "queryStream", &s, NULL) == ST_OK)
		run(t, &s, data[0] & 1, text);
	txn_free(t);
	return 0;
}

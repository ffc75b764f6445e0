/* store_fixture.h - what the tests of the stores share: documents, commits and readable scans.
 *
 * Documents are numbered; number n has an id made of n and a body text.  A scan is rendered as
 * "key=body key=body", with " +" behind it when the scan says that there is more.
 *
 * Thread: the test's.  Memory: buffers are cleared by the caller.
 */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include "test.h"

#include "store/store.h"
#include "value/pack.h"

enum { TABLE_NUMBER = 10001 };

static inline struct uid
uid_of(uint8_t kind, uint32_t n)
{
	struct uid u = { { kind } };

	for (size_t i = 0; i < 4; i++)
		u.b[12 + i] = (uint8_t)(n >> 8 * (3 - i));
	return u;
}

static inline struct uid
doc_uid(uint32_t n)
{
	return uid_of('d', n);
}

static inline struct uid
tablet_uid(void)
{
	return uid_of('t', 1);
}

static inline struct uid
index_uid(uint32_t n)
{
	return uid_of('i', n);
}

/* {"_id", "_creationTime", "body"} */
static inline struct doc *
doc_make(uint32_t n, str body)
{
	struct docid id = { TABLE_NUMBER, doc_uid(n) };
	char         text[ID_TEXT_MAX];
	struct pack  p;
	struct val   v;
	struct doc  *d;

	id_format(id, text);
	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	pack_key(&p, S("_id"));
	pack_str(&p, str_z(text));
	pack_key(&p, S("_creationTime"));
	pack_float64(&p, n + 0.5);
	pack_key(&p, S("body"));
	pack_str(&p, body);
	pack_end(&p);
	CHECK_EQ(pack_done(&p, &v, NULL), ST_OK);
	d = doc_new(tablet_uid(), id, n + 0.5, v);
	pack_clear(&p);
	return d;
}

/* A write of document n; takes d's reference in the sense that the test drops it later. */
static inline struct store_doc_write
doc_write(uint32_t n, struct doc *d, ts_t prev_ts)
{
	return (struct store_doc_write){
		.tablet = tablet_uid(),
		.id = { TABLE_NUMBER, doc_uid(n) },
		.doc = d,
		.prev_ts = prev_ts,
	};
}

static inline struct store_index_write
key_write(uint32_t index, str key, bool deleted, uint32_t n)
{
	return (struct store_index_write){
		.index = index_uid(index),
		.key = key,
		.deleted = deleted,
		.tablet = tablet_uid(),
		.doc = doc_uid(n),
	};
}

static inline status
write_one(struct store *s, const struct store_commit *c, struct err *e)
{
	return store_write(s, &(struct store_batch){ .ncommits = 1, .commits = &c }, e);
}

/* One commit: document n with one entry in index 1; body p == NULL: a deletion. */
static inline status
try_put(struct store *s, ts_t ts, str key, uint32_t n, str body)
{
	struct doc              *d = body.p ? doc_make(n, body) : NULL;
	struct store_doc_write   dw = doc_write(n, d, 0);
	struct store_index_write kw = key_write(1, key, !d, n);
	struct store_commit      c = { .ts = ts, .ndocs = 1, .docs = &dw, .nkeys = 1, .keys = &kw };
	status                   st = write_one(s, &c, NULL);

	doc_unref(d);
	return st;
}

static inline void
put(struct store *s, ts_t ts, str key, uint32_t n, str body)
{
	CHECK_EQ(try_put(s, ts, key, n, body), ST_OK);
}

#define GONE ((str){ NULL, 0 })

static inline struct store_scan
scan_of(uint32_t index, ts_t at, str lo, str hi)
{
	return (struct store_scan){
		.index = index_uid(index),
		.tablet = tablet_uid(),
		.table_number = TABLE_NUMBER,
		.at = at,
		.lo = lo,
		.hi = hi,
		.limit = SIZE_MAX,
	};
}

static inline str
doc_body(const struct doc *d)
{
	return val_str(val_get(doc_val(d), S("body")));
}

/* The rendered rows of a scan. */
static inline str
scan_text(struct store *s, const struct store_scan *q, struct buf *out)
{
	struct store_rows rows;

	store_rows_init(&rows);
	CHECK_EQ(store_scan(s, q, &rows, NULL), ST_OK);
	buf_reset(out);
	for (size_t i = 0; i < rows.rows.n; i++) {
		if (i > 0)
			buf_add_byte(out, ' ');
		buf_add(out, rows.rows.v[i].key);
		buf_add_byte(out, '=');
		buf_add(out, doc_body(rows.rows.v[i].doc));
	}
	if (rows.more)
		buf_addz(out, " +");
	store_rows_clear(&rows);
	return buf_str(out);
}

#endif

/* doc_test.c - shared revisions of documents. */
#include "unit/value/help.h"

#include "value/doc.h"

static const struct uid   tablet = { { 1 } };
static const struct docid id = { 10001, { { 2 } } };

/* The last holder frees; the value is a copy. */
TEST(docs_are_counted)
{
	struct doc *d = doc_new(tablet, id, 5.5, V("{\"_creationTime\":5.5,\"_id\":\"x\"}"));
	struct doc *same = doc_ref(d);

	CHECK(same == d);
	doc_unref(d);
	CHECK_STRZ(val_str(val_get(doc_val(same), S("_id"))), "x");
	CHECK(!same->has_commit_ts);
	CHECK_EQ(same->ts, 0);
	CHECK(uid_eq(same->tablet, tablet));
	doc_unref(same);
	doc_unref(NULL);
}

/* Spec 03 section 1.6: at commit every token becomes the timestamp, at any depth. */
TEST(docs_resolve_commit_timestamps)
{
	struct doc *d = doc_new(tablet, id, 1,
	    V("{\"_id\":\"x\",\"a\":{\"$commitTs\":null},\"b\":[{\"c\":{\"$commitTs\":null}},1]}"));
	struct doc *done;

	CHECK(d->has_commit_ts);
	done = doc_resolve_commit_ts(d, 1234567890123);
	CHECK(!done->has_commit_ts);
	CHECK(val_eq(doc_val(done),
	    V("{\"_id\":\"x\",\"a\":{\"$integer\":\"ywT7cR8BAAA=\"},"
	      "\"b\":[{\"c\":{\"$integer\":\"ywT7cR8BAAA=\"}},1]}")));
	CHECK_EQ(done->id.table, 10001);
	CHECK_EQ(val_kind(val_get(doc_val(d), S("a"))), VAL_COMMIT_TS); /* untouched */
	doc_unref(d);
	doc_unref(done);
}

TEST_RUN_VALUES(T(docs_are_counted), T(docs_resolve_commit_timestamps))

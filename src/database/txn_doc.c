/* txn_doc.c - making documents, and the rules that they must keep.
 *
 * Spec 03 sections 1.4 and 2.5: system fields are ours; what an application may say about
 * them is only what is true already.
 *
 * Thread: the transaction's.  Memory: documents are references of the caller's.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "database/txn_int.h"

#define DOC_MAX_BYTES   ((size_t)1 << 20)
#define DOC_MAX_NESTING 16

static bool
is_system_field(str name)
{
	return str_eq(name, S("_id")) || str_eq(name, S("_creationTime"));
}

status
txn_build(struct txn *t, const struct table_info *info, struct docid id, double creation_time,
    struct val body, struct doc **ret, struct err *e)
{
	char       text[ID_TEXT_MAX];
	struct val v;
	size_t     n = val_count(body);

	pack_reset(&t->pack);
	t->pack.trusted = info->system;
	pack_object(&t->pack);
	pack_key(&t->pack, S("_creationTime"));
	pack_float64(&t->pack, creation_time);
	pack_key(&t->pack, S("_id"));
	pack_str(&t->pack, str_of(text, id_format(id, text)));
	for (size_t i = 0; i < n; i++) {
		str        name;
		struct val member = val_field_at(body, i, &name);

		if (is_system_field(name))
			continue;
		pack_key(&t->pack, name);
		pack_val(&t->pack, member);
	}
	pack_end(&t->pack);
	TRY(pack_done(&t->pack, &v, e));
	*ret = doc_new(info->tablet, id, creation_time, v);
	return ST_OK;
}

/* Both are sorted by name: a merge of two lists, where the patch wins. */
status
txn_merge(struct txn *t, struct val old, struct val patch, struct val *ret, struct err *e)
{
	size_t no = val_count(old), np = val_count(patch), i = 0, j = 0;

	pack_reset(&t->pack);
	t->pack.trusted = false;
	pack_object(&t->pack);
	while (i < no || j < np) {
		str        a = STR_EMPTY, b = STR_EMPTY;
		struct val va = i < no ? val_field_at(old, i, &a) : VAL_NONE;
		struct val vb = j < np ? val_field_at(patch, j, &b) : VAL_NONE;
		int        cmp = i == no ? 1 : j == np ? -1 : str_cmp(a, b);

		if (cmp <= 0)
			i++;
		if (cmp >= 0)
			j++;
		if (cmp >= 0 && val_kind(vb) == VAL_UNDEFINED)
			continue; /* the patch removes it */
		pack_key(&t->pack, cmp < 0 ? a : b);
		pack_val(&t->pack, cmp < 0 ? va : vb);
	}
	pack_end(&t->pack);
	return pack_done_in(&t->pack, t->arena, ret, e);
}

static bool
holds_commit_ts(struct val v)
{
	enum val_kind kind = val_kind(v);
	size_t        n = kind == VAL_ARRAY || kind == VAL_OBJECT ? val_count(v) : 0;

	for (size_t i = 0; i < n; i++) {
		str name;

		if (holds_commit_ts(kind == VAL_ARRAY ? val_at(v, i) : val_field_at(v, i, &name)))
			return true;
	}
	return kind == VAL_COMMIT_TS;
}

static status
id_mismatch(struct val body, struct val said, str is, struct err *e)
{
	struct buf b;
	status     st;

	if (holds_commit_ts(body))
		return err_set(e, ST_BAD_REQUEST, "InvalidDocumentError",
		    "Document's _id field doesn't match");
	buf_init(&b, BUF_MAX_DEFAULT);
	val_print(&b, said);
	st = err_set(e, ST_BAD_REQUEST, "InvalidIdError",
	    "Provided document ID \"%.*s\" doesn't match '_id' field %.*s", STR_ARG(is),
	    STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return st;
}

static status
time_mismatch(struct val body, double is, struct err *e)
{
	struct buf b, d;
	status     st;

	if (holds_commit_ts(body))
		return err_set(e, ST_BAD_REQUEST, "InvalidDocumentError",
		    "Document's _creationTime field doesn't match");
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_init(&d, BUF_MAX_DEFAULT);
	val_print(&b, body);
	json_write_number(&d, is);
	st = err_set(e, ST_BAD_REQUEST, "InvalidCreationTimeError",
	    "Provided creation time %.*s doesn't match '_creationTime' field in %.*s",
	    STR_ARG(buf_str(&d)), STR_ARG(buf_str(&b)));
	buf_clear(&b);
	buf_clear(&d);
	return st;
}

status
txn_check_system_fields(struct val body, struct docid id, double creation_time, struct err *e)
{
	struct val said = val_get(body, S("_id"));
	char       text[ID_TEXT_MAX];

	if (val_some(said) && val_kind(said) != VAL_UNDEFINED) {
		str is = str_of(text, id_format(id, text));

		if (val_kind(said) != VAL_STRING || !str_eq(val_str(said), is))
			return id_mismatch(body, said, is, e);
	}
	said = val_get(body, S("_creationTime"));
	if (val_some(said) && val_kind(said) != VAL_UNDEFINED)
		if (val_kind(said) != VAL_FLOAT64 || val_float64(said) != creation_time)
			return time_mismatch(body, creation_time, e);
	return ST_OK;
}

static void
violation(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

static void
violation(struct buf *b, const char *fmt, ...)
{
	char    room[FIELD_NAME_MAX + 200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(room, sizeof room, fmt, ap);
	va_end(ap);
	if (b->n)
		buf_addz(b, "\n ");
	buf_addz(b, room);
}

static status
check_structure(struct val v, struct err *e)
{
	struct buf b, doc;
	int        nesting = val_nesting(v);
	size_t     n = val_count(v);
	status     st = ST_OK;

	buf_init(&b, BUF_MAX_DEFAULT);
	for (size_t i = 0; i < n; i++) {
		str name;

		(void)val_field_at(v, i, &name);
		if (str_starts(name, S("_")) && !is_system_field(name))
			violation(&b,
			    "Field '%.*s' starts with an underscore, which is only allowed for "
			    "system fields like '_id'",
			    STR_ARG(name));
	}
	if (nesting > DOC_MAX_NESTING)
		violation(&b,
		    "Document is too nested (nested %d levels deep > maximum nesting %d)", nesting,
		    DOC_MAX_NESTING);
	if (b.n) {
		buf_init(&doc, BUF_MAX_DEFAULT);
		val_print(&doc, v);
		st = err_set(e, ST_BAD_REQUEST, "InvalidDocumentError",
		    "Document(value: %.*s) isn't a valid document: %.*s", STR_ARG(buf_str(&doc)),
		    STR_ARG(buf_str(&b)));
		buf_clear(&doc);
	}
	buf_clear(&b);
	return st;
}

status
txn_check_doc(const struct doc *d, struct err *e)
{
	size_t size = val_size(doc_val(d));
	char   text[32];

	TRY(check_structure(doc_val(d), e));
	if (size > DOC_MAX_BYTES)
		return err_set(e, ST_BAD_REQUEST, "ValueTooLargeError",
		    "Value is too large (%s > maximum size 1 MiB)",
		    bytes_text(size, text, sizeof text));
	return ST_OK;
}

/* "1 MiB", "1.50 MiB", "12 B" (spec 03 section 1.4). */
const char *
bytes_text(uint64_t n, char *ret, size_t cap)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
	size_t                   unit = 0;

	while (unit + 1 < COUNT_OF(units) && n >> (10 * (unit + 1)))
		unit++;
	if (n & (((uint64_t)1 << (10 * unit)) - 1))
		snprintf(ret, cap, "%.2f %s", (double)n / (double)((uint64_t)1 << (10 * unit)),
		    units[unit]);
	else
		snprintf(ret, cap, "%llu %s", (unsigned long long)(n >> (10 * unit)), units[unit]);
	return ret;
}

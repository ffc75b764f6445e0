/* syscall_db.c - syscalls of the database: documents, queries, pages.
 *
 * Thread: the isolate's.  Memory: the run's arena.
 */
#include "isolate/syscall_int.h"

/* --- client versions --- */

/* "1.48.0", "1.9.0-alpha.1"; pre-releases count as their release. */
static bool
read_semver(str v, uint64_t ret[3])
{
	size_t end;

	for (int part = 0; part < 2; part++) {
		if (!str_find_char(v, '.', &end) || !str_to_u64(str_head(v, end), &ret[part]))
			return false;
		v = str_from(v, end + 1);
	}
	for (end = 0; end < v.n && v.p[end] != '-' && v.p[end] != '+'; end++)
		;
	return str_to_u64(str_head(v, end), &ret[2]);
}

static bool
semver_before(const uint64_t v[3], uint64_t major, uint64_t minor, uint64_t patch)
{
	if (v[0] != major)
		return v[0] < major;
	return v[1] != minor ? v[1] < minor : v[2] < patch;
}

/* Absent: a package of today. */
static status
npm_age_of(const struct json *args, const char *method, enum npm_age *ret, struct err *e)
{
	uint64_t v[3];
	str      version;

	*ret = NPM_CURRENT;
	TRY(syscall_opt_str(args, "version", method, &version, e));
	if (!version.p)
		return ST_OK;
	if (!read_semver(version, v))
		return err_set(e, ST_BAD_REQUEST, "InvalidClientVersion",
		    "Invalid client version %.*s", STR_ARG(version));
	if (semver_before(v, 1, 6, 1))
		*ret = NPM_BEFORE_1_6_1;
	else if (semver_before(v, 1, 9, 0))
		*ret = NPM_BEFORE_1_9;
	return ST_OK;
}

/* queryStream and get wrap the error, queryPage does not (spec 03 section 6.1). */
static status
npm_age_wrapped(const struct json *args, const char *method, enum npm_age *ret, struct err *e)
{
	status st = npm_age_of(args, method, ret, e);

	if (st == ST_OK || !str_eq(e->code, S("InvalidClientVersion")))
		return st;
	e->code = S("InvalidArgument");
	return syscall_bad(e, "version", method);
}

/* --- queries --- */

static status
query_spec_of(struct engine *en, const struct json *args, const char *method,
    struct query_spec **ret, struct err *e)
{
	struct query_spec *spec = ARENA_NEW(en->run->arena, struct query_spec);

	TRY(query_spec_parse(en->run->arena, json_get(args, "query"), method, spec, e));
	*ret = spec;
	return ST_OK;
}

static size_t
keep_query(struct run *r, struct query *q)
{
	size_t id = r->nqueries;

	if ((id & (id - 1)) == 0) { /* full at powers of two */
		struct query **grown = ARENA_ARRAY(r->arena, struct query *, id ? id * 2 : 1);

		if (id)
			memcpy(grown, r->queries, id * sizeof *grown);
		r->queries = grown;
	}
	r->queries[id] = q;
	r->nqueries++;
	return id;
}

static status
query_stream(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct query_spec *spec;
	struct query      *q;
	enum npm_age       age;
	status             st;

	TRY(npm_age_wrapped(args, "queryStream", &age, e));
	TRY(query_spec_of(en, args, "queryStream", &spec, e));
	txn_set_npm(en->run->txn, age);
	st = op_query_open(en, spec, &q, e);
	txn_set_npm(en->run->txn, NPM_CURRENT);
	TRY(st);
	buf_fmt(out, "{\"queryId\":%zu}", keep_query(en->run, q));
	return ST_OK;
}

/* The slot of an open query; NULL if the id is unknown or closed. */
static status
query_slot(struct run *r, const struct json *args, const char *method, struct query ***ret,
    struct err *e)
{
	uint32_t id;

	if (!json_get_u32(args, "queryId", &id))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid arguments for `%s`: missing field `queryId`", method);
	*ret = id < r->nqueries && r->queries[id] ? &r->queries[id] : NULL;
	return ST_OK;
}

static status
query_cleanup(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct query **slot;

	TRY(query_slot(en->run, args, "queryCleanup", &slot, e));
	buf_addz(out, slot ? "true" : "false");
	if (slot) {
		query_close(*slot);
		*slot = NULL;
	}
	return ST_OK;
}

static status
query_stream_next(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct query **slot;
	struct doc    *d;

	TRY(query_slot(en->run, args, "queryStreamNext", &slot, e));
	if (!slot)
		return err_set(e, ST_BAD_REQUEST, "QueryNotFound", "in-progress query not found");
	TRY(op_query_next(en, *slot, &d, e));
	buf_addz(out, "{\"value\":");
	if (d)
		vjson_write(out, doc_val(d), VJSON_ENCODED);
	else
		buf_addz(out, "null");
	buf_fmt(out, ",\"done\":%s}", d ? "false" : "true");
	return ST_OK;
}

static void
maximum(const struct json *args, const char *key, bool *ret_given, double *ret)
{
	*ret_given = json_get_num(args, key, ret);
}

static status
page_args(const struct json *args, struct page_opts *o, struct err *e)
{
	memset(o, 0, sizeof *o);
	TRY(syscall_opt_str(args, "cursor", "queryPage", &o->cursor, e));
	TRY(syscall_opt_str(args, "endCursor", "queryPage", &o->end_cursor, e));
	if (!json_get_num(args, "pageSize", &o->page_size))
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "Invalid arguments for `queryPage`: missing field `pageSize`");
	maximum(args, "maximumRowsRead", &o->max_rows_given, &o->max_rows);
	maximum(args, "maximumBytesRead", &o->max_bytes_given, &o->max_bytes);
	return ST_OK;
}

static void
write_page(struct buf *out, const struct page *p)
{
	buf_addz(out, "{\"page\":[");
	for (size_t i = 0; i < p->docs.n; i++) {
		if (i)
			buf_add_byte(out, ',');
		vjson_write(out, doc_val(p->docs.v[i]), VJSON_ENCODED);
	}
	buf_fmt(out, "],\"isDone\":%s,\"continueCursor\":", p->is_done ? "true" : "false");
	json_write_str(out, p->continue_cursor);
	buf_addz(out, ",\"splitCursor\":");
	if (p->split_cursor.p)
		json_write_str(out, p->split_cursor);
	else
		buf_addz(out, "null");
	buf_addz(out, ",\"pageStatus\":");
	if (p->status)
		json_write_str(out, str_z(p->status));
	else
		buf_addz(out, "null");
	buf_add_byte(out, '}');
}

static status
query_page_call(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct query_spec *spec;
	struct page_opts   opts;
	struct page        page;
	enum npm_age       age;
	status             st;

	memset(&page, 0, sizeof page);
	TRY(npm_age_of(args, "queryPage", &age, e));
	TRY(query_spec_of(en, args, "queryPage", &spec, e));
	TRY(page_args(args, &opts, e));
	txn_set_npm(en->run->txn, age);
	st = op_page(en, spec, &opts, &page, e);
	txn_set_npm(en->run->txn, NPM_CURRENT);
	TRY(st);
	write_page(out, &page);
	vec_clear(&page.docs);
	return ST_OK;
}

/* --- documents --- */

static void
write_doc(struct buf *out, const struct doc *d)
{
	if (d)
		vjson_write(out, doc_val(d), VJSON_ENCODED);
	else
		buf_addz(out, "null");
}

static status
get(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	const char  *method = "db.get";
	bool         is_system = false;
	struct doc  *d;
	str          table, id;
	enum npm_age age;
	status       st;

	(void)json_get_bool(args, "isSystem", &is_system);
	if (is_system)
		method = "db.system.get";
	TRY(npm_age_wrapped(args, method, &age, e));
	TRY(syscall_opt_str(args, "table", method, &table, e));
	TRY(syscall_str(args, "id", method, &id, e));
	txn_set_npm(en->run->txn, age);
	st = op_get(en, table, id, is_system, &d, e);
	txn_set_npm(en->run->txn, NPM_CURRENT);
	TRY(st);
	write_doc(out, d);
	return ST_OK;
}

static status
insert(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct docid id;
	struct val   v;
	char         text[ID_TEXT_MAX];
	str          table;

	TRY(syscall_str(args, "table", "db.insert", &table, e));
	TRY(syscall_object(en, args, "value", "db.insert", VJSON_COMMIT_TS, &v, e));
	TRY(op_insert(en, table, v, &id, e));
	id_format(id, text);
	buf_fmt(out, "{\"_id\":\"%s\"}", text);
	return ST_OK;
}

static status
update(struct engine *en, const struct json *args, const char *method, int allow, op_update_fn *fn,
    struct buf *out, struct err *e)
{
	struct doc *d;
	struct val  v;
	str         table, id;

	TRY(syscall_opt_str(args, "table", method, &table, e));
	TRY(syscall_str(args, "id", method, &id, e));
	TRY(syscall_object(en, args, "value", method, allow, &v, e));
	TRY(op_update(en, fn, table, id, v, &d, e));
	write_doc(out, d);
	return ST_OK;
}

static status
shallow_merge(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	return update(en, args, "db.patch", VJSON_UNDEFINED | VJSON_COMMIT_TS, txn_patch, out, e);
}

static status
replace(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	return update(en, args, "db.replace", VJSON_COMMIT_TS, txn_replace, out, e);
}

static status
remove_doc(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	struct doc *old;
	str         table, id;

	TRY(syscall_opt_str(args, "table", "db.delete", &table, e));
	TRY(syscall_str(args, "id", "db.delete", &id, e));
	TRY(op_delete(en, table, id, &old, e));
	write_doc(out, old);
	return ST_OK;
}

static status
count(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	double n;
	str    table;

	TRY(syscall_str(args, "table", "db.count", &table, e));
	TRY(op_count(en, table, &n, e));
	json_write_number(out, n);
	return ST_OK;
}

static status
normalize_id(struct engine *en, const struct json *args, struct buf *out, struct err *e)
{
	char text[ID_TEXT_MAX];
	bool found;
	str  table, id;

	TRY(syscall_str(args, "table", "db.normalizeId", &table, e));
	TRY(syscall_str(args, "idString", "db.normalizeId", &id, e));
	TRY(txn_normalize_id(en->run->txn, table, id, &found, text, e));
	if (found)
		buf_fmt(out, "{\"id\":\"%s\"}", text);
	else
		buf_addz(out, "{\"id\":null}");
	return ST_OK;
}

const struct syscall syscalls_db_sync[] = {
	{ "1.0/queryStream", query_stream },
	{ "1.0/queryCleanup", query_cleanup },
	{ "1.0/db/normalizeId", normalize_id },
};
const size_t syscalls_db_sync_count = COUNT_OF(syscalls_db_sync);

const struct syscall syscalls_db_async[] = {
	{ "1.0/get", get },
	{ "1.0/queryStreamNext", query_stream_next },
	{ "1.0/queryPage", query_page_call },
	{ "1.0/insert", insert },
	{ "1.0/shallowMerge", shallow_merge },
	{ "1.0/replace", replace },
	{ "1.0/remove", remove_doc },
	{ "1.0/count", count },
};
const size_t syscalls_db_async_count = COUNT_OF(syscalls_db_async);

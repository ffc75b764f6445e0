/* sqlite_read.c - index scans.
 *
 * A scan wants for each key the newest version that is not above the asked timestamp.  The
 * table is ordered by (index, key, version), so one statement walks the range and the loop here
 * picks the version: the last fitting one when walking up, the first fitting one when walking
 * down.  Where keys have few versions that is one step of a cursor per key.
 *
 * A hot document can have thousands of versions of one key.  After MANY_VERSIONS rows of the
 * same key the walk is abandoned: one lookup finds the wanted version, and a new walk starts
 * behind the key.  So a scan costs O(keys), whatever the number of versions.
 *
 * Rows that are logged and not applied yet come from a view (memtable.h): the walk is merged with
 * the view's keys, and for a key that both know the newer version counts.  The view is taken
 * before SQLite's snapshot and may overlap it, never leave a gap: what was dropped from the
 * tables before the view was taken had been committed in SQLite before that.  If SQLite's
 * snapshot has rows that the view does not, it has everything that the view has, and as newer
 * versions win, the answer is that of the snapshot.
 *
 * A scan is one SQLite transaction: its statements see one state of the file, and the file locks
 * (system calls, half the cost of reading one key) are taken once.
 *
 * Thread: any; each call has a reader of its own.  Memory: the rows' arena; documents counted.
 */
#include "base/json.h"
#include "store/sqlite_int.h"
#include "value/vjson.h"

enum { MANY_VERSIONS = 6 };

#define WALK_SQL                                                                                   \
	"SELECT key, ts, deleted, document_id FROM indexes WHERE index_id = ?1 AND key >= ?2"

const char *const sqlite_read_sql[READ_STMTS] = {
	[READ_WALK_ASC] = WALK_SQL " AND key < ?3 ORDER BY key ASC, ts ASC",
	[READ_WALK_ASC_OPEN] = WALK_SQL " ORDER BY key ASC, ts ASC",
	[READ_WALK_DESC] = WALK_SQL " AND key < ?3 ORDER BY key DESC, ts DESC",
	[READ_WALK_DESC_OPEN] = WALK_SQL " ORDER BY key DESC, ts DESC",
	[READ_NEWEST] = "SELECT key, ts, deleted, document_id FROM indexes"
			" WHERE index_id = ?1 AND key = ?2 AND ts <= ?3 ORDER BY ts DESC LIMIT 1",
	[READ_BODY] = "SELECT json_value FROM documents"
		      " WHERE ts = ?1 AND table_id = ?2 AND id = ?3",
	[READ_LOG] = "SELECT ts, table_id, id, json_value, deleted, prev_ts FROM documents"
		     " WHERE ts >= ?1 AND ts < ?2 ORDER BY ts, table_id, id LIMIT ?3",
	[READ_REVISION] = "SELECT ts, json_value, deleted, prev_ts FROM documents"
			  " WHERE table_id = ?1 AND id = ?2 AND ts <= ?3 ORDER BY ts DESC LIMIT 1",
	[READ_GLOBAL] = "SELECT json_value FROM persistence_globals WHERE key = ?1",
	[READ_MAX_TS] = "SELECT max(ts) FROM documents",
	[READ_FREE] = "SELECT f.freelist_count * p.page_size,"
		      " (c.page_count - f.freelist_count) * p.page_size"
		      " FROM pragma_freelist_count f, pragma_page_count c, pragma_page_size p",
	[READ_BEGIN] = "BEGIN",
	[READ_END] = "COMMIT",
};

/* One version of the key that the scan is at. */
struct version {
	bool       found;
	bool       deleted;
	ts_t       ts;
	struct uid doc;
};

struct scan {
	struct sqlite_reader    *r;
	const struct store_scan *q;
	const struct memview    *view;
	struct memcursor         over; /* at the view's next key that is not out yet */
	struct store_rows       *out;
	sqlite3_stmt            *walk;
	str                      lo, hi;   /* what is left of the range */
	bool                     open;     /* the range has no end; hi is unused */
	bool                     at_key;   /* r->key is a key whose answer is not out yet */
	size_t                   versions; /* of r->key, seen so far */
	struct version           best;     /* of r->key */
};

status
sqlite_bad_row(struct err *e, const char *what)
{
	return err_internal(e, "sqlite: the database is damaged: %s", what);
}

status
sqlite_column_uid(sqlite3_stmt *st, int at, struct uid *ret, struct err *e)
{
	str s = sqlite_column_bytes(st, at);

	if (s.n != sizeof ret->b)
		return sqlite_bad_row(e, "an id does not have 16 bytes");
	memcpy(ret->b, s.p, sizeof ret->b);
	return ST_OK;
}

status
sqlite_try_doc(struct sqlite_reader *r, str json, struct uid tablet, struct docid id,
    struct doc **ret)
{
	struct json *j;
	struct val   v;
	double       creation = 0;
	str          text;

	arena_reset(r->arena);
	pack_reset(&r->pack);
	TRY(json_parse(r->arena, json, &j, NULL));
	TRY(vjson_read(&r->pack, j, VJSON_PLAIN, NULL));
	TRY(pack_done(&r->pack, &v, NULL));
	if (val_kind(v) != VAL_OBJECT)
		return ST_INTERNAL;
	if (id.table == 0) {
		if (!json_get_str(j, "_id", &text))
			return ST_INTERNAL;
		TRY(id_parse(text, &id, NULL));
	}
	json_get_num(j, "_creationTime", &creation);
	*ret = doc_new(tablet, id, creation, v);
	return ST_OK;
}

status
sqlite_parse_doc(struct sqlite_reader *r, str json, struct uid tablet, struct docid id,
    struct doc **ret, struct err *e)
{
	if (sqlite_try_doc(r, json, tablet, id, ret) == ST_OK)
		return ST_OK;
	return sqlite_bad_row(e, "a document cannot be read");
}

/* The revision that an index entry points to, from SQLite. */
static status
load_stored_body(struct scan *s, struct doc **ret, struct err *e)
{
	sqlite3_stmt *body = s->r->stmts[READ_BODY];
	struct docid  id = { s->q->table_number, s->best.doc };
	str           json;
	int           rc;
	status        st;

	rc = sqlite3_bind_int64(body, 1, (sqlite3_int64)s->best.ts);
	rc |= sqlite_bind_uid(body, 2, &s->q->tablet);
	rc |= sqlite_bind_uid(body, 3, &id.uid);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(body);
	if (rc == SQLITE_ROW) {
		json = sqlite_column_bytes(body, 0);
		st = sqlite_parse_doc(s->r, json, s->q->tablet, id, ret, e);
		if (st == ST_OK)
			(*ret)->ts = s->best.ts;
	} else if (rc == SQLITE_DONE) {
		st = sqlite_bad_row(e, "an index entry has no document");
	} else {
		st = sqlite_fail(s->r->db, e, sqlite_read_sql[READ_BODY]);
	}
	sqlite3_reset(body);
	return st;
}

static status
load_body(struct scan *s, struct doc **ret, struct err *e)
{
	struct docid               id = { s->q->table_number, s->best.doc };
	const struct mem_revision *r =
	    memview_revision(s->view, s->best.ts, s->q->tablet, s->best.doc);

	if (!r)
		return load_stored_body(s, ret, e);
	if (r->deleted)
		return sqlite_bad_row(e, "an index entry has no document");
	TRY(sqlite_parse_doc(s->r, r->json, s->q->tablet, id, ret, e));
	(*ret)->ts = r->ts;
	return ST_OK;
}

/* The view's version of the key that it is at. */
static void
see_over(struct scan *s)
{
	const struct mem_key *k = memcursor_version(&s->over);

	/* Of equal age: a backfilled entry that was written again; the view's is as new. */
	if (!k || (s->best.found && k->ts < s->best.ts))
		return;
	s->best = (struct version){ true, k->deleted, k->ts, k->doc };
}

/* The key r->key is complete: returns its document unless it is deleted or not there yet. */
static status
finish_key(struct scan *s, struct err *e)
{
	struct store_row row;

	must(s->at_key);
	s->at_key = false;
	if (s->over.at && str_eq(s->over.at->key, buf_str(&s->r->key))) {
		see_over(s);
		memcursor_next(&s->over);
	}
	if (!s->best.found || s->best.deleted)
		return ST_OK;
	TRY(load_body(s, &row.doc, e));
	row.key = arena_str(s->out->arena, buf_str(&s->r->key));
	vec_push(&s->out->rows, row);
	return ST_OK;
}

static void
start_key(struct scan *s, str key)
{
	buf_reset(&s->r->key);
	buf_add(&s->r->key, key);
	s->at_key = true;
	s->versions = 0;
	s->best = (struct version){ 0 };
}

/* Considers the version in the current row of `st`. */
static status
see_version(struct scan *s, sqlite3_stmt *st, struct err *e)
{
	ts_t ts = (ts_t)sqlite3_column_int64(st, 1);

	s->versions++;
	if (ts > s->q->at || (s->best.found && ts < s->best.ts))
		return ST_OK;
	s->best.found = true;
	s->best.ts = ts;
	s->best.deleted = sqlite3_column_int(st, 2) != 0;
	return s->best.deleted ? ST_OK : sqlite_column_uid(st, 3, &s->best.doc, e);
}

/* Binds and starts the walk over what is left of the range. */
static status
start_walk(struct scan *s, struct err *e)
{
	enum read_stmt which;
	int            rc;

	if (s->q->desc)
		which = s->open ? READ_WALK_DESC_OPEN : READ_WALK_DESC;
	else
		which = s->open ? READ_WALK_ASC_OPEN : READ_WALK_ASC;
	s->walk = s->r->stmts[which];
	rc = sqlite_bind_uid(s->walk, 1, &s->q->index);
	rc |= sqlite_bind_bytes(s->walk, 2, s->lo);
	if (!s->open)
		rc |= sqlite_bind_bytes(s->walk, 3, s->hi);
	return rc == SQLITE_OK ? ST_OK : sqlite_fail(s->r->db, e, "bind a range");
}

/* Too many versions: asks for the right one and goes on behind the key. */
static status
leap(struct scan *s, struct err *e)
{
	sqlite3_stmt *newest = s->r->stmts[READ_NEWEST];
	status        st = ST_OK;
	int           rc;

	sqlite3_reset(s->walk);
	rc = sqlite_bind_uid(newest, 1, &s->q->index);
	rc |= sqlite_bind_bytes(newest, 2, buf_str(&s->r->key));
	rc |= sqlite3_bind_int64(newest, 3, (sqlite3_int64)s->q->at);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(newest);
	if (rc == SQLITE_ROW)
		st = see_version(s, newest, e);
	else if (rc != SQLITE_DONE)
		st = sqlite_fail(s->r->db, e, sqlite_read_sql[READ_NEWEST]);
	sqlite3_reset(newest);
	TRY(st);
	TRY(finish_key(s, e));

	buf_reset(&s->r->bound);
	buf_add(&s->r->bound, buf_str(&s->r->key));
	if (s->q->desc) {
		s->hi = buf_str(&s->r->bound);
		s->open = false;
	} else {
		buf_add_byte(&s->r->bound, 0); /* the next possible key */
		s->lo = buf_str(&s->r->bound);
	}
	return start_walk(s, e);
}

/* The limit is reached, and there is another key. */
static bool
full(struct scan *s)
{
	if (s->out->rows.n < s->q->limit)
		return false;
	s->out->more = true;
	return true;
}

/* Answers the keys that only the view has, up to SQLite's next one (NULL: to the end). */
static status
take_over(struct scan *s, const str *next, bool *ret_done, struct err *e)
{
	while (s->over.at) {
		int c = next ? str_cmp(s->over.at->key, *next) : 0;

		if (next && (s->q->desc ? c <= 0 : c >= 0))
			break;
		if (full(s)) {
			*ret_done = true;
			break;
		}
		start_key(s, s->over.at->key);
		TRY(finish_key(s, e));
	}
	return ST_OK;
}

/* Takes the walk's current row.  *ret_done: the limit is reached and this row shows that the
 * range holds more. */
static status
take_row(struct scan *s, bool *ret_done, struct err *e)
{
	str key = sqlite_column_bytes(s->walk, 0);

	if (!s->at_key || !str_eq(key, buf_str(&s->r->key))) {
		if (s->at_key)
			TRY(finish_key(s, e));
		TRY(take_over(s, &key, ret_done, e));
		if (*ret_done || (*ret_done = full(s)))
			return ST_OK;
		start_key(s, key);
	}
	TRY(see_version(s, s->walk, e));
	return s->versions > MANY_VERSIONS ? leap(s, e) : ST_OK;
}

static status
walk_range(struct scan *s, struct err *e)
{
	bool done = false;

	TRY(start_walk(s, e));
	while (!done) {
		int rc = sqlite3_step(s->walk);

		if (rc == SQLITE_DONE)
			break;
		if (rc != SQLITE_ROW)
			return sqlite_fail(s->r->db, e, "scan an index");
		TRY(take_row(s, &done, e));
	}
	if (s->at_key)
		TRY(finish_key(s, e));
	return done ? ST_OK : take_over(s, NULL, &done, e);
}

static status
run(struct sqlite_reader *r, enum read_stmt which, struct err *e)
{
	int rc = sqlite3_step(r->stmts[which]);

	sqlite3_reset(r->stmts[which]);
	return rc == SQLITE_DONE ? ST_OK : sqlite_fail(r->db, e, sqlite_read_sql[which]);
}

static status
scan_in_transaction(struct scan *s, struct err *e)
{
	status st, ended;

	TRY(run(s->r, READ_BEGIN, e));
	st = walk_range(s, e);
	if (s->walk)
		sqlite3_reset(s->walk);
	ended = run(s->r, READ_END, st == ST_OK ? e : NULL);
	return st == ST_OK ? ended : st;
}

status
sqlite_scan_under(struct sqlite_store *store, const struct memview *view,
    const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	struct scan s = { .q = q, .view = view, .out = ret, .lo = q->lo, .hi = q->hi };
	status      st;

	s.open = q->hi.n == 0;
	must(q->limit > 0 && ret->rows.n == 0);
	TRY(sqlite_reader_take(store, &s.r, e));
	if (!ret->arena)
		ret->arena = arena_new();
	memcursor_open(&s.over, view, q);
	st = scan_in_transaction(&s, e);
	sqlite_reader_give(store, s.r);
	if (st != ST_OK)
		store_rows_clear(ret);
	return st;
}

status
sqlite_scan(void *self, const struct store_scan *q, struct store_rows *ret, struct err *e)
{
	return sqlite_scan_under(self, &(struct memview){ 0 }, q, ret, e);
}

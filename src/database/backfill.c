/* backfill.c - what a push waits for: indexes being filled, documents being validated.
 *
 * Index (spec 03 section 4.6): since the commit that inserted the Backfilling row every write
 * maintains the index, so what is missing are the entries of documents that were there
 * before.  We walk by_id, each step on the newest snapshot, and queue an entry for each
 * document at the timestamp of its own revision; an entry that a later write made already is
 * written once more, which changes nothing.  When the walk is done and everything queued is
 * durable (a reader would load the range from the store), the index is Backfilled.
 *
 * Schema (section 4.4): documents written since the pending row appeared were checked by their
 * own transactions, so again only the older ones are left to look at, in any snapshot.
 *
 * The walks do not enter the read set: by the above nothing that happens meanwhile matters,
 * but that the row of the index or schema itself is still as it was; that one is read.
 *
 * Progress is kept in _index_backfills and _schema_validation_progress, so a restart goes on
 * where it was.
 *
 * Thread: one.  Memory: a transaction per step.
 */
#include "database/db_int.h"
#include "database/ddl_int.h"
#include "runtime/pause.h"

#define STEP_DOCS  500
#define GC_ROWS    100
#define GC_AGE_NS  ((uint64_t)3600 * 1000000000)

struct step {
	struct db  *db;
	struct txn *t;
	bool        changed; /* something to commit */
	bool        more;    /* call again */
	bool        fills;   /* entries were queued */
};

static struct txn *
begin(struct db *db, struct uid component)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(db), .writable = true,
	    .system = true, .component = component, .writer = S("_system/backfill") });
}

/* Retention must not erase what replaces these documents before their entries are there. */
static void
hold_history(struct step *s)
{
	struct db *db = s->db;
	MUTEX_GUARD(&db->queue_lock);

	if (!db->filling.from)
		db->filling.from = txn_ts(s->t);
	db->filling.until = TS_MAX;
	db->filling.turn++;
	s->fills = true;
}

/* They are when the store has this commit. */
static void
release_history(struct db *db, ts_t until)
{
	MUTEX_GUARD(&db->queue_lock);

	db->filling.until = until;
}

/* A conflict only means that the step must be made again. */
static status
end(struct step *s, status st, struct err *e)
{
	struct conflict conflict;
	ts_t            ts;

	if (st == ST_OK && s->changed) {
		s->more = true;
		st = txn_commit(s->t, &ts, &conflict, e);
		if (st == ST_OK && s->fills)
			release_history(s->db, ts);
		if (st == ST_OCC)
			st = ST_OK;
	}
	txn_free(s->t);
	return st;
}

/* --- a walk over by_id, up to STEP_DOCS documents behind a cursor --- */

struct walk {
	struct tscan scan;
	struct doc  *last; /* held; NULL: nothing met */
	size_t       n;
	bool         done; /* came to the end of the table */
};

static str
bound(struct txn *t, const struct table_info *info, const struct docid *after, uint8_t tail)
{
	if (after) {
		(void)txn_by_id_key(t, info, *after);
	} else {
		buf_reset(&t->key);
		index_prefix(&t->key, info->by_id);
	}
	buf_add_byte(&t->key, tail);
	return arena_str(t->arena, buf_str(&t->key));
}

static void
walk_open(struct walk *w, struct txn *t, const struct table_info *info, const struct docid *after)
{
	memset(w, 0, sizeof *w);
	/* Behind K comes K 00; a prefix alone needs no tail, but 00 sorts before every tag. */
	tscan_open(&w->scan, t, ttable_of(t, info), info->by_id, bound(t, info, after, 0x00),
	    bound(t, info, NULL, 0xff), false, STEP_DOCS);
}

static status
walk_next(struct walk *w, struct doc **ret, struct err *e)
{
	str key;

	*ret = NULL;
	if (w->n == STEP_DOCS)
		return ST_OK;
	TRY(tscan_next(&w->scan, &key, ret, e));
	if (*ret) {
		w->last = *ret;
		w->n++;
	} else {
		w->done = true;
	}
	return ST_OK;
}

/* --- progress rows --- */

static str
get_text(struct val v, str path)
{
	v = val_path(v, path);
	return val_kind(v) == VAL_STRING ? val_str(v) : STR_EMPTY;
}

static int64_t
get_count(struct val v, str name)
{
	v = val_get(v, name);
	return val_kind(v) == VAL_INT64 ? val_int64(v) : 0;
}

static bool
get_id(struct val v, str path, struct docid *ret)
{
	str text = get_text(v, path);

	return text.n && id_parse(text, ret, NULL) == ST_OK;
}

static void
pack_id(struct pack *p, const char *name, const struct docid *id)
{
	char text[ID_TEXT_MAX];

	pack_key(p, str_z(name));
	if (id)
		pack_str(p, str_of(text, id_format(*id, text)));
	else
		pack_null(p);
}

static void
pack_count(struct pack *p, const char *name, int64_t n)
{
	pack_key(p, str_z(name));
	pack_int64(p, n);
}

static void
pack_nothing(struct pack *p, const char *name)
{
	pack_key(p, str_z(name));
	pack_null(p);
}

/* Inserts the row that is being packed, or replaces `old` by it. */
static status
save(struct step *s, str table, const struct doc *old, struct err *e)
{
	struct val   row;
	struct docid id;

	s->changed = true;
	TRY(ddl_row_done(s->t, &row, e));
	if (old)
		return txn_sys_replace(s->t, old->id, row, e);
	return txn_sys_insert(s->t, table, row, &id, e);
}

/* --- indexes --- */

static status
queue_entries(struct step *s, struct walk *w, const struct index_info *ix, struct err *e)
{
	struct store_backfill_row *rows = ARENA_ARRAY(s->t->arena, struct store_backfill_row,
	    STEP_DOCS);
	struct doc                *d;
	size_t                     n = 0;

	for (;;) {
		TRY(walk_next(w, &d, e));
		if (!d)
			break;
		buf_reset(&s->t->key);
		index_key(&s->t->key, ix, doc_val(d));
		rows[n++] = (struct store_backfill_row){ .ts = d->ts, .key = {
		    .index = ix->id,
		    .key = arena_str(s->t->arena,
			str_from(buf_str(&s->t->key), sizeof(uint32_t))),
		    .tablet = d->tablet,
		    .doc = d->id.uid } };
	}
	pause_point("backfill: read");
	/* The progress row would be refused afterwards, and the entries wait in vain. */
	TRY(store_reserve(&s->db->store, n * 256, e));
	store_release(&s->db->store, n * 256);
	if (n) {
		hold_history(s);
		db_queue_backfill(s->db, rows, n);
	}
	pause_point("backfill: queued");
	return ST_OK;
}

static status
save_backfill(struct step *s, const struct index_info *ix, const struct walk *w,
    const struct doc *old, struct err *e)
{
	struct pack *p = ddl_row(s->t);
	int64_t      before = old ? get_count(doc_val(old), S("numDocsIndexed")) : 0;

	pack_id(p, "indexId", &(struct docid){ .table = TABLE_NO_INDEX, .uid = ix->id });
	pack_count(p, "numDocsIndexed", before + (int64_t)w->n);
	pack_nothing(p, "totalDocs");
	pack_key(p, S("cursor"));
	pack_object(p);
	pack_count(p, "snapshotTs", (int64_t)txn_ts(s->t));
	pack_id(p, "cursor", &w->last->id);
	pack_end(p);
	return save(s, S("_index_backfills"), old, e);
}

/* All entries are durable, which retentionStarted says first: queries may have it, once the push
 * enables it.  Nobody enables an index of a system table but us. */
static status
finish_index(struct step *s, const struct table_info *info, const struct index_info *ix,
    const struct doc *progress, struct err *e)
{
	bool filled;

	s->changed = true;
	TRY(ddl_fill_index(s->t, info, ix, &filled, e));
	if (!filled)
		return ST_OK;
	TRY(ddl_set_index(s->t, info, ix, info->system ? INDEX_ENABLED : INDEX_BACKFILLED,
	    ix->staged, e));
	return progress ? txn_sys_delete(s->t, progress->id, e) : ST_OK;
}

static status
fill_index(struct step *s, const struct table_info *info, const struct index_info *ix,
    struct err *e)
{
	struct doc  *progress;
	struct docid after;
	struct walk  w;
	bool         has_cursor;
	status       st;

	TRY(ddl_backfill_row(s->t, ix->id, &progress, e));
	txn_note_index(s->t, ttable_of(s->t, info), ix);
	s->more = true;
	if (progress && progress->ts > db_durable_ts(s->db))
		return ST_OK; /* the store is behind: it must not fall further */
	has_cursor = progress && get_id(doc_val(progress), S("cursor.cursor"), &after);
	walk_open(&w, s->t, info, has_cursor ? &after : NULL);
	st = queue_entries(s, &w, ix, e);
	if (st == ST_OK)
		st = w.last ? save_backfill(s, ix, &w, progress, e)
			    : finish_index(s, info, ix, progress, e);
	tscan_close(&w.scan);
	return st;
}

static status
step_index(struct db *db, const struct table_info *of, struct uid index, bool *more,
    struct err *e)
{
	struct step              s = { .db = db, .t = begin(db, of->component) };
	const struct table_info *info = catalog_tablet(s.t->catalog, of->tablet);
	const struct index_info *ix = info ? table_index_by_id(info, index) : NULL;
	status                   st = ST_OK;

	if (ix && ix->state == INDEX_BACKFILLING && info->state == TABLE_ACTIVE)
		st = fill_index(&s, info, ix, e);
	st = end(&s, st, e);
	*more |= s.more;
	return st;
}

/* --- schemas --- */

/* Must the documents of this table be looked at? */
static bool
must_validate(struct txn *t, const struct table_def *def)
{
	const struct schema_info *active =
	    catalog_schema(t->catalog, t->component, SCHEMA_ACTIVE);
	const struct table_def   *old;

	if (!def->document || validator_is_any(def->document))
		return false;
	old = active && active->schema->validate ? schema_table(active->schema, def->name) : NULL;
	return !(old && old->document && validator_subset(old->document, def->document));
}

static status
save_validation(struct step *s, struct docid schema, const struct walk *w, const struct doc *old,
    struct err *e)
{
	struct pack *p = ddl_row(s->t);
	int64_t      before = old ? get_count(doc_val(old), S("numDocsValidated")) : 0;

	pack_id(p, "schemaId", &schema);
	pack_count(p, "numDocsValidated", before + (int64_t)w->n);
	pack_nothing(p, "totalDocs");
	pack_id(p, "cursor", &w->last->id);
	return save(s, S("_schema_validation_progress"), old, e);
}

static status
fail(struct step *s, const struct schema_info *schema, str table, const struct doc *d, str why,
    struct err *e)
{
	char id[ID_TEXT_MAX];

	id_format(d->id, id);
	s->changed = true;
	return txn_fail_schema(s->t, schema,
	    arena_fmt(s->t->arena,
		"Document with ID \"%s\" in table \"%.*s\" does not match the schema: %.*s", id,
		STR_ARG(table), STR_ARG(why)),
	    table, e);
}

/* Checks the documents of one table behind the walk's cursor; *ret_failed: one did not fit. */
static status
check_documents(struct step *s, const struct schema_info *schema, const struct table_def *def,
    struct walk *w, bool *ret_failed, struct err *e)
{
	struct table_names names = catalog_table_names(s->t->catalog, &s->t->component);
	struct doc        *d;

	for (;;) {
		struct err why = err_in(s->t->arena);

		TRY(walk_next(w, &d, e));
		if (!d)
			return ST_OK;
		if (validator_check_doc(def->document, doc_val(d), &names, &why) == ST_OK)
			continue;
		*ret_failed = true;
		return fail(s, schema, def->name, d, why.text, e);
	}
}

/* One table; *ret_over: the step is, whatever tables are left. */
static status
validate_table(struct step *s, const struct schema_info *schema, const struct table_def *def,
    const struct docid *after, const struct doc *progress, bool *ret_over, struct err *e)
{
	const struct table_info *info = catalog_table(s->t->catalog, s->t->component, def->name);
	struct walk              w;
	bool                     failed = false;
	status                   st;

	if (!info || !must_validate(s->t, def))
		return ST_OK;
	walk_open(&w, s->t, info, after);
	st = check_documents(s, schema, def, &w, &failed, e);
	if (st == ST_OK && !failed && !w.done)
		st = save_validation(s, schema->id, &w, progress, e);
	*ret_over = failed || !w.done;
	tscan_close(&w.scan);
	return st;
}

static status
finish_schema(struct step *s, struct docid id, const struct doc *progress, struct err *e)
{
	s->changed = true;
	TRY(ddl_set_schema_state(s->t, id, "validated", e));
	return progress ? txn_sys_delete(s->t, progress->id, e) : ST_OK;
}

/* The table that the cursor is in; 0 if there is none (any more). */
static size_t
resume_at(struct txn *t, const struct schema *schema, const struct docid *cursor)
{
	const struct table_info *info =
	    catalog_table_numbered(t->catalog, t->component, cursor->table);

	for (size_t i = 0; info && i < schema->ntables; i++)
		if (str_eq(schema->tables[i].name, info->name))
			return i;
	return 0;
}

static status
validate(struct step *s, const struct schema_info *schema, struct err *e)
{
	const struct schema *def = schema->schema;
	struct docid         cursor = { .table = 0 };
	struct doc          *progress, *row;
	size_t               first = 0;
	bool                 over = false;

	TRY(txn_sys_get(s->t, schema->id, &row, e)); /* a write that fails it conflicts with us */
	TRY(ddl_validation_row(s->t, schema->id, &progress, e));
	if (progress && get_id(doc_val(progress), S("cursor"), &cursor))
		first = resume_at(s->t, def, &cursor);
	for (size_t i = first; def->validate && i < def->ntables && !over; i++) {
		const struct table_info *info =
		    catalog_table(s->t->catalog, s->t->component, def->tables[i].name);
		bool inside = info && cursor.table == info->number;

		TRY(validate_table(s, schema, &def->tables[i], inside ? &cursor : NULL, progress,
		    &over, e));
	}
	return over ? ST_OK : finish_schema(s, schema->id, progress, e);
}

static status
step_schema(struct db *db, struct uid component, bool *more, struct err *e)
{
	struct step               s = { .db = db, .t = begin(db, component) };
	const struct schema_info *schema = catalog_schema(s.t->catalog, component, SCHEMA_PENDING);
	status                    st = schema ? validate(&s, schema, e) : ST_OK;

	st = end(&s, st, e);
	*more |= s.more;
	return st;
}

/* --- history --- */

struct history {
	uint64_t          before; /* rows written earlier go */
	size_t            n;
	struct docid      ids[GC_ROWS];
};

static bool
note_old(void *arg, struct doc *d)
{
	struct history *h = arg;
	str             state = get_text(doc_val(d), S("state.state"));

	if (d->ts && d->ts < h->before &&
	    (str_eq(state, S("failed")) || str_eq(state, S("overwritten"))))
		h->ids[h->n++] = d->id;
	return h->n < GC_ROWS;
}

static status
step_history(struct db *db, struct uid component, bool *more, struct err *e)
{
	struct step    s = { .db = db, .t = begin(db, component) };
	struct history h = { .n = 0 };
	uint64_t       now = os_now_ns(db_os(db));
	struct doc    *progress;
	status         st;

	h.before = now > GC_AGE_NS ? now - GC_AGE_NS : 0;
	st = txn_sys_each(s.t, S("_schemas"), S("by_id"), NULL, 0, note_old, &h, e);
	for (size_t i = 0; i < h.n && st == ST_OK; i++) {
		s.changed = true;
		st = ddl_validation_row(s.t, h.ids[i], &progress, e);
		if (st == ST_OK && progress)
			st = txn_sys_delete(s.t, progress->id, e);
		if (st == ST_OK)
			st = txn_sys_delete(s.t, h.ids[i], e);
	}
	st = end(&s, st, e);
	*more |= s.more;
	return st;
}

/* --- one step of each --- */

/* The first database index that is being filled; one at a time. */
static status
work_on_indexes(struct db *db, const struct catalog *c, bool *more, struct err *e)
{
	const struct table_info *info;

	for (size_t i = 0; (info = catalog_table_at(c, i)); i++) {
		if (info->state != TABLE_ACTIVE)
			continue;
		for (size_t k = 0; k < info->nindexes; k++)
			if (info->indexes[k].state == INDEX_BACKFILLING &&
			    info->indexes[k].def.kind == INDEX_DATABASE)
				return step_index(db, info, info->indexes[k].id, more, e);
	}
	return ST_OK;
}

static status
work_on_schemas(struct db *db, const struct catalog *c, bool *more, struct err *e)
{
	const struct table_info *info;

	for (size_t i = 0; (info = catalog_table_at(c, i)); i++) {
		if (info->state != TABLE_ACTIVE || !str_eq(info->name, S("_schemas")))
			continue;
		if (catalog_schema(c, info->component, SCHEMA_PENDING))
			TRY(step_schema(db, info->component, more, e));
		else
			TRY(step_history(db, info->component, more, e));
	}
	return ST_OK;
}

status
ddl_background_step(struct db *db, bool *ret_more, struct err *e)
{
	struct snapshot *snap = db_snapshot(db);
	bool             more = false;
	status           st;

	st = work_on_indexes(db, snapshot_catalog(snap), &more, e);
	if (st == ST_OK)
		st = work_on_schemas(db, snapshot_catalog(snap), &more, e);
	snapshot_unref(snap);
	if (st == ST_OK)
		*ret_more = more;
	return st;
}

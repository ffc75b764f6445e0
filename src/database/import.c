/* import.c - documents that bring their ids, and tables replaced as a whole (import.h).
 *
 * Thread: the transaction's.  Memory: its arena.
 */
#include <stdarg.h>
#include <stdio.h>

#include "database/db_int.h"
#include "database/ddl_int.h"
#include "database/import.h"

/* --- hidden tables --- */

static status
copy_indexes(struct txn *t, struct uid tablet, const struct table_info *from, struct err *e)
{
	for (size_t i = 0; from && i < from->nindexes; i++) {
		const struct index_info *ix = &from->indexes[i];

		if (ix == from->by_id || ix == from->by_creation_time)
			continue;
		/* The table is empty: there is nothing to fill. */
		TRY(ddl_insert_index(t, tablet, &ix->def,
		    ix->state == INDEX_ENABLED ? INDEX_ENABLED : INDEX_BACKFILLED, ix->staged, e));
	}
	return ST_OK;
}

status
import_begin(struct txn *t, str name, uint32_t number, struct uid *ret_tablet, struct err *e)
{
	struct ttable *old = ttable_named(t, t->component, name);
	struct docid   id;

	TRY(ddl_check_table_name(name, e));
	txn_note_all_tables(t); /* the number is one that no other table has */
	if (!number)
		number = catalog_next_table_number(t->catalog, t->component);
	TRY(ddl_insert_table(t, name, number, TABLE_HIDDEN, &id, e));
	TRY(copy_indexes(t, id.uid, old ? old->info : NULL, e));
	*ret_tablet = id.uid;
	return ST_OK;
}

static status
hidden(struct txn *t, struct uid tablet, const struct table_info **ret, struct err *e)
{
	const struct table_info *info = catalog_tablet(t->catalog, tablet);
	struct doc              *row;

	TRY(txn_sys_get(t, (struct docid){ .table = TABLE_NO_TABLES, .uid = tablet }, &row, e));
	if (!info || !row || info->state != TABLE_HIDDEN)
		return err_set(e, ST_CONFLICT, "ImportedTableGone",
		    "The table that was being imported does not exist any more.");
	*ret = info;
	return ST_OK;
}

/* --- documents --- */

static status invalid(struct err *e, struct val value, const char *fmt, ...) PRINTF(3, 4);

static status
invalid(struct err *e, struct val value, const char *fmt, ...)
{
	char       room[512];
	struct buf doc;
	status     st;
	va_list    ap;

	va_start(ap, fmt);
	vsnprintf(room, sizeof room, fmt, ap);
	va_end(ap);
	buf_init(&doc, BUF_MAX_DEFAULT);
	val_print(&doc, value);
	st = err_set(e, ST_BAD_REQUEST, "InvalidDocumentError",
	    "Document(value: %.*s) isn't a valid document: %s", STR_ARG(buf_str(&doc)), room);
	buf_clear(&doc);
	return st;
}

static status
own_id(const struct table_info *info, struct val value, struct docid *ret, struct err *e)
{
	struct val   v = val_get(value, S("_id"));
	struct buf   said;
	struct docid id;
	status       st;

	if (val_kind(v) != VAL_STRING || id_parse(val_str(v), &id, NULL) != ST_OK) {
		buf_init(&said, 200);
		val_print(&said, v);
		st = invalid(e, value, "The '_id' field %.*s must be an Id",
		    STR_ARG(buf_str(&said)));
		buf_clear(&said);
		return st;
	}
	if (id.table != info->number)
		return invalid(e, value,
		    "The document belongs to a different table than its '_id' field");
	*ret = id;
	return ST_OK;
}

static status
own_time(struct val value, double *ret, struct err *e)
{
	struct val v = val_get(value, S("_creationTime"));
	struct buf said;
	double     ms = val_kind(v) == VAL_FLOAT64 ? val_float64(v) : 0;
	status     st = ST_OK;

	buf_init(&said, 200);
	val_print(&said, v);
	if (val_kind(v) != VAL_FLOAT64)
		st = invalid(e, value, "The '_creationTime' field should be a float, is %.*s",
		    STR_ARG(buf_str(&said)));
	else if (!(ms > 0 && ms < 9007199254740992.0))
		st = invalid(e, value,
		    "The '_creationTime' field should be a timestamp in milliseconds, is %.*s",
		    STR_ARG(buf_str(&said)));
	else
		*ret = ms;
	buf_clear(&said);
	return st;
}

static status
exists(struct docid id, struct err *e)
{
	char text[ID_TEXT_MAX];

	id_format(id, text);
	return err_set(e, ST_BAD_REQUEST, "DocumentExists",
	    "Cannot create document with _id %s that already exists. Try to update it with "
	    "`db.patch` or `db.replace`.",
	    text);
}

static status
was_deleted(struct docid id, struct err *e)
{
	char text[ID_TEXT_MAX];

	id_format(id, text);
	return err_set(e, ST_BAD_REQUEST, "DocumentDeleted",
	    "Cannot recreate document with _id %s that was deleted. Try to insert it without an "
	    "_id or insert into another table.",
	    text);
}

/* The id must be new: what the transaction can see is asked now, the rest at its commit. */
static status
claim_id(struct txn *t, struct ttable *tt, struct docid id, struct err *e)
{
	struct claimed_id *c = ARENA_NEW(t->arena, struct claimed_id);
	struct doc        *now;

	TRY(txn_current(t, tt, id, &now, e));
	if (now)
		return exists(id, e);
	*c = (struct claimed_id){ .next = t->claimed, .tablet = tt->tablet, .id = id };
	t->claimed = c;
	return ST_OK;
}

status
import_insert(struct txn *t, struct uid tablet, struct val value, struct docid *ret, struct err *e)
{
	const struct table_info *info = catalog_tablet(t->catalog, tablet);
	struct ttable           *tt;
	struct docid             id;
	struct doc              *d;
	double                   time = 0;

	if (!info || info->state != TABLE_ACTIVE)
		TRY(hidden(t, tablet, &info, e));
	tt = ttable_of(t, info);
	if (val_some(val_get(value, S("_creationTime"))))
		TRY(own_time(value, &time, e));
	if (val_some(val_get(value, S("_id")))) {
		TRY(own_id(info, value, &id, e));
		TRY(claim_id(t, tt, id, e));
	} else {
		id = txn_new_id(t, info->number);
	}
	TRY(txn_build(t, info, id, time > 0 ? time : txn_next_creation_time(t), value, &d, e));
	if (txn_check_doc(d, e) != ST_OK) {
		doc_unref(d);
		return ST_BAD_REQUEST;
	}
	readlog_point(&t->derived, txn_by_id_key(t, info, id));
	txn_note_write(t, tt, true);
	TRY(txn_put(t, tt, id, NULL, d, e));
	*ret = id;
	return ST_OK;
}

/* A deletion that the store has not got yet could not be found there. */
status
import_check_claims(struct txn *t, struct conflict *ret_conflict, struct err *e)
{
	struct store *s = &t->db->store;

	for (const struct claimed_id *c = t->claimed; c; c = c->next) {
		struct store_log_row row;
		status               st;

		if (db_durable_ts(t->db) < txn_ts(t)) {
			memset(ret_conflict, 0, sizeof *ret_conflict);
			return err_set(e, ST_OCC, "OptimisticConcurrencyControlFailure",
			    "The store has not written yet what this transaction must know.");
		}
		st = s->v->revision(s->self, c->tablet, c->id.table, c->id.uid, TS_MAX, &row, e);
		if (st == ST_NOT_FOUND)
			continue;
		TRY(st);
		doc_unref(row.doc);
		return row.doc ? exists(c->id, e) : was_deleted(c->id, e);
	}
	return ST_OK;
}

/* --- the swap --- */

/* Tables of another name may not use the same number: ids would be ambiguous. */
static status
check_conflicts(struct txn *t, const struct table_info *info, struct err *e)
{
	const struct table_info *other;

	for (size_t i = 0; (other = catalog_numbered(t->catalog, info->component, info->number, i));
	     i++)
		if (!uid_eq(other->tablet, info->tablet) && !str_eq(other->name, info->name))
			return ddl_number_conflict(t, info->name, other, e);
	return ST_OK;
}

static bool
same_indexes(const struct table_info *a, const struct table_info *b)
{
	if (a->nindexes != b->nindexes)
		return false;
	for (size_t i = 0; i < a->nindexes; i++) {
		const struct index_info *x = &a->indexes[i], *y = &b->indexes[i];

		if (!str_eq(x->def.name, y->def.name) || !index_def_equal(&x->def, &y->def) ||
		    (x->state == INDEX_ENABLED) != (y->state == INDEX_ENABLED) ||
		    x->staged != y->staged)
			return false;
	}
	return true;
}

status
import_activate(struct txn *t, struct uid tablet, struct err *e)
{
	const struct table_info *info;
	struct ttable           *old;
	struct val               row;

	TRY(hidden(t, tablet, &info, e));
	txn_note_all_tables(t);
	TRY(check_conflicts(t, info, e));
	old = ttable_named(t, t->component, info->name);
	if (old && !same_indexes(old->info, info))
		return err_set(e, ST_CONFLICT, "ImportIndexesChanged",
		    "The indexes of table '%.*s' changed while it was being imported. Import it "
		    "again.",
		    STR_ARG(info->name));
	if (!old)
		TRY(ddl_check_table_count(t, info->name, e));
	if (old)
		TRY(ddl_discard_table(t, old->info, e));
	catalog_pack_table(ddl_row(t), info->name, info->number, TABLE_ACTIVE, info->component);
	TRY(ddl_row_done(t, &row, e));
	return txn_sys_replace(t, (struct docid){ .table = TABLE_NO_TABLES, .uid = tablet }, row,
	    e);
}

status
import_abandon(struct txn *t, struct uid tablet, struct err *e)
{
	const struct table_info *info;

	TRY(hidden(t, tablet, &info, e));
	return ddl_discard_table(t, info, e);
}

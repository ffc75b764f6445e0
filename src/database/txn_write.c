/* txn_write.c - what db.get, db.insert, db.patch, db.replace and db.delete do.
 *
 * The user's face of a transaction: arguments are texts from an application, errors are those
 * of spec 03 sections 2.2, 2.5, 3.1 and 5.4, everything counts toward the limits of 5.6.
 *
 * Thread: the transaction's.  Memory: documents are held by the transaction.
 */
#include "database/ddl.h"
#include "database/txn_int.h"

#define SYSTEM_ONLY "System tables can only be accessed with db.system."

status
bad_argument(struct err *e, const char *arg, const char *method)
{
	if (e)
		e->code = S("InvalidArgument");
	err_prefix(e, "Invalid argument `%s` for `%s`: ", arg, method);
	return ST_BAD_REQUEST;
}

static status
system_table_error(struct err *e, const char *text)
{
	return err_set(e, ST_BAD_REQUEST, "SystemTableError", "%s", text);
}

/* The data of a component that the app no longer mounts may be looked at only. */
static status
check_mounted(struct txn *t, struct err *e)
{
	struct docid id = { .table = TABLE_NO_COMPONENTS, .uid = t->component };
	struct val   state;
	struct doc  *row;

	if (uid_is_zero(t->component) || uid_eq(t->component, t->mounted))
		return ST_OK;
	TRY(txn_sys_get(t, id, &row, e));
	state = row ? val_get(doc_val(row), S("state")) : VAL_NONE;
	if (val_kind(state) == VAL_STRING && str_eq(val_str(state), S("unmounted")))
		return err_set(e, ST_BAD_REQUEST, "UnmountedComponent",
		    "Cannot perform write operations in an unmounted component. Make sure your "
		    "component is installed in your `convex.config.ts` file.");
	t->mounted = t->component;
	return ST_OK;
}

static status
check_writable(struct txn *t, const char *method, struct err *e)
{
	if (t->writable)
		return check_mounted(t, e);
	return err_set(e, ST_BAD_REQUEST, "ReadOnlyTransaction",
	    "`%s` is not allowed here: queries cannot write to the database", method);
}

/* --- naming a document: table (optional) and id --- */

struct target {
	struct docid      id;
	struct ttable    *table; /* NULL: no such table, or none that the caller may see */
	enum virtual_kind kind;
	str               name;  /* as applications call the table */
};

/* Decodes the id and finds its table, as far as the caller may know of it. */
static status
resolve(struct txn *t, const char *method, str table, str id, struct target *ret, struct err *e)
{
	if (table.n && identifier_check(table, e) != ST_OK)
		return bad_argument(e, "table", method);
	if (id_parse(id, &ret->id, e) != ST_OK)
		return bad_argument(e, "id", method);
	ret->table = t->system ? ttable_system_numbered(t, ret->id.table)
			       : ttable_numbered(t, t->component, ret->id.table);
	ret->kind = VIRTUAL_NONE;
	if (!ret->table)
		return ST_OK;
	ret->name = ret->table->info->name;
	if (!ret->table->info->system)
		return ST_OK;
	ret->kind = virtual_numbered(ret->id.table, &ret->name);
	if (ret->kind == VIRTUAL_NONE && !t->system)
		ret->table = NULL;
	return ST_OK;
}

static status
check_named_table(const struct target *x, str table, const char *method, struct err *e)
{
	if (!table.n || str_eq(table, x->name))
		return ST_OK;
	err_set(e, ST_BAD_REQUEST, "InvalidArgument",
	    "expected to be an Id<\"%.*s\">, got Id<\"%.*s\"> instead.", STR_ARG(table),
	    STR_ARG(x->name));
	return bad_argument(e, "id", method);
}

/* Is `table` (a name that was given) on the right side of db and db.system? */
static status
check_side(struct txn *t, str table, bool is_system, struct err *e)
{
	if (t->system || !table.n)
		return ST_OK;
	if (str_starts(table, S("_")) && !is_system)
		return system_table_error(e, SYSTEM_ONLY);
	if (!str_starts(table, S("_")) && is_system)
		return system_table_error(e, "User tables cannot be accessed with db.system.");
	return ST_OK;
}

/* The document that is named, with the read recorded; *ret NULL: none. */
static status
read_target(struct txn *t, const struct target *x, struct doc **ret, struct err *e)
{
	str key = txn_by_id_key(t, x->table->info, x->id);

	readlog_point(&t->reads, key);
	TRY(txn_lookup(t, x->table, x->table->info->by_id, key, ret, e));
	return txn_check_intervals(t, e);
}

status
txn_get(struct txn *t, str table, str id, bool is_system, struct doc **ret, struct err *e)
{
	const char   *method = is_system ? "db.system.get" : "db.get";
	struct target x;
	struct doc   *d;

	TRY(check_side(t, table, is_system, e));
	TRY(resolve(t, method, table, id, &x, e));
	*ret = NULL;
	if (!x.table)
		return ST_OK;
	/* A system function that names the backing table gets the row itself. */
	if (t->system && x.kind && table.n && str_eq(table, x.table->info->name)) {
		x.kind = VIRTUAL_NONE;
		x.name = table;
	}
	TRY(check_side(t, x.name, is_system, e));
	TRY(check_named_table(&x, table, method, e));
	if (x.kind)
		TRY(virtual_check_npm(t->npm, e));
	TRY(read_target(t, &x, &d, e));
	if (!d)
		return ST_OK;
	TRY(txn_charge_read(t, x.table->info, d, e));
	if (x.kind && !(t->system && !is_system))
		return virtual_doc(t, x.kind, t->npm, d, ret, e);
	*ret = d;
	return ST_OK;
}

/* --- writes --- */

static status
charge_write(struct txn *t, const struct doc *d, struct err *e)
{
	char   text[32];
	size_t bytes = d ? val_size(doc_val(d)) : 0;

	t->usage.docs_written++;
	t->usage.bytes_written += bytes;
	if (bytes > t->usage.largest_doc_bytes) {
		t->usage.largest_doc_bytes = bytes;
		t->usage.largest_doc = d->id;
	}
	if (t->usage.docs_written > t->limits.docs_written)
		return err_set(e, ST_PAGINATION_LIMIT, "TooManyWrites",
		    "Too many writes in a single function execution (limit: %llu)",
		    (unsigned long long)t->limits.docs_written);
	if (t->usage.bytes_written > t->limits.bytes_written)
		return err_set(e, ST_PAGINATION_LIMIT, "TooManyBytesWritten",
		    "Too many bytes written in a single function execution (limit: %s)",
		    bytes_text(t->limits.bytes_written, text, sizeof text));
	return ST_OK;
}

static status
check_insert_table(struct txn *t, str table, struct err *e)
{
	str backing;

	if (identifier_check(table, e) != ST_OK)
		return bad_argument(e, "table", "db.insert");
	if (!str_starts(table, S("_")))
		return ST_OK;
	if (!t->system)
		return system_table_error(e, SYSTEM_ONLY);
	if (virtual_named(table, &backing))
		return err_set(e, ST_BAD_REQUEST, "ReadOnlyTable", "%.*s is a read-only table",
		    STR_ARG(table));
	return err_set(e, ST_BAD_REQUEST, "InvalidTableName",
	    "Invalid table name %.*s starts with metadata prefix '_'", STR_ARG(table));
}

static status
check_object(struct val value, const char *method, struct err *e)
{
	if (val_kind(value) == VAL_OBJECT)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
	    "Invalid argument `value` for `%s`: Value must be an Object", method);
}

static status
insert_into(struct txn *t, struct ttable *tt, struct val value, struct docid *ret, struct err *e)
{
	struct docid id = txn_new_id(t, tt->info->number);
	double       now = txn_next_creation_time(t);
	struct doc  *d;
	status       st;

	TRY(txn_check_system_fields(value, id, now, e));
	TRY(txn_build(t, tt->info, id, now, value, &d, e));
	txn_note_write(t, tt, true);
	readlog_point(&t->derived, txn_by_id_key(t, tt->info, id));
	st = txn_check_doc(d, e);
	if (st == ST_OK)
		st = txn_enforce_schema(t, tt->info, d, e);
	if (st == ST_OK)
		st = charge_write(t, d, e);
	if (st != ST_OK) {
		doc_unref(d);
		return st;
	}
	TRY(txn_put(t, tt, id, NULL, d, e));
	*ret = id;
	return ST_OK;
}

status
txn_insert(struct txn *t, str table, struct val value, struct docid *ret, struct err *e)
{
	const struct table_info *info;
	struct ttable           *tt;

	TRY(check_writable(t, "db.insert", e));
	TRY(check_insert_table(t, table, e));
	TRY(check_object(value, "db.insert", e));
	tt = ttable_named(t, t->component, table);
	if (!tt) {
		TRY(ddl_ensure_table(t, table, 0, &info, e));
		tt = ttable_of(t, info);
	}
	return insert_into(t, tt, value, ret, e);
}

/* The document that a write names, with all the checks before it. */
static status
resolve_write(struct txn *t, const char *method, const char *op, str table, str id,
    struct target *x, struct doc **ret, struct err *e)
{
	TRY(check_writable(t, method, e));
	TRY(check_side(t, table, false, e));
	TRY(resolve(t, method, table, id, x, e));
	if (!x->table) {
		err_set(e, ST_BAD_REQUEST, "InvalidArgument", "Table for ID \"%.*s\" not found",
		    STR_ARG(id));
		return bad_argument(e, "id", method);
	}
	TRY(check_side(t, x->name, false, e));
	TRY(check_named_table(x, table, method, e));
	if (x->table->info->system)
		return err_set(e, ST_FORBIDDEN, "SystemIdentityRequired",
		    "Operation %s not permitted", method + strlen("db."));
	TRY(read_target(t, x, ret, e));
	if (!*ret)
		return err_set(e, ST_BAD_REQUEST, "NonexistentDocument",
		    "%s on nonexistent document ID %.*s", op, STR_ARG(id));
	return ST_OK;
}

/* Replaces `old` by a document of `body`'s members. */
static status
overwrite(struct txn *t, const struct target *x, struct doc *old, struct val body,
    struct doc **ret, struct err *e)
{
	struct doc *d;
	status      st;

	TRY(txn_build(t, x->table->info, x->id, old->creation_time, body, &d, e));
	txn_note_write(t, x->table, true);
	st = txn_check_doc(d, e);
	if (st == ST_OK)
		st = txn_enforce_schema(t, x->table->info, d, e);
	if (st == ST_OK)
		st = charge_write(t, d, e);
	if (st != ST_OK) {
		doc_unref(d);
		return st;
	}
	if (d->bytes == old->bytes && memcmp(d->packed, old->packed, d->bytes) == 0) {
		doc_unref(d); /* nothing changes: read, counted, not written */
		*ret = old;
		return ST_OK;
	}
	TRY(txn_put(t, x->table, x->id, old, d, e));
	*ret = d;
	return ST_OK;
}

status
txn_patch(struct txn *t, str table, str id, struct val value, struct doc **ret, struct err *e)
{
	struct target x;
	struct doc   *old;
	struct val    body;

	TRY(check_object(value, "db.patch", e));
	TRY(resolve_write(t, "db.patch", "Update", table, id, &x, &old, e));
	TRY(txn_check_system_fields(value, x.id, old->creation_time, e));
	TRY(txn_merge(t, doc_val(old), value, &body, e));
	return overwrite(t, &x, old, body, ret, e);
}

status
txn_replace(struct txn *t, str table, str id, struct val value, struct doc **ret, struct err *e)
{
	struct target x;
	struct doc   *old;

	TRY(check_object(value, "db.replace", e));
	TRY(resolve_write(t, "db.replace", "Replace", table, id, &x, &old, e));
	TRY(txn_check_system_fields(value, x.id, old->creation_time, e));
	return overwrite(t, &x, old, value, ret, e);
}

status
txn_delete(struct txn *t, str table, str id, struct doc **ret_old, struct err *e)
{
	struct target x;
	struct doc   *old;

	TRY(resolve_write(t, "db.delete", "Delete", table, id, &x, &old, e));
	txn_note_write(t, x.table, false);
	TRY(charge_write(t, NULL, e));
	TRY(txn_put(t, x.table, x.id, old, NULL, e));
	*ret_old = old;
	return ST_OK;
}

/* --- the rest --- */

status
txn_normalize_id(struct txn *t, str table, str id, bool *ret_ok, char ret[ID_TEXT_MAX],
    struct err *e)
{
	str            backing = table;
	struct docid   parsed;
	struct ttable *tt;

	if (identifier_check(table, e) != ST_OK)
		return bad_argument(e, "table", "db.normalizeId");
	*ret_ok = false;
	if (str_starts(table, S("_")) && !virtual_named(table, &backing) && !t->system)
		return ST_OK;
	if (id_parse(id, &parsed, NULL) != ST_OK)
		return ST_OK;
	tt = t->system ? ttable_system(t, backing) : ttable_named(t, t->component, backing);
	if (!tt || tt->info->number != parsed.table)
		return ST_OK;
	id_format(parsed, ret);
	*ret_ok = true;
	return ST_OK;
}

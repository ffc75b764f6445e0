/* virtual.c - _storage and _scheduled_functions, as applications see them.
 *
 * Both are views of a backing system table with the same numbers and ids (spec 03 section
 * 3.1); a view of a row is made when it is read.
 *
 * Thread: the transaction's.  Memory: views are held by the transaction like documents.
 */
#include "base/enc.h"
#include "database/txn_int.h"
#include "value/vjson.h"

static void
pack_system_fields(struct pack *p, struct val backing)
{
	pack_key(p, S("_creationTime"));
	pack_val(p, val_get(backing, S("_creationTime")));
	pack_key(p, S("_id"));
	pack_val(p, val_get(backing, S("_id")));
}

static void
pack_storage(struct pack *p, struct val row, enum npm_age age)
{
	struct val sha256 = val_get(row, S("sha256")), type = val_get(row, S("contentType"));
	struct val size = val_get(row, S("size"));
	struct buf b;

	pack_key(p, S("contentType"));
	if (val_kind(type) == VAL_STRING)
		pack_val(p, type);
	else
		pack_null(p);
	buf_init(&b, BUF_MAX_DEFAULT);
	if (val_kind(sha256) == VAL_BYTES)
		(age == NPM_CURRENT ? enc_base64 : enc_hex)(&b, val_str(sha256));
	pack_key(p, S("sha256"));
	pack_str(p, buf_str(&b));
	buf_clear(&b);
	pack_key(p, S("size"));
	pack_float64(p, val_kind(size) == VAL_INT64 ? (double)val_int64(size) : 0);
}

static double
ms_of_ns(int64_t ns)
{
	return (double)(ns / 1000000) + (double)(ns % 1000000) * 1e-6;
}

static void
pack_ms(struct pack *p, const char *name, struct val ns)
{
	if (val_kind(ns) != VAL_INT64)
		return;
	pack_key(p, str_z(name));
	pack_float64(p, ms_of_ns(val_int64(ns)));
}

/* {type, ...} of the backing row is {kind, ...} here. */
static void
pack_state(struct pack *p, struct val state)
{
	size_t n = val_kind(state) == VAL_OBJECT ? val_count(state) : 0;

	pack_key(p, S("state"));
	pack_object(p);
	for (size_t i = 0; i < n; i++) {
		str        name;
		struct val v = val_field_at(state, i, &name);

		pack_key(p, str_eq(name, S("type")) ? S("kind") : name);
		pack_val(p, v);
	}
	pack_end(p);
}

/* The arguments: in the row, or in a row of _scheduled_job_args; JSON text in bytes. */
static status
scheduled_args(struct txn *t, struct val row, struct val *ret, struct err *e)
{
	struct val   args = val_get(row, S("udfArgs")), id = val_get(row, S("argsId"));
	struct docid parsed;
	struct doc  *d;

	if (val_kind(id) == VAL_STRING && id_parse(val_str(id), &parsed, NULL) == ST_OK) {
		TRY(txn_sys_get(t, parsed, &d, e));
		if (d)
			args = val_get(doc_val(d), S("args"));
	}
	if (val_kind(args) == VAL_BYTES || val_kind(args) == VAL_STRING)
		return vjson_parse(t->arena, val_str(args), VJSON_COMMIT_TS, ret, e);
	*ret = args;
	return ST_OK;
}

static status
pack_scheduled(struct txn *t, struct pack *p, struct val row, struct err *e)
{
	struct val args = VAL_NONE;

	TRY(scheduled_args(t, row, &args, e));
	pack_key(p, S("args"));
	if (val_kind(args) == VAL_ARRAY) {
		pack_val(p, args);
	} else {
		pack_array(p);
		pack_end(p);
	}
	pack_ms(p, "completedTime", val_get(row, S("completedTs")));
	pack_key(p, S("name"));
	pack_val(p, val_get(row, S("udfPath")));
	pack_ms(p, "scheduledTime", val_get(row, S("originalScheduledTs")));
	pack_state(p, val_get(row, S("state")));
	return ST_OK;
}

status
virtual_check_npm(enum npm_age age, struct err *e)
{
	if (age != NPM_BEFORE_1_6_1)
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "InvalidClientVersion",
	    "Upgrade to NPM version 1.6.1 or above to access system tables");
}

status
virtual_doc(struct txn *t, enum virtual_kind kind, enum npm_age age, struct doc *backing,
    struct doc **ret, struct err *e)
{
	struct pack p;
	struct val  row = doc_val(backing), v;
	status      st = ST_OK;

	pack_init(&p);
	p.trusted = true;
	pack_object(&p);
	pack_system_fields(&p, row);
	if (kind == VIRTUAL_STORAGE)
		pack_storage(&p, row, age);
	else
		st = pack_scheduled(t, &p, row, e);
	if (st == ST_OK) {
		pack_end(&p);
		st = pack_done(&p, &v, e);
	}
	if (st == ST_OK)
		*ret = txn_hold(t,
		    doc_new(backing->tablet, backing->id, backing->creation_time, v));
	pack_clear(&p);
	return st;
}

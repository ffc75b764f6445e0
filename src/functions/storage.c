/* storage.c - rows of _file_storage: see storage.h.
 *
 * Thread: the transaction's.  Memory: the transaction's arena.
 */
#include "base/enc.h"
#include "base/json.h"
#include "base/mem.h"
#include "functions/storage_int.h"
#include "value/pack.h"

#define FILE_IN_MUTATION_MAX ((size_t)16 << 20) /* what bytes of a transaction may be */

struct storage *
storage_new(const struct storage_opts *opts)
{
	struct storage *s = MEM_NEW(struct storage);

	s->opts = *opts;
	return s;
}

void
storage_free(struct storage *s)
{
	mem_free(s);
}

struct files *
storage_files(const struct storage *s)
{
	return s->opts.files;
}

/* --- rows --- */

static status
read_row(struct doc *d, struct stored_file *ret, struct err *e)
{
	struct val v = doc_val(d), id = val_get(v, S("storageId")),
		   key = val_get(v, S("storageKey"));
	struct val sha = val_get(v, S("sha256")), size = val_get(v, S("size"));
	struct val type = val_get(v, S("contentType"));

	if (val_kind(id) != VAL_STRING || val_kind(key) != VAL_STRING ||
	    val_kind(sha) != VAL_BYTES || val_str(sha).n != 32 || val_kind(size) != VAL_INT64)
		return err_internal(e, "a row of _file_storage is damaged");
	*ret = (struct stored_file){ .id = d->id,
		.storage_id = val_str(id),
		.key = val_str(key),
		.sha256 = val_str(sha),
		.size = (uint64_t)val_int64(size) };
	if (val_kind(type) == VAL_STRING)
		ret->content_type = val_str(type);
	return ST_OK;
}

static status
find_by_uuid(struct txn *t, str uuid, struct doc **ret, struct err *e)
{
	struct val key = val_of_str(txn_arena(t), uuid);

	return txn_sys_first(t, S("_file_storage"), S("by_storage_id"), &key, 1, ret, e);
}

/* A document's id, of which the system says whether it is one of a file. */
static status
find_by_id(struct txn *t, str id, struct doc **ret, struct err *e)
{
	char canonical[ID_TEXT_MAX];
	struct docid parsed;
	bool ok;
	status st;

	if (id_parse(id, &parsed, NULL) != ST_OK)
		return err_set(e, ST_BAD_REQUEST, "InvalidStorageId",
		    "Invalid storage ID: \"%.*s\"", STR_ARG(id));
	st = txn_normalize_id(t, S("_storage"), id, &ok, canonical, e);
	if (st == ST_OK && !ok)
		return err_set(e, ST_BAD_REQUEST, "InvalidArgument",
		    "expected to be an Id<\"_storage\">, got the ID of another table instead.");
	return st == ST_OK ? txn_sys_get(t, parsed, ret, e) : st;
}

status
storage_find(struct txn *t, str id, bool *ret_found, struct stored_file *ret, struct err *e)
{
	struct doc *d = NULL;

	TRY(files_is_uuid(id) ? find_by_uuid(t, id, &d, e) : find_by_id(t, id, &d, e));
	*ret_found = d != NULL;
	return d ? read_row(d, ret, e) : ST_OK;
}

static void
pack_text(struct pack *p, const char *key, str text)
{
	pack_key(p, str_z(key));
	if (text.n)
		pack_str(p, text);
	else
		pack_null(p);
}

status
storage_insert(const struct storage *s, struct txn *t, const struct file_info *o, str content_type,
    char ret_id[ID_TEXT_MAX], struct err *e)
{
	char uuid[FILE_KEY + 1];
	struct docid id;
	struct pack p;
	struct val v;
	status st;

	files_uuid(s->opts.os, uuid);
	pack_init(&p);
	pack_object(&p);
	pack_text(&p, "storageId", str_z(uuid));
	pack_text(&p, "storageKey", str_z(o->key));
	pack_key(&p, S("sha256"));
	pack_bytes(&p, str_of((const char *)o->sha256, sizeof o->sha256));
	pack_key(&p, S("size"));
	pack_int64(&p, (int64_t)o->size);
	pack_text(&p, "contentType", content_type);
	pack_end(&p);
	st = pack_done(&p, &v, e);
	if (st == ST_OK)
		st = txn_sys_insert(t, S("_file_storage"), v, &id, e);
	pack_clear(&p);
	if (st == ST_OK)
		id_format(id, ret_id);
	return st;
}

status
storage_check_digest(const struct file_info *o, str digest, struct err *e)
{
	struct buf b;
	status st = ST_OK;

	buf_init(&b, 1024);
	if (!dec_base64(&b, digest) || b.n != sizeof o->sha256)
		st = err_set(e, ST_BAD_REQUEST, "InvalidDigestHeader",
		    "The digest must be a SHA-256 in base64");
	else if (memcmp(b.p, o->sha256, sizeof o->sha256) != 0)
		st = err_set(e, ST_BAD_REQUEST, "Sha256Mismatch",
		    "The file's SHA-256 does not match the digest that was given");
	buf_clear(&b);
	return st;
}

/* --- operations --- */

static str
origin_of(const struct storage *s)
{
	return s->opts.origin;
}

void
storage_url(
    const struct storage *s, const struct stored_file *f, struct uid component, struct buf *json)
{
	buf_fmt(json, "\"%.*s/api/storage/%.*s", STR_ARG(origin_of(s)), STR_ARG(f->storage_id));
	if (!uid_is_zero(component)) {
		buf_addz(json, "?component=");
		uid_format(json, component);
	}
	buf_add_byte(json, '"');
}

void
storage_metadata(const struct stored_file *f, struct buf *json)
{
	buf_fmt(json, "{\"storageId\":\"%.*s\",\"sha256\":\"", STR_ARG(f->storage_id));
	enc_hex(json, f->sha256);
	buf_fmt(json, "\",\"size\":%llu,\"contentType\":", (unsigned long long)f->size);
	if (f->content_type.p)
		json_write_str(json, f->content_type);
	else
		buf_addz(json, "null");
	buf_add_byte(json, '}');
}

void
storage_upload_url(const struct storage *s, struct uid component, struct buf *json)
{
	buf_fmt(json, "\"%.*s/api/storage/upload?token=", STR_ARG(origin_of(s)));
	storage_token_make(s, component, json);
	buf_add_byte(json, '"');
}

static status
delete_file(struct txn *t, str id, struct buf *json, struct err *e)
{
	struct stored_file f;
	bool found;

	TRY(storage_find(t, id, &found, &f, e));
	if (!found)
		return err_set(e, ST_BAD_REQUEST, "StorageIdNotFound", "storage id %.*s not found",
		    STR_ARG(id));
	TRY(txn_sys_delete(t, f.id, e));
	buf_addz(json, "null");
	return ST_OK;
}

static status
store_file(const struct storage *s, struct txn *t, const struct storage_call *c, struct buf *made,
    struct buf *json, struct err *e)
{
	struct file_info o;
	char id[ID_TEXT_MAX];

	if (c->blob.n > FILE_IN_MUTATION_MAX)
		return err_set(e, ST_BAD_REQUEST, "FileTooLarge",
		    "A mutation can store files of at most %zu bytes (got %zu). Use an upload URL "
		    "or an action for larger ones.",
		    FILE_IN_MUTATION_MAX, c->blob.n);
	TRY(files_put_now(s->opts.files, c->blob, &o, e));
	buf_add(made, str_of(o.key, sizeof o.key));
	if (c->sha256.p)
		TRY(storage_check_digest(&o, c->sha256, e));
	TRY(storage_insert(s, t, &o, c->content_type, id, e));
	json_write_str(json, str_z(id));
	return ST_OK;
}

static status
load_file(const struct storage *s, const struct stored_file *f, struct buf *json, struct err *e)
{
	struct buf bytes;
	status st;

	if (f->size > FILE_IN_MUTATION_MAX)
		return err_set(e, ST_BAD_REQUEST, "FileTooLarge",
		    "A mutation can read files of at most %zu bytes (this one has %llu).",
		    FILE_IN_MUTATION_MAX, (unsigned long long)f->size);
	buf_init(&bytes, FILE_IN_MUTATION_MAX + 1);
	st = files_get_now(s->opts.files, f->key, &bytes, e);
	if (st == ST_OK) {
		buf_addz(json, "{\"blob\":\"");
		enc_base64(json, buf_str(&bytes));
		buf_addz(json, "\",\"contentType\":");
		if (f->content_type.p)
			json_write_str(json, f->content_type);
		else
			buf_addz(json, "null");
		buf_add_byte(json, '}');
	}
	buf_clear(&bytes);
	return st;
}

static status
read_file(const struct storage *s, struct txn *t, const struct storage_call *c, struct buf *json,
    struct err *e)
{
	struct stored_file f;
	bool found;

	TRY(storage_find(t, c->id, &found, &f, e));
	if (!found)
		buf_addz(json, "null");
	else if (c->op == STORAGE_GET_URL)
		storage_url(s, &f, txn_component(t), json);
	else if (c->op == STORAGE_GET_METADATA)
		storage_metadata(&f, json);
	else
		return load_file(s, &f, json, e);
	return ST_OK;
}

status
storage_call(const struct storage *s, struct txn *t, const struct storage_call *c, struct buf *made,
    struct buf *json, struct err *e)
{
	switch (c->op) {
	case STORAGE_GET_URL:
	case STORAGE_GET_METADATA:
	case STORAGE_GET:
		return read_file(s, t, c, json, e);
	case STORAGE_GENERATE_UPLOAD_URL:
		storage_upload_url(s, txn_component(t), json);
		return ST_OK;
	case STORAGE_DELETE:
		return delete_file(t, c->id, json, e);
	case STORAGE_STORE:
		return store_file(s, t, c, made, json, e);
	}
	return err_internal(e, "storage operation %d", (int)c->op);
}

void
storage_undo(const struct storage *s, const struct buf *made)
{
	for (size_t at = 0; at < made->n; at += FILE_KEY + 1)
		files_remove(s->opts.files, str_of(made->p + at, FILE_KEY));
}

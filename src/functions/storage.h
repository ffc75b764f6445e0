/* storage.h - file storage as functions and uploads see it: rows over objects (spec 05 section 1).
 *
 * A row of _file_storage names an object of files/.  The object is durable before its row exists;
 * a row is deleted without its object, which readers of older snapshots may still follow.  An
 * object whose row never came (a mutation that failed after store()) is removed at once.
 *
 * Thread: any; immutable after storage_new().
 */
#ifndef FUNCTIONS_STORAGE_H
#define FUNCTIONS_STORAGE_H

#include "database/txn.h"
#include "files/files.h"
#include "isolate/isolate.h"

#define STORAGE_TOKEN_S 3600 /* an upload URL is good for this long */

struct storage_opts {
	struct files    *files;      /* borrowed */
	str              origin;     /* of URLs: "http://127.0.0.1:3210"; borrowed */
	str              instance_name; /* borrowed */
	uint8_t          token_key[16]; /* sub-key "store file authorization" */
	const struct os *os;
};

struct storage;

struct storage *storage_new(const struct storage_opts *opts);
void            storage_free(struct storage *s); /* NULL is fine */
struct files   *storage_files(const struct storage *s);

/* --- in transactions --- */

struct stored_file {
	struct docid id;
	str          storage_id; /* the secret UUID */
	str          key;        /* of its object */
	str          sha256;     /* 32 bytes */
	uint64_t     size;
	str          content_type; /* p == NULL: none */
};

/* By `_storage` id or UUID.  *ret_found false: there is none (its absence is in the read set).
 * BAD_REQUEST InvalidStorageId, InvalidArgument.  Texts live as long as the transaction. */
NODISCARD status storage_find(struct txn *t, str id, bool *ret_found, struct stored_file *ret,
    struct err *e);
/* The row for an object; content type "" or p == NULL: none. */
NODISCARD status storage_insert(const struct storage *s, struct txn *t, const struct file_info *o,
    str content_type, char ret_id[ID_TEXT_MAX], struct err *e);
/* `digest` is base64.  BAD_REQUEST Sha256Mismatch, InvalidDigestHeader. */
NODISCARD status storage_check_digest(const struct file_info *o, str digest, struct err *e);

/* One operation of a query or mutation; its JSON is appended (run_host.storage).  Objects that it
 * made are listed in `made` (37 bytes each), for storage_undo() if the transaction fails. */
NODISCARD status storage_call(const struct storage *s, struct txn *t, const struct storage_call *c,
    struct buf *made, struct buf *json, struct err *e);
void storage_undo(const struct storage *s, const struct buf *made);

/* URL, metadata and upload URL as JSON, for actions. */
void storage_url(const struct storage *s, const struct stored_file *f, struct uid component,
    struct buf *json);
void storage_metadata(const struct stored_file *f, struct buf *json);
void storage_upload_url(const struct storage *s, struct uid component, struct buf *json);

/* --- transactions of their own: uploads, downloads, actions (storage_task.c); on a worker --- */

struct fn_worker;

struct storage_put {
	struct file_info object;
	struct uid       component; /* zero: root */
	str              content_type; /* n == 0: none */
	str              digest;    /* base64; p == NULL: none was given */
	str              writer;    /* for reports of conflicts */
};
/* Checks the digest and writes the row; *ret_ts is to become durable.  Takes the object: if it
 * fails, that is removed. */
NODISCARD status storage_put(struct fn_worker *w, const struct storage_put *p,
    char ret_id[ID_TEXT_MAX], ts_t *ret_ts, struct err *e);
/* storage_find() at the newest snapshot, texts in `a`; in an unknown component is nothing.  What it
 * saw may not be durable before *ret_ts is. */
NODISCARD status storage_look(struct fn_worker *w, struct uid component, str id, struct arena *a,
    bool *ret_found, struct stored_file *ret, ts_t *ret_ts, struct err *e);
/* A media type (RFC 9110 section 8.3.1), names in lower case.  False: it is none. */
bool storage_content_type(struct arena *a, str text, str *ret);

/* --- upload tokens --- */

void storage_token_make(const struct storage *s, struct uid component, struct buf *ret);
/* UNAUTHENTICATED StorageTokenInvalid, StorageTokenExpired, InvalidStorageToken. */
NODISCARD status storage_token_check(const struct storage *s, str token, struct uid *ret_component,
    struct err *e);

#endif

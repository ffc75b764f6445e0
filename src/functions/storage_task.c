/* storage_task.c - rows of stored files in transactions of their own: uploads, downloads, and the
 * operations of actions (spec 05 sections 1.2 to 1.4).
 *
 * Thread: a worker.  Memory: the caller's arena.
 */
#include <string.h>

#include "functions/functions_int.h"

#define TRIES 8 /* against conflicts */

/* --- media types --- */

static bool
is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t
token(char *s, size_t n, size_t at)
{
	while (at < n && is_token_char(s[at]))
		at++;
	return at;
}

static void
lower(char *s, size_t from, size_t to)
{
	for (; from < to; from++)
		if (s[from] >= 'A' && s[from] <= 'Z')
			s[from] = (char)(s[from] - 'A' + 'a');
}

/* The end of a quoted string that begins at `at`; 0: it has none. */
static size_t
quoted(const char *s, size_t n, size_t at)
{
	for (at++; at < n; at++) {
		if (s[at] == '"')
			return at + 1;
		if (s[at] == '\\')
			at++;
		if (at < n && (uint8_t)s[at] < ' ' && s[at] != '\t')
			return 0;
	}
	return 0;
}

static size_t
blanks(const char *s, size_t n, size_t at)
{
	while (at < n && (s[at] == ' ' || s[at] == '\t'))
		at++;
	return at;
}

/* name=value at *at, which moves behind it. */
static bool
parameter(char *s, size_t n, size_t *at)
{
	size_t name = *at, eq = token(s, n, name), end;
	bool   charset;

	if (eq == name || eq >= n || s[eq] != '=')
		return false;
	lower(s, name, eq);
	charset = str_eq(str_of(s + name, eq - name), S("charset"));
	end = eq + 1 < n && s[eq + 1] == '"' ? quoted(s, n, eq + 1) : token(s, n, eq + 1);
	if (end <= eq + 1)
		return false;
	if (charset)
		lower(s, eq + 1, end);
	*at = end;
	return true;
}

bool
storage_content_type(struct arena *a, str text, str *ret)
{
	str    trimmed = str_trim(text);
	size_t n = trimmed.n, slash, at;
	char  *s = arena_alloc(a, n + 1);

	if (n > 0)
		memcpy(s, trimmed.p, n);
	slash = token(s, n, 0);
	if (slash == 0 || slash >= n || s[slash] != '/')
		return false;
	at = token(s, n, slash + 1);
	if (at == slash + 1)
		return false;
	lower(s, 0, at);
	while ((at = blanks(s, n, at)) < n) {
		if (s[at] != ';')
			return false;
		at = blanks(s, n, at + 1);
		if (at < n && s[at] != ';' && !parameter(s, n, &at))
			return false;
	}
	*ret = str_of(s, n);
	return true;
}

/* --- rows --- */

static struct txn *
begin(struct fn_worker *w, struct uid component, bool writable, str writer)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(w->f->db),
	    .writable = writable, .component = component, .writer = writer });
}

static bool
has_component(struct txn *t)
{
	return catalog_table(txn_catalog(t), txn_component(t), S("_file_storage")) != NULL;
}

static status
put_once(struct fn_worker *w, const struct storage_put *p, char ret_id[ID_TEXT_MAX], ts_t *ret_ts,
    struct err *e)
{
	struct txn     *t = begin(w, p->component, true, p->writer);
	struct conflict conflict;
	status          st = backend_running(t, e);

	if (st == ST_OK && !has_component(t))
		st = err_set(e, ST_UNAUTHENTICATED, "InvalidStorageToken",
		    "The upload URL belongs to a component that does not exist");
	if (st == ST_OK)
		st = storage_insert(w->f->storage, t, &p->object, p->content_type, ret_id, e);
	if (st == ST_OK)
		st = txn_commit(t, ret_ts, &conflict, e);
	txn_free(t);
	return st;
}

status
storage_put(struct fn_worker *w, const struct storage_put *p, char ret_id[ID_TEXT_MAX],
    ts_t *ret_ts, struct err *e)
{
	status st = p->digest.p ? storage_check_digest(&p->object, p->digest, e) : ST_OK;

	if (st == ST_OK)
		st = put_once(w, p, ret_id, ret_ts, e);
	for (int i = 1; i < TRIES && st == ST_OCC; i++)
		st = put_once(w, p, ret_id, ret_ts, e);
	if (st != ST_OK)
		files_remove(storage_files(w->f->storage), str_z(p->object.key));
	return st;
}

static struct stored_file
copy(struct arena *a, const struct stored_file *f)
{
	struct stored_file c = *f;

	c.storage_id = arena_str(a, f->storage_id);
	c.key = arena_str(a, f->key);
	c.sha256 = arena_str(a, f->sha256);
	if (f->content_type.p)
		c.content_type = arena_str(a, f->content_type);
	return c;
}

status
storage_look(struct fn_worker *w, struct uid component, str id, struct arena *a, bool *ret_found,
    struct stored_file *ret, ts_t *ret_ts, struct err *e)
{
	struct txn        *t = begin(w, component, false, STR_EMPTY);
	struct stored_file f;
	bool               found = false;
	status             st = backend_running(t, e);

	if (st == ST_OK && has_component(t))
		st = storage_find(t, id, &found, &f, e);
	if (st == ST_OK) {
		*ret_found = found;
		*ret_ts = txn_ts(t);
		if (found)
			*ret = copy(a, &f);
	}
	txn_free(t);
	return st;
}

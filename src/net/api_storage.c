/* api_storage.c - stored files over HTTP: uploads and downloads (spec 05 sections 1.3 and 1.4).
 *
 * An upload is a streamed request: the files thread writes it as it comes, a worker inserts the
 * row, and the answer leaves when both are durable.  A download is a row looked up by a worker and
 * a streamed reply that the files thread feeds as fast as the client takes it.
 *
 * Thread: the loop thread; on_object() on the files thread, the tasks on workers.
 * Memory: struct upload and struct download in the exchange's arena.
 */
#include "base/enc.h"
#include "functions/storage.h"
#include "net/api_int.h"
#include "net/range.h"

#define STALL_NS (60ull * 1000000000ull) /* an upload without progress ends */

/* --- uploads --- */

struct upload {
	struct link           link;   /* in api.uploads, while its body comes */
	uint64_t              seen;   /* bytes, at the last look */
	uint64_t              stall_ns; /* monotonic: too long since then */
	struct gate_post      arrived;
	struct api           *api;
	struct http_exchange *x;
	struct storage_put    put;
	char                  id[ID_TEXT_MAX];
	struct err            e;
};

static status
bad_header(struct err *e, const char *name)
{
	return err_set(e, ST_BAD_REQUEST, "BadHeader", "Invalid HTTP header: %s", name);
}

static size_t
count_headers(const struct http_exchange *x, str name)
{
	size_t n = 0;

	for (size_t i = 0; i < x->nheaders; i++)
		n += str_eq(x->headers[i].name, name);
	return n;
}

static status
read_digest(struct http_exchange *x, str *ret, struct err *e)
{
	const str  prefix = S("sha-256=");
	str        digest = http_header(x, "digest");
	struct buf b;
	bool       ok;

	*ret = (str){ NULL, 0 };
	if (!digest.p)
		return ST_OK;
	buf_init(&b, 64);
	ok = count_headers(x, S("digest")) == 1 && str_starts(digest, prefix) &&
	    digest.n < 64 && dec_base64(&b, str_from(digest, prefix.n)) && b.n == 32;
	buf_clear(&b);
	if (!ok)
		return bad_header(e, "digest");
	*ret = str_from(digest, prefix.n);
	return ST_OK;
}

static status
read_upload(struct api *a, struct http_exchange *x, struct upload *u, struct err *e)
{
	str token = api_param(x, "token"), type = http_header(x, "content-type");

	if (!token.p)
		return err_set(e, ST_BAD_REQUEST, "BadQueryArgs",
		    "Failed to deserialize query string: missing field `token`");
	TRY(storage_token_check(a->opts.storage, token, &u->put.component, e));
	if (type.p && (count_headers(x, S("content-type")) != 1 ||
	               !storage_content_type(x->arena, type, &u->put.content_type)))
		return bad_header(e, "content-type");
	u->put.writer = S("_system/storage.js:upload");
	return read_digest(x, &u->put.digest, e);
}

static ts_t
put_task(struct fn_worker *w, void *arg)
{
	struct upload *u = arg;
	ts_t           ts = 0;

	return storage_put(w, &u->put, u->id, &ts, &u->e) == ST_OK ? ts : 0;
}

static void
put_done(void *arg)
{
	struct upload        *u = arg;
	struct http_exchange *x = u->x;

	if (u->e.st != ST_OK) {
		http_reply_err(x, &u->e);
	} else {
		buf_fmt(&x->reply, "{\"storageId\":\"%s\"}", u->id);
		http_reply_json(x, 200);
	}
	api_answer(u->api, x);
}

/* In the core's turn: the object is there, or never will be. */
static void
arrived(struct gate_post *p)
{
	struct upload *u = LINK_OWNER(p, struct upload, arrived);
	struct api    *a = u->api;

	link_leave(&u->link);
	if (u->e.st == ST_OK) {
		runner_task(a->opts.runner, put_task, put_done, u);
	} else if (a->stopping) {
		api_refuse(a, u->x);
	} else {
		http_reply_err(u->x, &u->e);
		api_answer(a, u->x);
	}
}

/* See files.h for the thread. */
static void
on_object(void *arg, const struct file_info *put, const struct err *e)
{
	struct upload *u = arg;

	if (put)
		u->put.object = *put;
	else
		err_set_str(&u->e, e->st, arena_z(u->x->arena, e->code), e->text);
	u->arrived.run = arrived;
	u->api->opts.gate.post(u->api->opts.gate.arg, &u->arrived);
}

static void
upload_begin(struct post *p)
{
	struct http_exchange *x = api_exchange(p);
	struct upload        *u = x->state;

	if (!api_enter(u->api, x))
		return;
	u->stall_ns = os_mono_ns(u->api->opts.os) + STALL_NS;
	if (u->stall_ns < u->api->next_tick_ns)
		u->api->next_tick_ns = u->stall_ns;
	link_before(&u->api->uploads, &u->link);
	files_put(storage_files(u->api->opts.storage), x->upload, on_object, u);
}

void
api_storage_upload(struct api *a, struct http_exchange *x)
{
	struct upload *u = ARENA_NEW(x->arena, struct upload);
	struct err     e = err_in(x->arena);

	u->api = a;
	u->x = x;
	u->e = err_in(x->arena);
	if (read_upload(a, x, u, &e) != ST_OK) {
		api_fail(x, &e);
		return;
	}
	x->state = u;
	api_post(a, x, upload_begin);
}

/* The client has sent nothing since the last look, though all that it sent is taken. */
static bool
is_stalled(struct upload *u, uint64_t mono_ns)
{
	uint64_t total = stream_total(u->x->upload);

	if (total != u->seen || stream_held(u->x->upload) > 0) {
		u->seen = total;
		u->stall_ns = mono_ns + STALL_NS;
	}
	return mono_ns >= u->stall_ns;
}

uint64_t
api_storage_tick(struct api *a, uint64_t mono_ns)
{
	uint64_t next = UINT64_MAX;

	for (struct link *l = a->uploads.next; l != &a->uploads; l = l->next) {
		struct upload *u = LINK_OWNER(l, struct upload, link);

		if (is_stalled(u, mono_ns)) {
			stream_fail(u->x->upload, S("the client stopped sending"));
			u->stall_ns = mono_ns + STALL_NS; /* arrived() is on its way */
		}
		next = u->stall_ns < next ? u->stall_ns : next;
	}
	return next;
}

void
api_storage_stop(struct api *a)
{
	for (struct link *l = a->uploads.next; l != &a->uploads; l = l->next)
		stream_fail(LINK_OWNER(l, struct upload, link)->x->upload,
		    S("the server is shutting down"));
}

/* --- downloads --- */

struct download {
	struct api           *api;
	struct http_exchange *x;
	str                   uuid;
	struct uid            component;
	bool                  found;
	struct stored_file    file;
	struct err            e;
};

/* What a function stored as the type may be no header value: it is left out then. */
static bool
is_field_value(str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((uint8_t)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

static void
write_headers(struct download *d, enum range_verdict v, uint64_t at, uint64_t n)
{
	struct http_exchange *x = d->x;
	const struct stored_file *f = &d->file;
	struct buf            b;

	buf_init(&b, BUF_MAX_DEFAULT);
	if (f->content_type.n && is_field_value(f->content_type))
		buf_fmt(&b, "Content-Type: %.*s\r\n", STR_ARG(f->content_type));
	buf_addz(&b, "Cache-Control: private, max-age=2592000\r\nAccept-Ranges: bytes\r\n");
	if (v == RANGE_PART) {
		buf_fmt(&b, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)at,
		    (unsigned long long)(at + n - 1), (unsigned long long)f->size);
	} else {
		buf_addz(&b, "Digest: sha-256=");
		enc_base64(&b, f->sha256);
		buf_addz(&b, "\r\n");
	}
	x->extra_headers = arena_str(x->arena, buf_str(&b));
	buf_clear(&b);
}

static void
send_file(struct download *d, enum range_verdict v, uint64_t at, uint64_t n)
{
	struct http_exchange *x = d->x;

	write_headers(d, v, at, n);
	x->status = v == RANGE_PART ? 206 : 200;
	x->length = (int64_t)n;
	x->download = stream_new();
	if (x->verb == VERB_HEAD || n == 0)
		stream_end(x->download);
	else
		files_get(storage_files(d->api->opts.storage), d->file.key, at, n, x->download);
}

static void
reply_file(struct download *d)
{
	struct http_exchange *x = d->x;
	uint64_t              at = 0, n = d->file.size;
	str                   range = http_header(x, "range");
	enum range_verdict    v;

	/* HEAD has no ranges, and there is no validator that If-Range could name. */
	if (x->verb == VERB_HEAD || http_header(x, "if-range").p)
		range = (str){ NULL, 0 };
	v = range_parse(range, d->file.size, &at, &n);
	if (v != RANGE_REFUSED) {
		send_file(d, v, at, n);
		return;
	}
	http_reply_empty(x, 416);
	x->extra_headers = arena_fmt(x->arena, "Content-Range: bytes */%llu\r\n",
	    (unsigned long long)d->file.size);
}

static ts_t
look_task(struct fn_worker *w, void *arg)
{
	struct download *d = arg;
	ts_t             ts = 0;
	status           st = storage_look(
                    w, d->component, d->uuid, d->x->arena, &d->found, &d->file, &ts, &d->e);

	return st == ST_OK ? ts : 0;
}

static void
look_done(void *arg)
{
	struct download      *d = arg;
	struct http_exchange *x = d->x;

	if (d->e.st != ST_OK)
		http_reply_err(x, &d->e);
	else if (!d->found)
		http_reply_error(x, 404, S("FileNotFound"),
		    arena_fmt(x->arena, "File %.*s not found", STR_ARG(d->uuid)));
	else
		reply_file(d);
	api_answer(d->api, x);
}

static void
download_begin(struct post *p)
{
	struct http_exchange *x = api_exchange(p);
	struct download      *d = x->state;

	if (api_enter(d->api, x))
		runner_task(d->api->opts.runner, look_task, look_done, d);
}

static str
lower_case(struct arena *a, str s)
{
	char *p = arena_z(a, s);

	for (size_t i = 0; i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'F')
			p[i] = (char)(p[i] - 'A' + 'a');
	return str_of(p, s.n);
}

void
api_storage_get(struct api *a, struct http_exchange *x)
{
	struct download *d = ARENA_NEW(x->arena, struct download);
	str              path = str_from(x->path, S("/api/storage/").n);
	str              component = api_param(x, "component");

	if (!files_is_uuid(path)) {
		http_reply_error(x, 400, S("InvalidStoragePath"),
		    arena_fmt(x->arena, "Invalid storage path: \"%.*s\"", STR_ARG(path)));
		api_done(x);
		return;
	}
	d->api = a;
	d->x = x;
	d->uuid = lower_case(x->arena, path);
	d->e = err_in(x->arena);
	if (component.n > 0 && !uid_parse(component, &d->component)) {
		http_reply_error(x, 404, S("FileNotFound"),
		    arena_fmt(x->arena, "File %.*s not found", STR_ARG(path)));
		api_done(x);
		return;
	}
	x->state = d;
	api_post(a, x, download_begin);
}

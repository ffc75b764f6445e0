/* documents.c - see documents.h.
 *
 * A download belongs to its entry.  The fetch thread brings the head and the news of the body to
 * the gate; the loop thread reads.
 *
 * Thread: the loop thread, but on_head() and on_ready().
 * Memory: an arena for each document and each download; a new document takes its download's.
 */
#include "auth/documents.h"

#include <pthread.h>

#include "base/blob.h"
#include "base/http_text.h"
#include "base/mem.h"
#include "fetch/fetch.h"
#include "runtime/thread.h"

#define DOCUMENT_MAX  ((size_t)1 << 20)
#define DOCUMENTS_MAX 64
#define TIMEOUT_MS    10000
#define RETRY_NS      1000000000ull /* after a failure nobody tries again sooner */
#define SECOND_NS     1000000000ull

struct download {
	struct gate_post  post;
	struct documents *all;
	struct entry     *entry;
	struct transfer  *transfer;
	struct arena     *arena; /* of the texts below; owned */
	struct stream    *body;  /* one reference; NULL: no head came */
	struct buf        text;
	int               http;
	str               why;   /* p == NULL: no failure */
	bool              json_type;
	struct http_freshness freshness;
};

struct entry {
	struct entry    *next;
	struct document  doc;
	struct blob     *url;
	struct blob     *why;      /* text of doc.why; NULL: none */
	struct arena    *arena;    /* of doc.json; NULL: there is none */
	uint64_t         fresh_ns, stale_ns; /* monotonic: good until; good until after failures */
	struct download *download; /* NULL: none is going on */
	struct link      waiting;  /* struct auth_wait */
};

struct documents {
	struct fetch    *fetch;
	struct gate      gate;
	const struct os *os;
	struct entry    *entries;
	size_t           n;
	pthread_mutex_t  lock;     /* for `stopped`: held while the gate is used */
	bool             stopped;
};

struct documents *
documents_new(struct fetch *fetch, struct gate gate, const struct os *os)
{
	struct documents *d = MEM_NEW(struct documents);

	d->fetch = fetch;
	d->gate = gate;
	d->os = os;
	must(pthread_mutex_init(&d->lock, NULL) == 0);
	return d;
}

static void
download_free(struct download *l)
{
	if (l->body)
		stream_close(l->body);
	stream_unref(l->body);
	fetch_release(l->transfer);
	buf_clear(&l->text);
	arena_free(l->arena);
	mem_free(l);
}

static void
entry_free(struct entry *e)
{
	must(!link_joined(&e->waiting));
	if (e->download)
		download_free(e->download);
	arena_free(e->arena);
	blob_unref(e->url);
	blob_unref(e->why);
	mem_free(e);
}

/* --- the end of a download --- */

static void
wake(struct entry *e)
{
	struct link  all;
	struct link *l;

	link_take_all(&all, &e->waiting);
	while ((l = link_first(&all)) != NULL) {
		link_leave(l);
		token_again(LINK_OWNER(l, struct auth_wait, link));
	}
}

/* Its JSON, or why there is none. */
static const struct json *
read_json(struct download *l)
{
	struct json *j = NULL;
	struct err   why = err_in(l->arena);

	if (l->why.p)
		return NULL;
	if (l->http != 200)
		l->why = arena_fmt(l->arena, "the answer has status %d", l->http);
	else if (json_parse(l->arena, arena_str(l->arena, buf_str(&l->text)), &j, &why) != ST_OK)
		l->why = arena_fmt(l->arena, "the answer is not JSON: %.*s", STR_ARG(why.text));
	return j;
}

static void
finish(struct download *l)
{
	struct entry      *e = l->entry;
	const struct json *j = read_json(l);
	uint64_t           now = os_mono_ns(l->all->os);

	e->download = NULL;
	e->doc.loaded_ns = now;
	if (j || now >= e->stale_ns) { /* else the old one serves on */
		arena_free(e->arena);
		e->arena = j ? l->arena : NULL;
		e->doc.json = j;
		e->doc.json_type = l->json_type;
		e->doc.http = l->http;
		blob_unref(e->why);
		e->why = blob_new(l->why);
		e->doc.why = blob_str(e->why);
	}
	if (j) {
		l->arena = NULL;
		e->fresh_ns = now + l->freshness.fresh_s * SECOND_NS;
		e->stale_ns = e->fresh_ns + l->freshness.stale_if_error_s * SECOND_NS;
	}
	download_free(l);
	wake(e);
}

/* --- its course --- */

static void
send(struct download *l)
{
	struct documents *d = l->all;

	MUTEX_GUARD(&d->lock);
	if (!d->stopped)
		d->gate.post(d->gate.arg, &l->post);
}

/* On the fetch thread, or from inside stream_when_ready(). */
static void
on_ready(void *arg)
{
	send(arg);
}

static str
header(const struct fetch_response *r, str name)
{
	for (size_t i = 0; i < r->nheaders; i++) {
		if (str_eq(r->headers[i].name, name))
			return r->headers[i].value;
	}
	return STR_EMPTY;
}

/* application/json or application/jwk-set+json, in UTF-8 (spec 05 section 5.4). */
static bool
is_json_type(str type)
{
	str    charset;
	size_t semicolon = type.n;

	(void)str_find_char(type, ';', &semicolon);
	charset = str_trim(str_from(type, semicolon + 1));
	type = str_trim(str_head(type, semicolon));
	if (charset.n > 0 && !str_eq_nocase(charset, S("charset=utf-8")) &&
	    !str_eq_nocase(charset, S("charset=\"utf-8\"")))
		return false;
	return str_eq_nocase(type, S("application/json")) ||
	    str_eq_nocase(type, S("application/jwk-set+json"));
}

/* On the fetch thread. */
static void
on_head(void *arg, const struct fetch_response *r, const struct err *e)
{
	struct download *l = arg;

	if (r) {
		l->http = r->status;
		l->json_type = is_json_type(header(r, S("content-type")));
		l->freshness =
		    http_freshness(header(r, S("cache-control")), header(r, S("age")));
		l->body = stream_ref(r->body);
	} else {
		l->why = arena_str(l->arena, e->text);
	}
	send(l);
}

/* In the core's turn. */
static void
step(struct gate_post *p)
{
	struct download *l = LINK_OWNER(p, struct download, post);

	while (!l->why.p) {
		switch (stream_read(l->body, &l->text, DOCUMENT_MAX)) {
		case STREAM_EMPTY:
			stream_when_ready(l->body, on_ready, l);
			return;
		case STREAM_DATA:
			if (l->text.n > DOCUMENT_MAX)
				l->why = S("the answer is larger than a MiB");
			break;
		case STREAM_FAILED:
			l->why = arena_str(l->arena, stream_error(l->body));
			break;
		case STREAM_END:
			finish(l);
			return;
		}
	}
	finish(l);
}

static void
start(struct documents *d, struct entry *e)
{
	const struct fetch_header accept = { S("accept"), S("application/json") };
	struct download          *l = MEM_NEW(struct download);
	struct fetch_request      r = { .url = blob_str(e->url), .method = S("GET"),
		     .headers = &accept, .nheaders = 1, .timeout_ms = TIMEOUT_MS };

	l->post.run = step;
	l->all = d;
	l->entry = e;
	l->arena = arena_new();
	buf_init(&l->text, 2 * DOCUMENT_MAX + 1);
	e->download = l;
	l->transfer = fetch_start(d->fetch, &r, on_head, l);
}

/* --- entries --- */

static struct entry *
find(const struct documents *d, str url)
{
	struct entry *e = d->entries;

	while (e && !str_eq(blob_str(e->url), url))
		e = e->next;
	return e;
}

/* The one that was loaded longest ago and that nobody waits for goes. */
static void
make_room(struct documents *d)
{
	struct entry **at, **oldest = NULL, *gone;

	if (d->n < DOCUMENTS_MAX)
		return;
	for (at = &d->entries; *at; at = &(*at)->next) {
		if (!(*at)->download &&
		    (!oldest || (*at)->doc.loaded_ns < (*oldest)->doc.loaded_ns))
			oldest = at;
	}
	if (!oldest)
		return;
	gone = *oldest;
	*oldest = gone->next;
	d->n--;
	entry_free(gone);
}

static struct entry *
find_or_add(struct documents *d, str url)
{
	struct entry *e = find(d, url);

	if (e)
		return e;
	make_room(d);
	e = MEM_NEW(struct entry);
	e->url = blob_new(url);
	link_init(&e->waiting);
	e->next = d->entries;
	d->entries = e;
	d->n++;
	return e;
}

static bool
good(const struct documents *d, const struct entry *e, uint64_t since_ns)
{
	uint64_t now = os_mono_ns(d->os);

	if (e->doc.loaded_ns == 0)
		return false;
	return e->doc.loaded_ns >= since_ns || now < e->fresh_ns ||
	    (!e->doc.json && now < e->doc.loaded_ns + RETRY_NS);
}

static void
wait_for(struct documents *d, struct entry *e, struct auth_wait *w)
{
	if (!e->download)
		start(d, e);
	link_before(&e->waiting, &w->link);
}

bool
documents_wait(struct documents *d, str url, struct auth_wait *w)
{
	struct entry *e;

	if (!d->fetch || d->stopped)
		return false;
	e = find_or_add(d, url);
	if (good(d, e, w->since_ns))
		return false;
	wait_for(d, e, w);
	return true;
}

bool
documents_renew(struct documents *d, str url, uint64_t min_age_ns, struct auth_wait *w)
{
	struct entry *e = find(d, url);

	if (!e || d->stopped || os_mono_ns(d->os) < e->doc.loaded_ns + min_age_ns)
		return false;
	wait_for(d, e, w);
	return true;
}

const struct document *
documents_get(const struct documents *d, str url)
{
	struct entry *e = find(d, url);

	return e && e->doc.loaded_ns ? &e->doc : NULL;
}

/* --- the end --- */

void
documents_stop(struct documents *d)
{
	{
		MUTEX_GUARD(&d->lock);
		d->stopped = true;
	}
	for (struct entry *e = d->entries; e; e = e->next) {
		if (e->download)
			fetch_cancel(e->download->transfer);
		wake(e); /* with what is here */
	}
}

void
documents_free(struct documents *d)
{
	struct entry *e, *next;

	for (e = d->entries; e; e = next) {
		next = e->next;
		entry_free(e);
	}
	must(pthread_mutex_destroy(&d->lock) == 0);
	mem_free(d);
}

/* http_action.c - requests and replies of HTTP actions, between bytes and JSON.
 *
 * Header texts are bytes on the wire and characters below U+0100 in JavaScript, both ways.
 *
 * Thread: any.  Memory: the caller's arenas and bufs.
 */
#include <stdatomic.h>

#include "base/http_text.h"
#include "base/json.h"
#include "base/mem.h"
#include "functions/http_action.h"

struct http_request *
http_request_new(void)
{
	struct arena        *a = arena_new();
	struct http_request *r = ARENA_NEW(a, struct http_request);

	atomic_init(&r->refs, 1);
	r->arena = a;
	return r;
}

struct http_request *
http_request_ref(struct http_request *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void
http_request_unref(struct http_request *r)
{
	if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	stream_unref(r->body);
	stream_unref(r->gone);
	arena_free(r->arena); /* r lives in it */
}

/* --- the URL --- */

/* `proto=` of the first element of a Forwarded header (RFC 7239). */
static str
forwarded_proto(str forwarded)
{
	size_t at;

	if (str_find_char(forwarded, ',', &at))
		forwarded = str_head(forwarded, at);
	while (forwarded.n > 0) {
		str part = forwarded;

		forwarded = STR_EMPTY;
		if (str_find_char(part, ';', &at)) {
			forwarded = str_from(part, at + 1);
			part = str_head(part, at);
		}
		part = str_trim(part);
		if (part.n > 6 && str_eq_nocase(str_head(part, 6), S("proto="))) {
			part = str_from(part, 6);
			if (part.n >= 2 && part.p[0] == '"' && part.p[part.n - 1] == '"')
				part = str_of(part.p + 1, part.n - 2);
			return part;
		}
	}
	return STR_EMPTY;
}

/* Proxies in a row append theirs: the first is the client's. */
static str
first_of_list(str s)
{
	size_t at;

	return str_trim(str_find_char(s, ',', &at) ? str_head(s, at) : s);
}

static str
scheme(str (*header)(void *arg, const char *name), void *arg)
{
	str s = first_of_list(header(arg, "x-forwarded-proto"));

	if (s.n == 0)
		s = forwarded_proto(header(arg, "forwarded"));
	return str_eq_nocase(s, S("https")) ? S("https") : S("http");
}

str
http_request_url(struct arena *a, str (*header)(void *arg, const char *name), void *arg, str site,
    str path, str query)
{
	str         host = header(arg, "host");
	str         proto = scheme(header, arg);
	const char *mark = query.n > 0 ? "?" : "";
	size_t      at;

	if (host.n == 0 && str_find(site, S("://"), &at))
		host = str_from(site, at + 3);
	return arena_fmt(a, "%.*s://%.*s%.*s%s%.*s", STR_ARG(proto), STR_ARG(host), STR_ARG(path),
	    mark, STR_ARG(query));
}

/* --- the request --- */

void
http_write_latin1(struct buf *b, str s)
{
	buf_add_byte(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (c == '"' || c == '\\' || c < 0x20) {
			buf_fmt(b, "\\u%04x", c);
		} else if (c < 0x80) {
			buf_add_byte(b, c);
		} else {
			buf_add_byte(b, (uint8_t)(0xc0 | c >> 6));
			buf_add_byte(b, (uint8_t)(0x80 | (c & 0x3f)));
		}
	}
	buf_add_byte(b, '"');
}

void
http_request_json(struct buf *b, const struct http_request *r, str body_id, str gone_id)
{
	buf_addz(b, "{\"headerPairs\":[");
	for (size_t i = 0; i < r->npairs; i++) {
		json_comma(b);
		buf_add_byte(b, '[');
		http_write_latin1(b, r->pairs[i].name);
		buf_add_byte(b, ',');
		http_write_latin1(b, r->pairs[i].value);
		buf_add_byte(b, ']');
	}
	buf_addz(b, "],\"url\":");
	http_write_latin1(b, r->url);
	buf_addz(b, ",\"method\":");
	json_write_str(b, r->method);
	buf_addz(b, ",\"streamId\":");
	if (body_id.n > 0)
		json_write_str(b, body_id);
	else
		buf_addz(b, "null");
	buf_addz(b, ",\"signal\":");
	json_write_str(b, gone_id);
	buf_add_byte(b, '}');
}

/* --- the reply --- */

bool
http_latin1_of(struct arena *a, str text, str *ret)
{
	char  *p = arena_alloc(a, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = (uint8_t)text.p[i];

		if (c >= 0x80) {
			if ((c != 0xc2 && c != 0xc3) || i + 1 == text.n)
				return false;
			c = (uint8_t)(c << 6 | ((uint8_t)text.p[++i] & 0x3f));
		}
		p[n++] = (char)c;
	}
	p[n] = '\0';
	*ret = str_of(p, n);
	return true;
}

static status
pair_parse(struct arena *a, const struct json *j, struct http_pair *ret, struct err *e)
{
	if (j->kind != JSON_ARRAY || j->n != 2 || j->items[0].kind != JSON_STRING ||
	    j->items[1].kind != JSON_STRING)
		return err_set(e, ST_BAD_REQUEST, "InvalidHttpResponse",
		    "HTTP action returned headers that are no pairs of strings");
	if (!http_latin1_of(a, j->items[0].string, &ret->name) || !http_is_token(ret->name))
		return err_set(e, ST_BAD_REQUEST, "InvalidHttpResponse",
		    "HTTP action returned an invalid header name: %.*s",
		    STR_ARG(j->items[0].string));
	if (!http_latin1_of(a, j->items[1].string, &ret->value) || !http_is_one_line(ret->value))
		return err_set(e, ST_BAD_REQUEST, "InvalidHttpResponse",
		    "HTTP action returned an invalid value for the header %.*s",
		    STR_ARG(ret->name));
	return ST_OK;
}

status
http_head_parse(
    struct arena *a, str json, struct http_head *ret, str *ret_stream_id, struct err *e)
{
	struct http_head   h = { 0 };
	struct json       *j;
	const struct json *pairs;
	uint32_t           http;

	TRY(json_parse(a, json, &j, e));
	pairs = json_get(j, "headerPairs");
	if (!json_get_u32(j, "status", &http) || !pairs || pairs->kind != JSON_ARRAY ||
	    !json_get_str(j, "streamId", ret_stream_id))
		return err_set(e, ST_BAD_REQUEST, "InvalidHttpResponse",
		    "HTTP action returned something that is not a response");
	if (http < 200 || http > 999)
		return err_set(e, ST_BAD_REQUEST, "InvalidHttpResponse",
		    "HTTP action returned an invalid status code: %u", http);
	h.http = (int)http;
	h.pairs = ARENA_ARRAY(a, struct http_pair, pairs->n);
	for (; h.npairs < pairs->n; h.npairs++)
		TRY(pair_parse(a, &pairs->items[h.npairs], &h.pairs[h.npairs], e));
	*ret = h;
	return ST_OK;
}

void
http_failure_json(struct buf *b, str request_id, str error, str data, bool redact)
{
	struct buf code;
	size_t     line;

	buf_init(&code, BUF_MAX_DEFAULT);
	buf_fmt(&code, "[Request ID: %.*s] Server Error", STR_ARG(request_id));
	if (!redact) {
		buf_addz(&code, ": ");
		buf_add(&code, str_find_char(error, '\n', &line) ? str_head(error, line) : error);
	}
	buf_addz(b, "{\"code\":");
	json_write_str(b, buf_str(&code));
	if (!redact) {
		buf_addz(b, ",\"trace\":");
		json_write_str(b, error);
	}
	if (data.p) {
		buf_addz(b, ",\"data\":");
		buf_add(b, data);
	}
	buf_add_byte(b, '}');
	buf_clear(&code);
}

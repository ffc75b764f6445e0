/* http_action_test.c - requests and replies of HTTP actions, as JSON. */
#include "test.h"

#include "functions/http_action.h"

struct fake {
	const char *host, *forwarded_proto, *forwarded;
};

static str
fake_header(void *arg, const char *name)
{
	const struct fake *f = arg;

	if (strcmp(name, "host") == 0)
		return str_z(f->host);
	if (strcmp(name, "x-forwarded-proto") == 0)
		return str_z(f->forwarded_proto);
	return strcmp(name, "forwarded") == 0 ? str_z(f->forwarded) : STR_EMPTY;
}

/* Scheme of X-Forwarded-Proto, else of Forwarded's first element, else http; Host; the path and
 * query as sent (spec 04 section 6.1). */
TEST(urls)
{
	static const struct {
		struct fake f;
		const char *path, *query, *url;
	} cases[] = {
		{ { "h:1", NULL, NULL }, "/a%20b", "c=d", "http://h:1/a%20b?c=d" },
		{ { "h", "https", "proto=http" }, "/", "", "https://h/" },
		{ { "h", "HTTPS, http", NULL }, "/", "", "https://h/" },
		{ { "h", "gopher", NULL }, "/", "", "http://h/" },
		{ { "h", NULL, "for=1.2.3.4;Proto=https;by=x" }, "/", "", "https://h/" },
		{ { "h", NULL, "proto=\"https\", proto=http" }, "/", "", "https://h/" },
		{ { "h", NULL, "for=x, proto=https" }, "/", "", "http://h/" },
		{ { "h", NULL, ";;=;proto=" }, "/", "", "http://h/" },
		{ { NULL, NULL, NULL }, "/x", "", "http://site:3211/x" },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		CHECK_STRZ(http_request_url(a, fake_header, (void *)(uintptr_t)&cases[i].f,
		               S("http://site:3211"), str_z(cases[i].path),
		               str_z(cases[i].query)),
		    cases[i].url);
	arena_free(a);
}

/* The JSON of section 6.3: header bytes are characters of the same numbers, duplicates stay. */
TEST(requests)
{
	struct http_request *r = http_request_new();
	struct http_pair     pairs[] = { { S("a"), S("1") }, { S("a"), S("\xe9\"\\\t\x80") } };
	struct buf           b;

	buf_init(&b, 4096);
	r->method = S("POST");
	r->url = S("http://h/x?y=1");
	r->pairs = pairs;
	r->npairs = 2;
	http_request_json(&b, r, S("7"), S("8"));
	CHECK_STRZ(buf_str(&b), "{\"headerPairs\":[[\"a\",\"1\"],[\"a\",\"\xc3\xa9\\u0022\\u005c"
	                        "\\u0009\xc2\x80\"]],\"url\":\"http://h/x?y=1\",\"method\":"
	                        "\"POST\",\"streamId\":\"7\",\"signal\":\"8\"}");
	buf_reset(&b);
	r->npairs = 0;
	http_request_json(&b, r, STR_EMPTY, S("8"));
	CHECK_STRZ(buf_str(&b), "{\"headerPairs\":[],\"url\":\"http://h/x?y=1\",\"method\":"
	                        "\"POST\",\"streamId\":null,\"signal\":\"8\"}");
	buf_clear(&b);
	http_request_unref(r);
}

/* What a handler may answer, and what cannot be sent: nothing gets out of its header line. */
TEST(heads)
{
	static const struct {
		const char *why, *json;
		int         http; /* 0: refused */
		const char *pairs;
	} cases[] = {
		{ "plain", "{\"status\":201,\"headerPairs\":[[\"a\",\"b\"]],\"streamId\":\"1\"}",
		    201, "a=b;" },
		{ "duplicates, latin-1",
		    "{\"status\":200,\"headerPairs\":[[\"set-cookie\",\"a\"],[\"set-cookie\","
		    "\"\\u00e9\xc3\xbf\"]],\"streamId\":\"1\"}",
		    200, "set-cookie=a;set-cookie=\xe9\xff;" },
		{ "no headers", "{\"status\":599,\"headerPairs\":[],\"streamId\":\"1\"}", 599, "" },
		{ "a status below 200", "{\"status\":101,\"headerPairs\":[],\"streamId\":\"1\"}", 0,
		    NULL },
		{ "no status", "{\"headerPairs\":[],\"streamId\":\"1\"}", 0, NULL },
		{ "half a status", "{\"status\":200.5,\"headerPairs\":[],\"streamId\":\"1\"}", 0,
		    NULL },
		{ "no stream", "{\"status\":200,\"headerPairs\":[]}", 0, NULL },
		{ "a line break in a value",
		    "{\"status\":200,\"headerPairs\":[[\"a\",\"b\\r\\nc: d\"]],\"streamId\":\"1\"}",
		    0, NULL },
		{ "a line break in a name",
		    "{\"status\":200,\"headerPairs\":[[\"a\\nb\",\"c\"]],\"streamId\":\"1\"}", 0,
		    NULL },
		{ "a NUL",
		    "{\"status\":200,\"headerPairs\":[[\"a\",\"\\u0000\"]],\"streamId\":\"1\"}", 0,
		    NULL },
		{ "a wide character",
		    "{\"status\":200,\"headerPairs\":[[\"a\",\"\\u20ac\"]],\"streamId\":\"1\"}", 0,
		    NULL },
		{ "an empty name",
		    "{\"status\":200,\"headerPairs\":[[\"\",\"x\"]],\"streamId\":\"1\"}", 0, NULL },
		{ "no pair", "{\"status\":200,\"headerPairs\":[[\"a\"]],\"streamId\":\"1\"}", 0,
		    NULL },
		{ "no JSON", "200", 0, NULL },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct http_head h = { 0 };
		struct err       e = err_in(a);
		str              id = STR_EMPTY;
		struct buf       b;

		CHECK_EQ(http_head_parse(a, str_z(cases[i].json), &h, &id, &e) == ST_OK,
		    cases[i].http != 0);
		CHECK_EQ(h.http, cases[i].http);
		if (!cases[i].http)
			continue;
		buf_init(&b, 1000);
		for (size_t k = 0; k < h.npairs; k++)
			buf_fmt(&b, "%.*s=%.*s;", STR_ARG(h.pairs[k].name),
			    STR_ARG(h.pairs[k].value));
		CHECK_STRZ(buf_str(&b), cases[i].pairs);
		CHECK_STRZ(id, "1");
		buf_clear(&b);
	}
	arena_free(a);
}

#define ID "{\"code\":\"[Request ID: 0123456789abcdef]"

/* The body of a failure (section 6.5); data is kept where errors are hidden.  04 checklist 18 */
TEST(failures)
{
	static const struct {
		const char *error, *data;
		bool        redact;
		const char *json;
	} cases[] = {
		{ "Uncaught Error: boom\n    at f (../convex/http.ts:1:2)\n", NULL, false,
		    ID " Server Error: Uncaught Error: boom\","
		    "\"trace\":\"Uncaught Error: boom\\n    at f (../convex/http.ts:1:2)\\n\"}" },
		{ "Uncaught ConvexError: {}", "{\"a\":1}", false,
		    ID " Server Error: Uncaught ConvexError: "
		    "{}\",\"trace\":\"Uncaught ConvexError: {}\",\"data\":{\"a\":1}}" },
		{ "Uncaught ConvexError: {}", "{\"a\":1}", true,
		    ID " Server Error\",\"data\":{\"a\":1}}" },
		{ "Uncaught Error: secret", NULL, true,
		    ID " Server Error\"}" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf b;
		str        data = cases[i].data ? str_z(cases[i].data) : (str){ NULL, 0 };

		buf_init(&b, 4096);
		http_failure_json(&b, S("0123456789abcdef"), str_z(cases[i].error), data,
		    cases[i].redact);
		CHECK_STRZ(buf_str(&b), cases[i].json);
		buf_clear(&b);
	}
}

TEST_RUN(T(urls), T(requests), T(heads), T(failures))

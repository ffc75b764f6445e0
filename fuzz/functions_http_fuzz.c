/* functions_http_fuzz.c - the headers that a request's URL is made of, and what user code answers.
 *
 * The first line is a Forwarded header and a Host, the rest the reply's JSON.  What is accepted
 * cannot get out of its header line.
 */
#include "functions/http_action.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static str
header(void *arg, const char *name)
{
	const str *line = arg;

	return strcmp(name, "x-forwarded-proto") == 0 ? STR_EMPTY : *line;
}

static void
check_head(const struct http_head *h)
{
	must(h->http >= 200 && h->http <= 999);
	for (size_t i = 0; i < h->npairs; i++) {
		must(h->pairs[i].name.n > 0);
		must(!memchr(h->pairs[i].name.p, '\n', h->pairs[i].name.n));
		must(!memchr(h->pairs[i].value.p, '\n', h->pairs[i].value.n));
		must(!memchr(h->pairs[i].value.p, '\r', h->pairs[i].value.n));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena        *a = arena_new();
	struct http_request *r = http_request_new();
	str                  in = str_of(data, size), line = in, id;
	struct http_pair     pair;
	struct http_head     head;
	struct buf           b;
	size_t               at;

	if (str_find_char(in, '\n', &at)) {
		line = str_head(in, at);
		in = str_from(in, at + 1);
	}
	r->url = http_request_url(a, header, &line, S("http://site"), S("/x"), line);
	must(str_starts(r->url, S("http://")) || str_starts(r->url, S("https://")));
	pair = (struct http_pair){ line, in };
	r->pairs = &pair;
	r->npairs = 1;
	r->method = S("GET");
	buf_init(&b, 1 << 24);
	http_request_json(&b, r, STR_EMPTY, S("1"));
	if (http_head_parse(a, in, &head, &id, NULL) == ST_OK)
		check_head(&head);
	buf_clear(&b);
	http_request_unref(r);
	arena_free(a);
	return 0;
}

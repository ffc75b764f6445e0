/* storage_test.c - rows of stored files, and the tokens of upload URLs (spec 05 sections 1, 6). */
#include <stdlib.h>

#include "base/enc.h"
#include "base/gcmsiv.h"
#include "functions/storage_int.h"
#include "unit/files/scratch.h"
#include "unit/functions/fn_fixture.h"

static char dir[] = "/tmp/fresnel-storage-XXXXXX";

struct place {
	struct world    w;
	struct files   *files;
	struct storage *s;
	struct buf      made, json;
	struct err      e;
};

static void
place_open(struct place *p)
{
	struct storage_opts o = { .origin = S("http://127.0.0.1:3210"),
		.instance_name = S("carnitas") };

	world_open(&p->w, false);
	CHECK_EQ(files_open(dir, &p->w.os, &p->files, NULL), ST_OK);
	o.files = p->files;
	o.os = &p->w.os;
	p->s = storage_new(&o);
	p->e = err_in(p->w.arena);
	buf_init(&p->made, 1 << 20);
	buf_init(&p->json, 1 << 26);
}

static void
place_close(struct place *p)
{
	buf_clear(&p->made);
	buf_clear(&p->json);
	storage_free(p->s);
	files_close(p->files);
	world_close(&p->w);
}

static struct txn *
begin(struct place *p)
{
	return txn_begin(&(struct txn_opts){ .snapshot = db_snapshot(p->w.db), .writable = true,
	    .writer = S("test.js:write") });
}

static status
call(struct place *p, struct txn *t, enum storage_op op, str id)
{
	buf_reset(&p->json);
	p->e = err_in(p->w.arena);
	return storage_call(p->s, t, &(struct storage_call){ .op = op, .id = id }, &p->made,
	    &p->json, &p->e);
}

/* A file that a mutation stores can be read, described and deleted, by its id. */
TEST(a_file_in_a_mutation)
{
	struct place              p;
	struct txn               *t;
	const struct storage_call store = { .op = STORAGE_STORE, .blob = S("hello"),
		.content_type = S("text/plain"),
		.sha256 = S("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=") };
	struct stored_file        f;
	bool                      found;
	str                       id, uuid;

	place_open(&p);
	t = begin(&p);
	CHECK_EQ(storage_call(p.s, t, &store, &p.made, &p.json, &p.e), ST_OK);
	id = arena_str(p.w.arena, str_of(p.json.p + 1, p.json.n - 2));
	CHECK(str_starts(id, S("kg2")));
	CHECK_EQ(call(&p, t, STORAGE_GET, id), ST_OK);
	CHECK_STRZ(buf_str(&p.json), "{\"blob\":\"aGVsbG8=\",\"contentType\":\"text/plain\"}");
	CHECK_EQ(storage_find(t, id, &found, &f, &p.e), ST_OK);
	CHECK(found);
	uuid = arena_str(p.w.arena, f.storage_id);
	CHECK_EQ(call(&p, t, STORAGE_GET_URL, id), ST_OK);
	CHECK_STR(buf_str(&p.json),
	    arena_fmt(p.w.arena, "\"http://127.0.0.1:3210/api/storage/%.*s\"", STR_ARG(uuid)));
	CHECK_EQ(call(&p, t, STORAGE_GET_METADATA, uuid), ST_OK);
	CHECK_STR(buf_str(&p.json), arena_fmt(p.w.arena, "{\"storageId\":\"%.*s\",\"sha256\":"
	    "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\",\"size\":5,"
	    "\"contentType\":\"text/plain\"}", STR_ARG(uuid)));
	CHECK_EQ(call(&p, t, STORAGE_DELETE, id), ST_OK);
	CHECK_EQ(call(&p, t, STORAGE_GET_URL, id), ST_OK);
	CHECK_STRZ(buf_str(&p.json), "null");
	CHECK_EQ(call(&p, t, STORAGE_DELETE, id), ST_BAD_REQUEST);
	CHECK_STRZ(p.e.code, "StorageIdNotFound");
	txn_free(t);
	place_close(&p);
}

/* What is no id of a file is told apart: nonsense, and ids of other tables. */
TEST(other_ids)
{
	struct place p;
	struct txn  *t;
	struct docid other;
	char         text[ID_TEXT_MAX];

	place_open(&p);
	t = begin(&p);
	CHECK_EQ(txn_insert(t, S("users"), val_empty_object, &other, &p.e), ST_OK);
	id_format(other, text);
	CHECK_EQ(call(&p, t, STORAGE_GET_URL, S("nonsense")), ST_BAD_REQUEST);
	CHECK_STRZ(p.e.code, "InvalidStorageId");
	CHECK_EQ(call(&p, t, STORAGE_GET_URL, str_z(text)), ST_BAD_REQUEST);
	CHECK_STRZ(p.e.code, "InvalidArgument");
	CHECK_EQ(call(&p, t, STORAGE_GET_URL, S("01234567-89ab-4def-8123-456789abcdef")), ST_OK);
	CHECK_STRZ(buf_str(&p.json), "null");
	txn_free(t);
	place_close(&p);
}

/* A wrong digest refuses the file; what a failed mutation stored is removed. */
TEST(failures_leave_no_object)
{
	struct place              p;
	struct txn               *t;
	const struct storage_call store = { .op = STORAGE_STORE, .blob = S("other"),
		.sha256 = S("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=") };
	struct buf                bytes;

	place_open(&p);
	buf_init(&bytes, 64);
	t = begin(&p);
	CHECK_EQ(storage_call(p.s, t, &store, &p.made, &p.json, &p.e), ST_BAD_REQUEST);
	CHECK_STRZ(p.e.code, "Sha256Mismatch");
	CHECK_EQ(p.made.n, FILE_KEY + 1);
	storage_undo(p.s, &p.made);
	CHECK_EQ(files_get_now(p.files, str_of(p.made.p, FILE_KEY), &bytes, NULL), ST_NOT_FOUND);
	buf_clear(&bytes);
	txn_free(t);
	place_close(&p);
}

/* The token of spec 05 section 6, to the byte. */
TEST(token_vector)
{
	static const uint8_t nonce[12] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
	struct storage_opts  o = { .instance_name = S("carnitas"), .os = os_real() };
	struct storage      *s;
	struct buf           b, secret;

	buf_init(&b, 4096);
	buf_init(&secret, 64);
	CHECK(dec_hex(&secret,
	    S("4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974")));
	kbkdf16((const uint8_t *)secret.p, S("store file authorization"), o.token_key);
	s = storage_new(&o);
	storage_token_seal(s, (struct uid){ { 0 } }, 1700000000, nonce, &b);
	CHECK_STRZ(buf_str(&b),
	    "01000102030405060708090a0b586271ae03427c7241772f825c741943042898f695e63020782552a7860f"
	    "ec80c4ec");
	storage_free(s);
	buf_clear(&secret);
	buf_clear(&b);
}

/* Tokens are good for an hour, for this deployment, and for nothing that was tampered with. */
TEST(tokens)
{
	struct place    p;
	struct buf      token;
	struct uid      component = { { 7, 7 } }, got;
	struct storage *other;

	place_open(&p);
	buf_init(&token, 4096);
	storage_token_make(p.s, component, &token);
	CHECK_EQ(storage_token_check(p.s, buf_str(&token), &got, &p.e), ST_OK);
	CHECK(uid_eq(got, component));
	other = storage_new(&(struct storage_opts){ .instance_name = S("other"), .os = &p.w.os });
	CHECK_EQ(storage_token_check(other, buf_str(&token), &got, &p.e), ST_UNAUTHENTICATED);
	CHECK_STRZ(p.e.code, "InvalidStorageToken");
	storage_free(other);
	p.w.now_ns += 3601ull * 1000000000ull;
	CHECK_EQ(storage_token_check(p.s, buf_str(&token), &got, &p.e), ST_UNAUTHENTICATED);
	CHECK_STRZ(p.e.code, "StorageTokenExpired");
	for (size_t i = 0; i < token.n; i++) {
		char c = token.p[i];

		token.p[i] = c == '0' ? '1' : '0';
		CHECK_EQ(storage_token_check(p.s, buf_str(&token), &got, &p.e), ST_UNAUTHENTICATED);
		CHECK_STRZ(p.e.code, "StorageTokenInvalid");
		token.p[i] = c;
	}
	CHECK_EQ(storage_token_check(p.s, STR_EMPTY, &got, &p.e), ST_UNAUTHENTICATED);
	buf_clear(&token);
	place_close(&p);
}

/* A content type is a media type (RFC 9110 section 8.3.1); names are kept in lower case. */
TEST(content_types)
{
	static const struct {
		const char *why, *text, *kept; /* NULL: refused */
	} cases[] = {
		{ "plain", "text/plain", "text/plain" },
		{ "case of names", "Text/HTML;Charset=UTF-8", "text/html;charset=utf-8" },
		{ "case of values", "a/b; T=Up; x=\"Q;=\\\"\"", "a/b; t=Up; x=\"Q;=\\\"\"" },
		{ "a suffix", "image/svg+xml", "image/svg+xml" },
		{ "blanks around it", "  a/b ; c=d\t", "a/b ; c=d" },
		{ "a semicolon at the end", "a/b;", "a/b;" },
		{ "nothing", "", NULL },
		{ "no slash", "nonsense", NULL },
		{ "no type", "/plain", NULL },
		{ "no subtype", "text/", NULL },
		{ "a blank inside", "text/ plain", NULL },
		{ "two of them", "a/b, c/d", NULL },
		{ "a parameter without a value", "a/b; c", NULL },
		{ "an empty value", "a/b; c=", NULL },
		{ "a quote that does not end", "a/b; c=\"d", NULL },
		{ "a quote that ends in a backslash", "a/b; c=\"d\\", NULL },
		{ "a line break", "a/b\r\nc: d", NULL },
		{ "a line break in quotes", "a/b; c=\"\r\nd: e\"", NULL },
		{ "bytes above ASCII", "text/pl\xc3\xa4in", NULL },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		str kept = STR_EMPTY;

		print_message("%s\n", cases[i].why);
		CHECK_EQ(storage_content_type(a, str_z(cases[i].text), &kept),
		    cases[i].kept != NULL);
		if (cases[i].kept)
			CHECK_STRZ(kept, cases[i].kept);
	}
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(a_file_in_a_mutation), T(other_ids),
		T(failures_leave_no_object), T(token_vector), T(tokens),
		T(content_types) };
	int                     failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return scratch_remove(dir) != 0 || failed;
}

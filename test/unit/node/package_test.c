/* package_test.c - packages as folders: names, content, what npm is asked for, what is removed.
 *
 * npm is a script of the test's own at the front of PATH.
 */
#include "node/package.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/package_int.h"
#include "os/file.h"
#include "test.h"

struct bench {
	char folder[64];
	struct node_packages *ps;
	struct arena *a;
};

/* It notes that it was called, installs "one" and fails for "bad". */
static const char npm[] =
    "#!/bin/sh\n"
    "echo called >> \"$npm_config_test_log\"\n"
    "if grep -q bad package.json; then echo 'npm error 404 bad'; exit 1; fi\n"
    "mkdir -p node_modules/one && echo 'module.exports = 1' > node_modules/one/index.js\n";

static void
bench_open(struct bench *b)
{
	const char *path;
	FILE *f;

	memset(b, 0, sizeof *b);
	b->a = arena_new();
	memcpy(b->folder, "/tmp/package-test-XXXXXX", 25);
	must(mkdtemp(b->folder));
	must(file_mkdirs(arena_fmt(b->a, "%s/bin", b->folder).p, NULL) == ST_OK);
	path = arena_fmt(b->a, "%s/bin/npm", b->folder).p;
	f = fopen(path, "we");
	must(f && fputs(npm, f) >= 0 && fclose(f) == 0 && chmod(path, 0700) == 0);
	must(setenv("PATH", arena_fmt(b->a, "%s/bin:/usr/bin:/bin", b->folder).p, 1) == 0);
	must(setenv("npm_config_test_log", arena_fmt(b->a, "%s/log", b->folder).p, 1) == 0);
	CHECK_EQ(node_packages_open(arena_fmt(b->a, "%s/node", b->folder).p, &b->ps, NULL), ST_OK);
}

static void
bench_close(struct bench *b)
{
	node_packages_close(b->ps);
	folder_remove(b->folder);
	arena_free(b->a);
}

static size_t
npm_calls(struct bench *b)
{
	struct buf log;
	size_t n = 0;

	buf_init(&log, BUF_MAX_DEFAULT);
	if (file_read(arena_fmt(b->a, "%s/log", b->folder).p, &log, NULL) != ST_OK)
		buf_reset(&log);
	for (size_t i = 0; i < log.n; i++)
		n += log.p[i] == '\n';
	buf_clear(&log);
	return n;
}

/* A package is named by what is in it, in whatever order it is listed. */
TEST(keys_are_of_contents)
{
	struct node_module ab[] = { { S("a.js"), S("1"), { NULL, 0 } },
		{ S("b.js"), S("2"), { NULL, 0 } } };
	struct node_module ba[] = { ab[1], ab[0] };
	struct node_module other[] = { ab[0], { S("b.js"), S("3"), { NULL, 0 } } };
	struct node_module joined[] = { { S("a.js"), S("1b.js2"), { NULL, 0 } } };
	struct node_dep deps[] = { { S("x"), S("1.0.0") }, { S("y"), S("2.0.0") } };
	struct node_dep swapped[] = { deps[1], deps[0] };
	struct arena *a = arena_new();
	str key = node_package_key(a, &(struct node_content){ 2, ab, 0, NULL });

	CHECK_EQ(key.n, 64);
	CHECK_STR(node_package_key(a, &(struct node_content){ 2, ba, 0, NULL }), key);
	CHECK(!str_eq(node_package_key(a, &(struct node_content){ 2, other, 0, NULL }), key));
	CHECK(!str_eq(node_package_key(a, &(struct node_content){ 1, joined, 0, NULL }), key));
	CHECK(!str_eq(node_package_key(a, &(struct node_content){ 2, ab, 2, deps }), key));
	CHECK_STR(node_deps_key(a, deps, 2), node_deps_key(a, swapped, 2));
	arena_free(a);
}

/* Modules, their maps and the manifest are files; the same content makes nothing new. */
TEST(packages_are_folders)
{
	struct node_module m[] = { { S("a.js"), S("export {};"), S("{}") },
		{ S("deep/er/b.js"), S(""), { NULL, 0 } } };
	struct node_content c = { COUNT_OF(m), m, 0, NULL };
	struct node_package *p, *again;
	struct bench b;
	struct buf map;

	bench_open(&b);
	CHECK_EQ(node_package_make(b.ps, &c, &p, NULL), ST_OK);
	CHECK(node_package_has(p, S("a.js")));
	CHECK(node_package_has(p, S("deep/er/b.js")));
	CHECK(!node_package_has(p, S("c.js")));
	CHECK(file_exists(arena_fmt(b.a, "%s/package.json", node_package_folder(p)).p));
	buf_init(&map, 64);
	CHECK(node_package_map(p, S("a.js"), &map));
	CHECK_STRZ(buf_str(&map), "{}");
	CHECK(!node_package_map(p, S("deep/er/b.js"), &map));
	buf_clear(&map);
	CHECK_EQ(node_package_make(b.ps, &c, &again, NULL), ST_OK);
	CHECK(again == p);
	node_package_unref(again);
	node_package_unref(p);
	CHECK_EQ(node_package_make(b.ps, &c, &again, NULL), ST_OK);
	CHECK(node_package_has(again, S("a.js")));
	node_package_unref(again);
	bench_close(&b);
}

/* Spec 02 section 4.5: installed once for each list, and refused with npm's own words. */
TEST(dependencies_are_installed)
{
	struct node_module m[] = { { S("a.js"), S("1"), { NULL, 0 } } };
	struct node_module n[] = { { S("a.js"), S("2"), { NULL, 0 } } };
	struct node_dep one[] = { { S("one"), S("1.0.0") } };
	struct node_dep bad[] = { { S("bad"), S("1.0.0") } };
	struct node_package *p;
	struct bench b;
	struct err e;

	bench_open(&b);
	CHECK_EQ(node_package_make(b.ps, &(struct node_content){ 1, m, 1, one }, &p, NULL), ST_OK);
	CHECK(
	    file_exists(arena_fmt(b.a, "%s/node_modules/one/index.js", node_package_folder(p)).p));
	node_package_unref(p);
	CHECK_EQ(npm_calls(&b), 1);
	CHECK_EQ(node_package_make(b.ps, &(struct node_content){ 1, n, 1, one }, &p, NULL), ST_OK);
	node_package_unref(p);
	CHECK_EQ(npm_calls(&b), 1);
	e = err_in(b.a);
	CHECK_EQ(node_package_make(b.ps, &(struct node_content){ 1, n, 1, bad }, &p, &e),
	    ST_BAD_REQUEST);
	CHECK_STRZ(e.code, "InvalidExternalModules");
	CHECK_STRZ(e.text, "npm install of the external packages failed:\nnpm error 404 bad");
	bench_close(&b);
}

/* Names and versions are what a registry has, and nothing that npm could take for an option, a
 * folder or an address. */
TEST(dependencies_are_checked)
{
	static const struct {
		const char *why, *name, *version;
		bool good;
	} cases[] = {
		{ "plain", "one", "1.0.0", true },
		{ "scoped", "@aws-sdk/client-s3", "3.0.0-rc.1+build", true },
		{ "an option", "--prefix", "1.0.0", false },
		{ "a folder", "../x", "1.0.0", false },
		{ "a folder", ".", "1.0.0", false },
		{ "two slashes", "@a/b/c", "1.0.0", false },
		{ "no scope", "@/b", "1.0.0", false },
		{ "no name", "", "1.0.0", false },
		{ "a range", "one", "^1.0.0", false },
		{ "a tag", "one", "latest", false },
		{ "a file", "one", "file:/etc", false },
		{ "an address", "one", "https://example.com/x.tgz", false },
		{ "no version", "one", "", false },
		{ "a line", "one", "1\n", false },
	};
	struct node_module m[] = { { S("a.js"), S("1"), { NULL, 0 } } };
	struct bench b;

	bench_open(&b);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct node_dep d[] = { { str_z(cases[i].name), str_z(cases[i].version) } };
		struct node_package *p = NULL;
		struct node_content c = { 1, m, 1, d };
		status st = node_package_make(b.ps, &c, &p, NULL);

		if ((st == ST_OK) != cases[i].good)
			print_error("%s: %s@%s\n", cases[i].why, cases[i].name, cases[i].version);
		CHECK_EQ(st == ST_OK, cases[i].good);
		node_package_unref(p);
	}
	bench_close(&b);
}

/* Old folders go, but not those that are in use. */
TEST(folders_are_bounded)
{
	struct node_module m[] = { { S("a.js"), S("kept"), { NULL, 0 } } };
	struct node_package *kept, *p;
	struct bench b;
	size_t there = 0;
	str keys[NODE_PACKAGES_KEPT * 2];

	bench_open(&b);
	CHECK_EQ(
	    node_package_make(b.ps, &(struct node_content){ 1, m, 0, NULL }, &kept, NULL), ST_OK);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		m[0].source = arena_fmt(b.a, "%zu", i);
		CHECK_EQ(node_package_make(b.ps, &(struct node_content){ 1, m, 0, NULL }, &p, NULL),
		    ST_OK);
		keys[i] = arena_str(b.a, node_package_name(p));
		node_package_unref(p);
	}
	CHECK(node_package_has(kept, S("a.js")));
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		there += file_exists(
		    arena_fmt(b.a, "%s/node/packages/%.*s", b.folder, STR_ARG(keys[i])).p);
	CHECK(there <= NODE_PACKAGES_KEPT);
	node_package_unref(kept);
	bench_close(&b);
}

/* Spec 02 section 6: at most 230 MB in all. */
TEST(packages_have_a_limit)
{
	size_t n = (size_t)NODE_PACKAGE_MAX_BYTES + 1;
	char *text = mem_zalloc(n);
	struct node_module m[] = { { S("a.js"), { text, n }, { NULL, 0 } } };
	struct node_package *p;
	struct bench b;
	struct err e = err_in(NULL);

	bench_open(&b);
	CHECK_EQ(node_package_make(b.ps, &(struct node_content){ 1, m, 0, NULL }, &p, &e),
	    ST_BAD_REQUEST);
	CHECK_STRZ(e.code, "ModulesTooLarge");
	bench_close(&b);
	mem_free(text);
}

TEST_RUN(T(keys_are_of_contents), T(packages_are_folders), T(dependencies_are_installed),
    T(dependencies_are_checked), T(folders_are_bounded), T(packages_have_a_limit))

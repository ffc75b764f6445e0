/* bytecode_test.c - compiled once per process, and per cache directory. */
#include "test.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/hash.h"
#include "isolate/bytecode.h"
#include "os/file.h"

static struct blob *
get(const char *source, str dir)
{
	struct blob *b = NULL;
	struct err   e = err_in(NULL);

	if (bytecode_get(CODE_MODULE, S("convex:/m.js"), str_z(source), dir, &b, &e) != ST_OK)
		fail_msg("%.*s", STR_ARG(e.text));
	return b;
}

/* Compiles in a process of its own, so that only the directory remembers. */
static void
compile_elsewhere(const char *source, str dir)
{
	pid_t pid = fork();
	int   rc;

	if (pid == 0) {
		get(source, dir);
		_exit(0);
	}
	CHECK(waitpid(pid, &rc, 0) == pid && rc == 0);
}

/* The only file in the directory. */
static void
the_file(str dir, char ret[512])
{
	char  cmd[600];
	FILE *f;

	snprintf(cmd, sizeof cmd, "ls %.*s/*.qjs", STR_ARG(dir));
	f = popen(cmd, "r");
	CHECK(f && fgets(ret, 512, f));
	ret[strcspn(ret, "\n")] = 0;
	pclose(f);
}

static void
write_file(const char *path, str body, bool valid)
{
	struct buf b;
	uint8_t    digest[32];

	buf_init(&b, 1 << 20);
	sha256(body, digest);
	digest[0] ^= !valid;
	buf_add(&b, str_of(digest, 32));
	buf_add(&b, body);
	CHECK_EQ(file_write_atomic(path, buf_str(&b), NULL), ST_OK);
	buf_clear(&b);
}

/* A file is used if its digest is right; otherwise it is as good as absent, and replaced. */
TEST(directory_cache)
{
	char         dir_z[] = "/tmp/bytecode-test-XXXXXX", path[512];
	str          dir = str_z(mkdtemp(dir_z));
	struct blob *other = get("export const other = 1;", STR_EMPTY), *b;
	struct buf   content;

	compile_elsewhere("export const a = 1;", dir);
	the_file(dir, path);
	write_file(path, blob_str(other), false);
	compile_elsewhere("export const a = 1;", dir); /* finds it broken and writes it again */
	buf_init(&content, 1 << 20);
	CHECK_EQ(file_read(path, &content, NULL), ST_OK);
	CHECK(!str_eq(str_from(buf_str(&content), 32), blob_str(other)));
	write_file(path, blob_str(other), true);
	b = get("export const a = 1;", dir);
	CHECK(str_eq(blob_str(b), blob_str(other))); /* so the file was believed */
	buf_clear(&content);
	blob_unref(b);
	blob_unref(other);
	CHECK(unlink(path) == 0 && rmdir(dir_z) == 0);
}

/* The same bytes for the same source; syntax errors name the place and are not remembered. */
TEST(memory_cache)
{
	struct blob *a = get("export const x = 1;", STR_EMPTY),
		    *b = get("export const x = 1;", STR_EMPTY);
	struct err   e = err_in(NULL);

	CHECK(a == b);
	blob_unref(a);
	blob_unref(b);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(
		    bytecode_get(CODE_SCRIPT, S("convex:/s.js"), S("1;\n  ]"), STR_EMPTY, &a, &e),
		    ST_BAD_REQUEST);
		CHECK(str_starts(e.text, S("convex:/s.js:2:")));
	}
}

TEST_RUN(T(directory_cache), T(memory_cache))

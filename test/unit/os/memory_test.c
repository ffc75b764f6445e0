/* memory_test.c - limits of control groups. */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "os/file.h"
#include "os/memory.h"

/* The least limit on the way from the group up to the root counts; "max" and files that are
 * not there are none. */
TEST(the_least_limit_above_counts)
{
	static const struct {
		const char *why, *file, *content;
		const char *group;
		size_t      limit;
	} rows[] = {
		{ "no files at all", NULL, NULL, "/a/b", SIZE_MAX },
		{ "no limit", "/a/b/memory.max", "max\n", "/a/b", SIZE_MAX },
		{ "above", "/a/memory.max", "5000\n", "/a/b", 5000 },
		{ "its own", "/a/b/memory.max", "4000\n", "/a/b", 4000 },
		{ "of another group", "/c/memory.max", "10\n", "/a/b", 4000 },
		{ "the root's", "/memory.max", "3000\n", "/a/b", 3000 },
		{ "a container's, which sees itself as the root", NULL, NULL, "/", 3000 },
		{ "no number", "/a/b/memory.max", "x\n", "/a/b", 3000 },
		{ "version 1", "/memory/memory.limit_in_bytes", "2000\n", "", 2000 },
	};
	char        root[] = "/tmp/memory_test.XXXXXX", path[256];
	struct err  e = err_in(NULL);

	CHECK(mkdtemp(root) != NULL);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (rows[i].file) {
			snprintf(path, sizeof path, "%s%s", root, rows[i].file);
			*strrchr(path, '/') = '\0';
			CHECK_EQ(file_mkdirs(path, &e), ST_OK);
			snprintf(path, sizeof path, "%s%s", root, rows[i].file);
			CHECK_EQ(file_write_atomic(path, str_z(rows[i].content), &e), ST_OK);
		}
		print_message("  %s\n", rows[i].why);
		CHECK_EQ(memory_group_limit(root, rows[i].group), rows[i].limit);
	}
	for (size_t i = COUNT_OF(rows); i-- > 0;) {
		static const char *const folders[] = { "/a/b", "/a", "/c", "/memory" };

		if (rows[i].file) {
			snprintf(path, sizeof path, "%s%s", root, rows[i].file);
			unlink(path);
		}
		for (size_t k = 0; i == 0 && k < COUNT_OF(folders); k++) {
			snprintf(path, sizeof path, "%s%s", root, folders[k]);
			CHECK_EQ(rmdir(path), 0);
		}
	}
	CHECK_EQ(rmdir(root), 0);
	CHECK(memory_available() > 0 && memory_available() < SIZE_MAX);
}

TEST_RUN(T(the_least_limit_above_counts))

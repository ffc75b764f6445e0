/* memory.c - the machine's memory and the limits of control groups (cgroups(7), version 2, and
 * version 1 as far as containers show it).
 *
 * Thread: any.  Memory: none.
 */
#include "os/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/file.h"

#define PATH_BYTES 512

/* "max", and version 1's number near 2^63, mean none. */
static size_t
read_limit(const char *path)
{
	struct buf text;
	uint64_t   n = SIZE_MAX;

	buf_init(&text, 4096);
	if (!file_exists(path) || file_read(path, &text, NULL) != ST_OK ||
	    !str_to_u64(str_trim(buf_str(&text)), &n))
		n = SIZE_MAX;
	buf_clear(&text);
	return n;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t
memory_group_limit(const char *root, const char *group)
{
	char   path[PATH_BYTES];
	str    at = str_z(group);
	size_t slash, limit;

	snprintf(path, sizeof path, "%s/memory/memory.limit_in_bytes", root);
	limit = read_limit(path);
	for (;;) {
		snprintf(path, sizeof path, "%s%.*s/memory.max", root, STR_ARG(at));
		limit = least(limit, read_limit(path));
		if (!str_rfind_char(at, '/', &slash))
			return limit;
		at = str_head(at, slash);
	}
}

/* The line "0::/path" of /proc/self/cgroup. */
static void
own_group(char ret[PATH_BYTES])
{
	struct buf text;
	str        s;
	size_t     at;

	ret[0] = '\0';
	buf_init(&text, 1 << 16);
	if (file_read("/proc/self/cgroup", &text, NULL) == ST_OK &&
	    str_find(s = buf_str(&text), S("0::"), &at)) {
		s = str_from(s, at + 3);
		if (str_find_char(s, '\n', &at))
			s = str_head(s, at);
		snprintf(ret, PATH_BYTES, "%.*s", STR_ARG(s));
	}
	buf_clear(&text);
}

size_t
memory_available(void)
{
	char group[PATH_BYTES];
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	own_group(group);
	return least(pages > 0 && size > 0 ? (size_t)pages * (size_t)size : SIZE_MAX,
	    memory_group_limit("/sys/fs/cgroup", group));
}

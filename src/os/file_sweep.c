/* file_sweep.c - a folder as a cache: what was used longest ago goes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/file.h"

struct entry {
	const char     *path;
	struct timespec used;
	uint64_t        bytes;
};

struct entries {
	struct arena *arena;
	struct entry *items;
	size_t        n, room;
	uint64_t      bytes;
};

static void
add(struct entries *es, const char *path)
{
	struct stat sb;

	if (lstat(path, &sb) != 0 || !S_ISREG(sb.st_mode))
		return;
	if (es->n == es->room) {
		es->room = es->room ? es->room * 2 : 64;
		es->items = mem_realloc(es->items, es->room * sizeof *es->items);
	}
	es->items[es->n++] = (struct entry){ path, sb.st_mtim, (uint64_t)sb.st_size };
	es->bytes += (uint64_t)sb.st_size;
}

static int
oldest_first(const void *va, const void *vb)
{
	const struct timespec *a = &((const struct entry *)va)->used;
	const struct timespec *b = &((const struct entry *)vb)->used;

	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

status
file_sweep(const char *dir, uint64_t keep, struct err *e)
{
	struct entries es = { .arena = arena_new() };
	DIR           *d = opendir(dir);
	status         st = d ? ST_OK : err_os(e, "opendir", dir);

	for (struct dirent *de; d && (de = readdir(d)) != NULL;)
		add(&es, arena_fmt(es.arena, "%s/%s", dir, de->d_name).p);
	if (d)
		closedir(d);
	if (es.n)
		qsort(es.items, es.n, sizeof *es.items, oldest_first);
	for (size_t i = 0; i < es.n && es.bytes > keep; i++) {
		if (unlink(es.items[i].path) != 0 && errno != ENOENT)
			st = err_os(e, "unlink", es.items[i].path);
		es.bytes -= es.items[i].bytes;
	}
	mem_free(es.items);
	arena_free(es.arena);
	return st;
}

void
file_touch(const char *path)
{
	(void)utimensat(AT_FDCWD, path, NULL, 0);
}

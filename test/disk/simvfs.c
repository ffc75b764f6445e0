/* simvfs.c - see simvfs.h.
 *
 * Format: none.  Interfaces: https://www.sqlite.org/c3ref/io_methods.html, version 2.
 *
 * Thread: any; `lock` guards nodes, locks and regions.  Memory: nodes live until simvfs_use().
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "disk/simvfs.h"
#include "runtime/thread.h"

enum { PATH_ROOM = 512 };

/* What all connections to one file share. */
struct node {
	struct node *next;
	char         path[PATH_ROOM];
	int          shared; /* connections at SHARED or above */
	const void  *reserved, *pending, *exclusive;
	VEC(void *)  regions; /* of shared memory */
	int          shm_shared[SQLITE_SHM_NLOCK];
	const void  *shm_exclusive[SQLITE_SHM_NLOCK];
};

struct handle {
	sqlite3_file base;
	int          fd, level;
	bool         sync_dir, delete_on_close;
	unsigned     shm_held; /* shared locks, a bit each */
	struct node *node;
	char         path[PATH_ROOM];
};

static pthread_mutex_t    lock = PTHREAD_MUTEX_INITIALIZER;
static const struct disk *disk;
static struct node       *nodes;
static uint64_t           random_state;

static struct node *
node_of(const char *path)
{
	struct node *n = nodes;

	while (n && strcmp(n->path, path) != 0)
		n = n->next;
	if (n)
		return n;
	n = MEM_NEW(struct node);
	snprintf(n->path, sizeof n->path, "%s", path);
	n->next = nodes;
	return nodes = n;
}

static int
failure(int other)
{
	return errno == ENOSPC ? SQLITE_FULL : other;
}

/* --- files --- */

static int
vfs_close(sqlite3_file *file)
{
	struct handle *h = (struct handle *)file;

	disk->close(disk->arg, h->fd);
	if (h->delete_on_close)
		disk->unlink(disk->arg, h->path);
	return SQLITE_OK;
}

static int
vfs_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
	struct handle *h = (struct handle *)file;
	ssize_t        got = disk->pread(disk->arg, h->fd, p, (size_t)n, at);

	if (got == n)
		return SQLITE_OK;
	if (got < 0)
		return SQLITE_IOERR_READ;
	memset((char *)p + got, 0, (size_t)(n - got));
	return SQLITE_IOERR_SHORT_READ;
}

static int
vfs_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	struct handle *h = (struct handle *)file;

	while (n > 0) {
		ssize_t did = disk->pwrite(disk->arg, h->fd, p, (size_t)n, at);

		if (did <= 0)
			return failure(SQLITE_IOERR_WRITE);
		p = (const char *)p + did;
		at += did;
		n -= (int)did;
	}
	return SQLITE_OK;
}

static int
vfs_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct handle *h = (struct handle *)file;

	return disk->ftruncate(disk->arg, h->fd, size) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int
vfs_sync(sqlite3_file *file, int flags)
{
	struct handle *h = (struct handle *)file;

	(void)flags;
	if (disk->fdatasync(disk->arg, h->fd) != 0)
		return SQLITE_IOERR_FSYNC;
	if (h->sync_dir && disk->sync_dir(disk->arg, "/") != 0)
		return SQLITE_IOERR_DIR_FSYNC;
	h->sync_dir = false;
	return SQLITE_OK;
}

static int
vfs_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	struct handle *h = (struct handle *)file;
	off_t          size = disk->size(disk->arg, h->fd);

	if (size < 0)
		return SQLITE_IOERR_FSTAT;
	*ret = size;
	return SQLITE_OK;
}

/* https://www.sqlite.org/lockingv3.html */
static int
vfs_lock(sqlite3_file *file, int level)
{
	struct handle *h = (struct handle *)file;
	struct node   *n = h->node;
	MUTEX_GUARD(&lock);

	if (level <= h->level)
		return SQLITE_OK;
	if (h->level < SQLITE_LOCK_SHARED) {
		if (n->pending || n->exclusive)
			return SQLITE_BUSY;
		n->shared++;
		h->level = SQLITE_LOCK_SHARED;
	}
	if (level >= SQLITE_LOCK_RESERVED) {
		if (n->reserved && n->reserved != h)
			return SQLITE_BUSY;
		n->reserved = h;
		h->level = SQLITE_LOCK_RESERVED;
	}
	if (level == SQLITE_LOCK_EXCLUSIVE) {
		n->pending = h;
		h->level = SQLITE_LOCK_PENDING;
		if (n->shared > 1)
			return SQLITE_BUSY;
		n->exclusive = h;
		h->level = SQLITE_LOCK_EXCLUSIVE;
	}
	return SQLITE_OK;
}

static int
vfs_unlock(sqlite3_file *file, int level)
{
	struct handle *h = (struct handle *)file;
	struct node   *n = h->node;
	MUTEX_GUARD(&lock);

	if (level >= h->level)
		return SQLITE_OK;
	if (n->reserved == h)
		n->reserved = NULL;
	if (n->pending == h)
		n->pending = NULL;
	if (n->exclusive == h)
		n->exclusive = NULL;
	if (level == SQLITE_LOCK_NONE)
		n->shared--;
	h->level = level;
	return SQLITE_OK;
}

static int
vfs_reserved(sqlite3_file *file, int *ret)
{
	struct handle *h = (struct handle *)file;
	MUTEX_GUARD(&lock);

	*ret = h->node->reserved != NULL;
	return SQLITE_OK;
}

static int
vfs_control(sqlite3_file *file, int op, void *arg)
{
	(void)file;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int
vfs_sector(sqlite3_file *file)
{
	(void)file;
	return 512;
}

static int
vfs_traits(sqlite3_file *file)
{
	(void)file;
	return 0;
}

/* --- shared memory --- */

static int
shm_map(sqlite3_file *file, int region, int bytes, int extend, void volatile **ret)
{
	struct handle *h = (struct handle *)file;
	struct node   *n = h->node;
	MUTEX_GUARD(&lock);

	*ret = NULL;
	if ((size_t)region >= n->regions.n && !extend)
		return SQLITE_OK;
	while ((size_t)region >= n->regions.n)
		vec_push(&n->regions, mem_zalloc((size_t)bytes));
	*ret = n->regions.v[region];
	return SQLITE_OK;
}

static void
shm_unlock(struct handle *h, int i)
{
	struct node *n = h->node;

	if (n->shm_exclusive[i] == h)
		n->shm_exclusive[i] = NULL;
	if (h->shm_held & 1u << i)
		n->shm_shared[i]--;
	h->shm_held &= ~(1u << i);
}

static bool
shm_free(const struct handle *h, int i, bool exclusive)
{
	const struct node *n = h->node;
	int                others = n->shm_shared[i] - !!(h->shm_held & 1u << i);

	return (!n->shm_exclusive[i] || n->shm_exclusive[i] == h) && (!exclusive || others == 0);
}

static int
shm_lock(sqlite3_file *file, int from, int count, int flags)
{
	struct handle *h = (struct handle *)file;
	bool           exclusive = flags & SQLITE_SHM_EXCLUSIVE;
	MUTEX_GUARD(&lock);

	for (int i = from; i < from + count; i++)
		if ((flags & SQLITE_SHM_LOCK) && !shm_free(h, i, exclusive))
			return SQLITE_BUSY;
	for (int i = from; i < from + count; i++) {
		if (flags & SQLITE_SHM_UNLOCK) {
			shm_unlock(h, i);
		} else if (exclusive) {
			h->node->shm_exclusive[i] = h;
		} else if (!(h->shm_held & 1u << i)) {
			h->node->shm_shared[i]++;
			h->shm_held |= 1u << i;
		}
	}
	return SQLITE_OK;
}

static void
shm_barrier(sqlite3_file *file)
{
	MUTEX_GUARD(&lock);

	(void)file;
}

static int
shm_unmap(sqlite3_file *file, int delete)
{
	struct handle *h = (struct handle *)file;
	struct node   *n = h->node;
	MUTEX_GUARD(&lock);

	for (int i = 0; i < SQLITE_SHM_NLOCK; i++)
		shm_unlock(h, i);
	for (size_t i = 0; delete && i < n->regions.n; i++)
		mem_free(n->regions.v[i]);
	if (delete)
		n->regions.n = 0;
	return SQLITE_OK;
}

/* --- the file system --- */

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = vfs_close,
	.xRead = vfs_read,
	.xWrite = vfs_write,
	.xTruncate = vfs_truncate,
	.xSync = vfs_sync,
	.xFileSize = vfs_size,
	.xLock = vfs_lock,
	.xUnlock = vfs_unlock,
	.xCheckReservedLock = vfs_reserved,
	.xFileControl = vfs_control,
	.xSectorSize = vfs_sector,
	.xDeviceCharacteristics = vfs_traits,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};

static int
vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
	struct handle *h = (struct handle *)file;
	int            how = flags & SQLITE_OPEN_READWRITE ? O_RDWR : O_RDONLY;
	int journals = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;

	(void)vfs;
	memset(h, 0, sizeof *h);
	if (flags & SQLITE_OPEN_CREATE)
		how |= O_CREAT;
	snprintf(h->path, sizeof h->path, "%s", path ? path : "/temporary");
	h->sync_dir = (flags & SQLITE_OPEN_CREATE) && (flags & journals);
	h->fd = disk->open(disk->arg, h->path, how);
	if (h->fd < 0)
		return SQLITE_CANTOPEN;
	h->delete_on_close = flags & SQLITE_OPEN_DELETEONCLOSE;
	MUTEX_GUARD(&lock);
	h->node = node_of(h->path);
	h->base.pMethods = &methods;
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int
vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
	(void)vfs;
	if (disk->unlink(disk->arg, path) != 0)
		return errno == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
	if (sync_dir && disk->sync_dir(disk->arg, "/") != 0)
		return SQLITE_IOERR_DIR_FSYNC;
	return SQLITE_OK;
}

static int
vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret)
{
	(void)vfs;
	(void)flags;
	*ret = disk->access(disk->arg, path) == 0;
	return SQLITE_OK;
}

static int
vfs_full_path(sqlite3_vfs *vfs, const char *path, int n, char *ret)
{
	(void)vfs;
	snprintf(ret, (size_t)n, "%s", path);
	return SQLITE_OK;
}

static int
vfs_random(sqlite3_vfs *vfs, int n, char *ret)
{
	MUTEX_GUARD(&lock);

	(void)vfs;
	for (int i = 0; i < n; i++) {
		random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
		ret[i] = (char)(random_state >> 56);
	}
	return n;
}

static int
vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
	(void)vfs;
	return microseconds;
}

static int
vfs_time(sqlite3_vfs *vfs, double *ret)
{
	(void)vfs;
	*ret = 2460000.5;
	return SQLITE_OK;
}

static void
forget_nodes(void)
{
	MUTEX_GUARD(&lock);

	while (nodes) {
		struct node *next = nodes->next;

		for (size_t i = 0; i < nodes->regions.n; i++)
			mem_free(nodes->regions.v[i]);
		vec_clear(&nodes->regions);
		mem_free(nodes);
		nodes = next;
	}
}

void
simvfs_seed(uint64_t seed)
{
	random_state = seed;
	sqlite3_randomness(0, NULL);
}

void
simvfs_use(const struct disk *on)
{
	static sqlite3_vfs vfs = {
		.iVersion = 1,
		.szOsFile = sizeof(struct handle),
		.mxPathname = PATH_ROOM - 1,
		.zName = "simulated",
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_path,
		.xRandomness = vfs_random,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_time,
	};

	forget_nodes();
	if (disk)
		sqlite3_vfs_unregister(&vfs);
	disk = on;
	if (on)
		sqlite3_vfs_register(&vfs, 1);
}

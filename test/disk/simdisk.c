/* simdisk.c - see simdisk.h.
 *
 * A file is two images, what reads see (`now`) and what the disk has (`disk`), and a mark for each
 * sector in which they may differ.  Names are two lists of the same kind; a change of a name waits
 * in `changes` until its directory is synced.  All files are taken to lie in one directory.
 *
 * A sector that is written a second time before a sync may have reached the disk in between: by
 * chance its older content is put there then.
 *
 * Thread: any, under `lock`.  Memory: a file lives until the disk is freed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "disk/simdisk.h"
#include "runtime/thread.h"

struct file {
	struct file *next;
	uint8_t     *now, *disk; /* both `room` bytes, zeros behind their ends */
	uint8_t     *dirty;      /* per sector: `now` was written since the last sync */
	size_t       room, now_size, disk_size;
};

struct name {
	char        *path;
	struct file *file;
};

typedef VEC(struct name) names;

struct change {
	char        *path;
	struct file *file; /* NULL: the name is gone */
};

struct handle {
	struct file *file; /* NULL: closed */
};

struct simdisk {
	struct disk     table;
	pthread_mutex_t lock;
	uint64_t        random;
	struct file    *files;
	names           now, disk;
	VEC(struct change) changes;
	VEC(struct handle) handles;
	uint64_t        ops, crash_at;
	bool            crashed, failed, short_writes;
	unsigned        fail_ops;
	uint64_t        fail_in, fail_times;
	int             fail_error;
	size_t          limit;
};

enum { FIRST_HANDLE = 1000 };

/* xorshift64* (Vigna 2016) */
static uint64_t
draw(struct simdisk *d)
{
	d->random ^= d->random >> 12;
	d->random ^= d->random << 25;
	d->random ^= d->random >> 27;
	return d->random * 2685821657736338717ull;
}

static bool
chance(struct simdisk *d, unsigned percent)
{
	return draw(d) % 100 < percent;
}

static int
fail_with(int error)
{
	errno = error;
	return -1;
}

/* --- files --- */

static struct file *
file_new(struct simdisk *d)
{
	struct file *f = MEM_NEW(struct file);

	f->next = d->files;
	d->files = f;
	return f;
}

static uint8_t *
grown(uint8_t *old, size_t n, size_t room)
{
	uint8_t *p = mem_zalloc(room);

	if (n)
		memcpy(p, old, n);
	mem_free(old);
	return p;
}

static void
file_reserve(struct file *f, size_t size)
{
	size_t room = f->room ? f->room : 4096;

	if (size <= f->room)
		return;
	while (room < size)
		room *= 2;
	f->now = grown(f->now, f->room, room);
	f->disk = grown(f->disk, f->room, room);
	f->dirty = grown(f->dirty, f->room / SIMDISK_SECTOR, room / SIMDISK_SECTOR);
	f->room = room;
}

static size_t
sectors(size_t bytes)
{
	return (bytes + SIMDISK_SECTOR - 1) / SIMDISK_SECTOR;
}

static void
flush_sector(struct file *f, size_t i)
{
	memcpy(f->disk + i * SIMDISK_SECTOR, f->now + i * SIMDISK_SECTOR, SIMDISK_SECTOR);
}

static void
file_write(struct simdisk *d, struct file *f, const void *p, size_t n, size_t at)
{
	if (n == 0)
		return;
	file_reserve(f, at + n);
	for (size_t i = at / SIMDISK_SECTOR; i < sectors(at + n); i++) {
		if (f->dirty[i] && chance(d, 30))
			flush_sector(f, i);
		f->dirty[i] = 1;
	}
	memcpy(f->now + at, p, n);
	if (at + n > f->now_size)
		f->now_size = at + n;
}

static void
file_resize(struct file *f, size_t size)
{
	file_reserve(f, size);
	if (size < f->now_size) {
		memset(f->now + size, 0, f->now_size - size);
		for (size_t i = size / SIMDISK_SECTOR; i < sectors(f->now_size); i++)
			f->dirty[i] = 1;
	}
	f->now_size = size;
}

/* `percent` of the changed sectors reach the disk. */
static void
file_settle(struct simdisk *d, struct file *f, unsigned percent)
{
	for (size_t i = 0; i < f->room / SIMDISK_SECTOR; i++) {
		if (f->dirty[i] && chance(d, percent))
			flush_sector(f, i);
		f->dirty[i] = 0;
	}
	if (chance(d, percent))
		f->disk_size = f->now_size;
	/* What lies behind the end is not there. */
	if (f->disk_size < f->room)
		memset(f->disk + f->disk_size, 0, f->room - f->disk_size);
}

static void
file_lose_cache(struct file *f)
{
	if (f->room)
		memcpy(f->now, f->disk, f->room);
	f->now_size = f->disk_size;
}

/* --- names --- */

static struct name *
find(names *list, const char *path)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i].path, path) == 0)
			return &list->v[i];
	return NULL;
}

static char *
copy(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(mem_alloc(n), s, n);
}

static void
set_name(names *list, const char *path, struct file *file)
{
	struct name *n = find(list, path);

	if (n && file) {
		n->file = file;
	} else if (n) {
		mem_free(n->path);
		*n = list->v[--list->n];
	} else if (file) {
		vec_push(list, ((struct name){ copy(path), file }));
	}
}

static void
change_name(struct simdisk *d, const char *path, struct file *file)
{
	set_name(&d->now, path, file);
	vec_push(&d->changes, ((struct change){ copy(path), file }));
}

/* The first n changes of names reach the disk, the others are forgotten. */
static void
settle_names(struct simdisk *d, size_t n)
{
	for (size_t i = 0; i < d->changes.n; i++) {
		if (i < n)
			set_name(&d->disk, d->changes.v[i].path, d->changes.v[i].file);
		mem_free(d->changes.v[i].path);
	}
	d->changes.n = 0;
}

static size_t
used(const struct simdisk *d)
{
	size_t sum = 0;

	for (size_t i = 0; i < d->now.n; i++)
		sum += d->now.v[i].file->now_size;
	return sum;
}

/* --- operations --- */

/* Counts an operation; false with errno if it is not to happen. */
static bool
begin(struct simdisk *d, enum simdisk_op op)
{
	d->ops++;
	if (d->crash_at && d->ops >= d->crash_at)
		d->crashed = true;
	if (d->crashed) {
		errno = EIO;
		return false;
	}
	if (!(d->fail_ops & op) || d->fail_times == 0)
		return true;
	if (d->fail_in > 1) {
		d->fail_in--;
		return true;
	}
	d->fail_times--;
	d->failed = true;
	errno = d->fail_error;
	return false;
}

static struct file *
of_handle(struct simdisk *d, int fd)
{
	size_t i = (size_t)fd - FIRST_HANDLE;

	if (fd < FIRST_HANDLE || i >= d->handles.n || !d->handles.v[i].file) {
		errno = EBADF;
		return NULL;
	}
	return d->handles.v[i].file;
}

static int
new_handle(struct simdisk *d, struct file *f)
{
	for (size_t i = 0; i < d->handles.n; i++) {
		if (d->handles.v[i].file)
			continue;
		d->handles.v[i].file = f;
		return FIRST_HANDLE + (int)i;
	}
	vec_push(&d->handles, (struct handle){ f });
	return FIRST_HANDLE + (int)d->handles.n - 1;
}

static int
sim_open(void *arg, const char *path, int flags)
{
	struct simdisk *d = arg;
	struct name    *n;
	struct file    *f;
	MUTEX_GUARD(&d->lock);

	if (!begin(d, SIMDISK_OPEN))
		return -1;
	n = find(&d->now, path);
	if (n && (flags & O_EXCL))
		return fail_with(EEXIST);
	if (!n && !(flags & O_CREAT))
		return fail_with(ENOENT);
	f = n ? n->file : file_new(d);
	if (!n)
		change_name(d, path, f);
	return new_handle(d, f);
}

static int
sim_close(void *arg, int fd)
{
	struct simdisk *d = arg;
	MUTEX_GUARD(&d->lock);

	if (!of_handle(d, fd))
		return -1;
	d->handles.v[fd - FIRST_HANDLE].file = NULL;
	return 0;
}

static ssize_t
sim_pread(void *arg, int fd, void *p, size_t n, off_t at)
{
	struct simdisk *d = arg;
	struct file    *f;
	size_t          from = (size_t)at;
	MUTEX_GUARD(&d->lock);

	f = of_handle(d, fd);
	if (!f || !begin(d, SIMDISK_READ))
		return -1;
	if (from >= f->now_size)
		return 0;
	if (n > f->now_size - from)
		n = f->now_size - from;
	if (n)
		memcpy(p, f->now + from, n);
	return (ssize_t)n;
}

/* What of n bytes at `at` fits on the disk. */
static size_t
fitting(struct simdisk *d, const struct file *f, size_t n, size_t at)
{
	size_t taken = used(d), end = at + n;

	if (end <= f->now_size || taken + (end - f->now_size) <= d->limit)
		return n;
	end = f->now_size + (d->limit > taken ? d->limit - taken : 0);
	return end > at ? end - at : 0;
}

static ssize_t
sim_pwrite(void *arg, int fd, const void *p, size_t n, off_t at)
{
	struct simdisk *d = arg;
	struct file    *f;
	MUTEX_GUARD(&d->lock);

	f = of_handle(d, fd);
	if (!f)
		return -1;
	if (!begin(d, SIMDISK_WRITE)) {
		int why = errno;

		/* Of a write that was under way a part may have happened. */
		if (d->crash_at && d->ops == d->crash_at)
			file_write(d, f, p, (size_t)(draw(d) % (n + 1)), (size_t)at);
		return fail_with(why);
	}
	if (d->short_writes && n > 1 && chance(d, 50))
		n = 1 + (size_t)(draw(d) % (n - 1));
	n = fitting(d, f, n, (size_t)at);
	if (n == 0)
		return fail_with(ENOSPC);
	file_write(d, f, p, n, (size_t)at);
	return (ssize_t)n;
}

static int
sim_fdatasync(void *arg, int fd)
{
	struct simdisk *d = arg;
	struct file    *f;
	MUTEX_GUARD(&d->lock);

	f = of_handle(d, fd);
	if (!f)
		return -1;
	if (begin(d, SIMDISK_SYNC)) {
		file_settle(d, f, 100);
		return 0;
	}
	if (!d->crashed) {
		int why = errno;

		file_settle(d, f, 50);
		return fail_with(why);
	}
	return -1;
}

static int
sim_ftruncate(void *arg, int fd, off_t size)
{
	struct simdisk *d = arg;
	struct file    *f;
	MUTEX_GUARD(&d->lock);

	f = of_handle(d, fd);
	if (!f || !begin(d, SIMDISK_RESIZE))
		return -1;
	file_resize(f, (size_t)size);
	return 0;
}

static int
sim_fallocate(void *arg, int fd, off_t size)
{
	struct simdisk *d = arg;
	struct file    *f;
	MUTEX_GUARD(&d->lock);

	f = of_handle(d, fd);
	if (!f || !begin(d, SIMDISK_RESIZE))
		return -1;
	if ((size_t)size <= f->now_size)
		return 0;
	if (used(d) + ((size_t)size - f->now_size) > d->limit)
		return fail_with(ENOSPC);
	file_resize(f, (size_t)size);
	return 0;
}

static off_t
sim_size(void *arg, int fd)
{
	struct simdisk *d = arg;
	struct file    *f;
	MUTEX_GUARD(&d->lock);

	f = of_handle(d, fd);
	return f ? (off_t)f->now_size : -1;
}

static int
sim_rename(void *arg, const char *from, const char *to)
{
	struct simdisk *d = arg;
	struct name    *n;
	struct file    *f;
	MUTEX_GUARD(&d->lock);

	if (!begin(d, SIMDISK_NAME))
		return -1;
	n = find(&d->now, from);
	if (!n)
		return fail_with(ENOENT);
	f = n->file;
	change_name(d, to, f);
	change_name(d, from, NULL);
	return 0;
}

static int
sim_unlink(void *arg, const char *path)
{
	struct simdisk *d = arg;
	MUTEX_GUARD(&d->lock);

	if (!begin(d, SIMDISK_NAME))
		return -1;
	if (!find(&d->now, path))
		return fail_with(ENOENT);
	change_name(d, path, NULL);
	return 0;
}

static int
sim_access(void *arg, const char *path)
{
	struct simdisk *d = arg;
	MUTEX_GUARD(&d->lock);

	return find(&d->now, path) ? 0 : fail_with(ENOENT);
}

static int
sim_sync_dir(void *arg, const char *dir)
{
	struct simdisk *d = arg;
	MUTEX_GUARD(&d->lock);

	(void)dir;
	if (!begin(d, SIMDISK_NAME))
		return -1;
	settle_names(d, d->changes.n);
	return 0;
}

static int
sim_list(void *arg, const char *dir, void (*fn)(void *fn_arg, const char *name), void *fn_arg)
{
	struct simdisk *d = arg;
	MUTEX_GUARD(&d->lock);

	(void)dir;
	if (!begin(d, SIMDISK_READ))
		return -1;
	for (size_t i = 0; i < d->now.n; i++) {
		const char *slash = strrchr(d->now.v[i].path, '/');

		fn(fn_arg, slash ? slash + 1 : d->now.v[i].path);
	}
	return 0;
}

/* --- the disk --- */

struct simdisk *
simdisk_new(uint64_t seed)
{
	struct simdisk *d = MEM_NEW(struct simdisk);

	must(pthread_mutex_init(&d->lock, NULL) == 0);
	d->random = seed * 0x9e3779b97f4a7c15ull + 1;
	d->limit = SIZE_MAX;
	d->table = (struct disk){ d, sim_open, sim_close, sim_pread, sim_pwrite, sim_fdatasync,
		sim_ftruncate, sim_fallocate, sim_size, sim_rename, sim_unlink, sim_access,
		sim_sync_dir, sim_list };
	return d;
}

static void
names_clear(names *list)
{
	for (size_t i = 0; i < list->n; i++)
		mem_free(list->v[i].path);
	vec_clear(list);
}

void
simdisk_free(struct simdisk *d)
{
	while (d->files) {
		struct file *next = d->files->next;

		mem_free(d->files->now);
		mem_free(d->files->disk);
		mem_free(d->files->dirty);
		mem_free(d->files);
		d->files = next;
	}
	settle_names(d, 0);
	names_clear(&d->now);
	names_clear(&d->disk);
	vec_clear(&d->changes);
	vec_clear(&d->handles);
	pthread_mutex_destroy(&d->lock);
	mem_free(d);
}

const struct disk *
simdisk_table(struct simdisk *d)
{
	return &d->table;
}

void
simdisk_crash_in(struct simdisk *d, uint64_t n)
{
	MUTEX_GUARD(&d->lock);

	d->crash_at = n ? d->ops + n : 0;
}

bool
simdisk_crashed(struct simdisk *d)
{
	MUTEX_GUARD(&d->lock);

	return d->crashed;
}

static void
lose_power(struct simdisk *d)
{
	static const unsigned odds[] = { 0, 10, 50, 90, 100 };
	unsigned percent = odds[draw(d) % COUNT_OF(odds)];

	for (struct file *f = d->files; f; f = f->next) {
		file_settle(d, f, percent);
		file_lose_cache(f);
	}
	settle_names(d, (size_t)(draw(d) % (d->changes.n + 1)));
	names_clear(&d->now);
	d->now = (names){ 0 };
	for (size_t i = 0; i < d->disk.n; i++)
		set_name(&d->now, d->disk.v[i].path, d->disk.v[i].file);
}

void
simdisk_boot(struct simdisk *d, bool power)
{
	MUTEX_GUARD(&d->lock);

	if (power)
		lose_power(d);
	for (size_t i = 0; i < d->handles.n; i++)
		d->handles.v[i].file = NULL;
	d->crashed = d->failed = false;
	d->crash_at = d->fail_times = 0;
}

void
simdisk_fail_in(struct simdisk *d, unsigned ops, uint64_t n, int error, uint64_t times)
{
	MUTEX_GUARD(&d->lock);

	d->fail_ops = ops;
	d->fail_in = n;
	d->fail_error = error;
	d->fail_times = times;
	d->failed = false;
}

void
simdisk_short_writes(struct simdisk *d, bool on)
{
	MUTEX_GUARD(&d->lock);

	d->short_writes = on;
}

void
simdisk_limit(struct simdisk *d, size_t bytes)
{
	MUTEX_GUARD(&d->lock);

	d->limit = bytes;
}

size_t
simdisk_used(struct simdisk *d)
{
	MUTEX_GUARD(&d->lock);

	return used(d);
}

uint64_t
simdisk_ops(struct simdisk *d)
{
	MUTEX_GUARD(&d->lock);

	return d->ops;
}

bool
simdisk_failed(struct simdisk *d)
{
	MUTEX_GUARD(&d->lock);

	return d->failed;
}

unsigned
simdisk_files(struct simdisk *d)
{
	MUTEX_GUARD(&d->lock);

	return (unsigned)d->now.n;
}

/* simdisk.h - a disk in memory that keeps only what was synced, fails where it is told to and
 * can be full.
 *
 * Files are rows of sectors.  A write changes what reads see; the disk itself has the change
 * after a successful sync of the file.  At a crash each sector that was written since then is
 * there or not, by chance and independently of all others; sizes likewise.  Names (create, rename,
 * unlink) reach the disk in the order in which they were changed, all of them with sync_dir().
 * After a failed sync the changed sectors count as clean: reads still see them, no later sync
 * writes them (Linux behaves so).
 *
 * Every operation that could fail or be the last one has a number: simdisk_crash_in() and
 * simdisk_fail_in() count them.  After the crash every call fails with EIO until
 * simdisk_boot(); descriptors do not survive it.  Everything is decided by one seed.
 *
 * Thread: any; one lock.  Memory: the disk's.
 */
#ifndef TEST_DISK_SIMDISK_H
#define TEST_DISK_SIMDISK_H

#include <stdbool.h>
#include <stdint.h>

#include "os/disk.h"

enum { SIMDISK_SECTOR = 512 };

struct simdisk;

enum simdisk_op {
	SIMDISK_OPEN = 1,
	SIMDISK_READ = 2,
	SIMDISK_WRITE = 4,
	SIMDISK_SYNC = 8,
	SIMDISK_RESIZE = 16, /* ftruncate, fallocate */
	SIMDISK_NAME = 32,   /* rename, unlink, sync_dir */
	SIMDISK_ALL = 63,
};

struct simdisk    *simdisk_new(uint64_t seed);
void               simdisk_free(struct simdisk *d);
const struct disk *simdisk_table(struct simdisk *d);

/* The n-th operation from now is cut short by a crash; 0: none. */
void simdisk_crash_in(struct simdisk *d, uint64_t n);
bool simdisk_crashed(struct simdisk *d);
/* Power: what was not synced is lost by chance.  Otherwise the process alone died. */
void simdisk_boot(struct simdisk *d, bool power);

/* The n-th operation of those kinds from now fails with this error, and so do the `times` - 1
 * after it. */
void simdisk_fail_in(struct simdisk *d, unsigned ops, uint64_t n, int error, uint64_t times);
/* Writes are short by chance. */
void simdisk_short_writes(struct simdisk *d, bool on);
/* All files together may have so many bytes; SIZE_MAX: no limit. */
void   simdisk_limit(struct simdisk *d, size_t bytes);
size_t simdisk_used(struct simdisk *d);

uint64_t simdisk_ops(struct simdisk *d); /* so far */
/* True once a failure that was asked for has happened. */
bool     simdisk_failed(struct simdisk *d);
unsigned simdisk_files(struct simdisk *d);

#endif

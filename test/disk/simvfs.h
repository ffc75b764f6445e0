/* simvfs.h - SQLite on a struct disk (simdisk.h), as the default VFS of the test process.
 *
 * Locks and shared memory exist within the process only; simvfs_use() forgets them, as a crash
 * does.  What SQLite's own VFS does about durability is done here too: the directory is synced with
 * the first sync of a journal that was opened to be created.
 *
 * Thread: use while no database is open; the VFS itself any.  Memory: static.
 */
#ifndef TEST_DISK_SIMVFS_H
#define TEST_DISK_SIMVFS_H

#include <stdint.h>

#include "os/disk.h"

/* From now on SQLite opens files on `disk`; NULL: on the real one again. */
void simvfs_use(const struct disk *disk);
/* SQLite's random numbers begin anew.  Not between two lives of one database: they tell the
 * frames of its log from older ones. */
void simvfs_seed(uint64_t seed);

#endif

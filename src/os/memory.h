/* memory.h - how much memory this process may use.
 *
 * Thread: any.
 */
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

#include <stddef.h>

/* The machine's, or less where a control group says so. */
size_t memory_available(void);
/* The least limit of `group` (a path as in /proc/self/cgroup) and the groups above it, in the
 * hierarchies mounted at `root`; SIZE_MAX: none. */
size_t memory_group_limit(const char *root, const char *group);

#endif

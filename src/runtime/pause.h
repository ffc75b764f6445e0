/* pause.h - named places where another thread may come in between.
 *
 *     pause_point("commit: checked");
 *
 * Marks a place where being overtaken would hurt if the code around it were wrong.  Costs one
 * load and a branch; the simulator sets the hook and lets its dice decide whether the caller
 * is put aside there, also while it holds a lock (test/sim/fiber.c).
 *
 * Thread: any; the hook is set before other threads start.
 */
#ifndef RUNTIME_PAUSE_H
#define RUNTIME_PAUSE_H

#include <stddef.h>

extern void (*pause_hook)(const char *name); /* NULL but in simulations and tests */

static inline void
pause_point(const char *name)
{
	if (__builtin_expect(pause_hook != NULL, 0))
		pause_hook(name);
}

#endif

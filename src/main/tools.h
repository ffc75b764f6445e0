/* tools.h - the commands that work on a database that no server has open.
 *
 * Thread: the main thread.
 */
#ifndef MAIN_TOOLS_H
#define MAIN_TOOLS_H

#include "main/flags.h"

/* What scripts rely on: the exit codes of `fresnel verify`. */
enum { VERIFY_SOUND = 0, VERIFY_DAMAGED = 1, VERIFY_NOT_DONE = 2 };

/* Prints what it finds to stdout.  *ret_code is set in any case. */
NODISCARD status verify_command(const struct flags *f, int *ret_code, struct err *e);
NODISCARD status compact_command(const struct flags *f, struct err *e);

#endif

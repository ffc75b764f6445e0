/* server.h - a whole server: made, run and ended.
 *
 * Thread: the main thread.
 */
#ifndef MAIN_SERVER_H
#define MAIN_SERVER_H

#include "main/core.h"
#include "main/flags.h"

/* Serves until SIGTERM or SIGINT and drains; a second signal ends the process at once.  Fails
 * only before it listens. */
NODISCARD status server_run(const struct flags *f, struct err *e);

#endif

/* log.h - the server's own diagnostic lines on stderr.
 *
 * Not the console output of functions (that is admin/'s function log).  One line per
 * call, "2026-01-01T00:00:00.000Z level text".  Library code below main/ logs only
 * what no caller can be told about.
 *
 * Thread: any; a line is written with one write(2).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/must.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level least);
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
/* Writes the line and ends the process: for states that only a restart can mend. */
NORETURN void log_fatal(const char *fmt, ...) PRINTF(1, 2);

#endif

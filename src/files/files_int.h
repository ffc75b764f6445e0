/* files_int.h - what files.c (objects) and pump.c (the thread) share.
 *
 * Thread: stated in the files.
 */
#ifndef FILES_FILES_INT_H
#define FILES_FILES_INT_H

#include <pthread.h>

#include "base/hash.h"
#include "files/files.h"
#include "runtime/thread.h"

#define FILES_PATH_MAX 4096

struct pump;

struct files {
	char             dir[FILES_PATH_MAX];
	const struct os *os;
	/* The pumps that can go on, and the thread that moves them; started by the first one. */
	pthread_mutex_t  lock;
	pthread_cond_t   work;
	struct pump     *ready, **ready_end;
	struct pump     *all; /* doubly linked, so that closing finds the ones that wait */
	struct thread   *thread;
	bool             stop;
};

/* An object that is being written. */
struct file_sink {
	int              fd; /* -1: not open */
	struct sha256   *hash;
	struct file_info info;
};

NODISCARD status file_sink_open(struct files *f, struct file_sink *s, struct err *e);
NODISCARD status file_sink_write(struct file_sink *s, str bytes, struct err *e);
/* Durable under its name, or gone. */
NODISCARD status file_sink_finish(struct files *f, struct file_sink *s, struct err *e);
void             file_sink_abort(struct files *f, struct file_sink *s);

int files_open_object(struct files *f, str key); /* a descriptor; -1: there is none */

void pumps_init(struct files *f);
void pumps_stop(struct files *f); /* again: no effect */
void pumps_clear(struct files *f);

#endif

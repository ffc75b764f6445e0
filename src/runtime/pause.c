/* pause.c - the hook of pause.h.  Thread: any.  Memory: none. */
#include "runtime/pause.h"

void (*pause_hook)(const char *name);

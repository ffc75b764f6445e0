/* shapes.h - what the tables hold, for GET /api/shapes2 (spec 03 section 9).
 *
 * Thread: any.  Memory: the caller's buf.
 */
#ifndef ADMIN_SHAPES_H
#define ADMIN_SHAPES_H

#include "base/buf.h"
#include "database/catalog.h"

/* {"<table>": <shape>, ...} of the active user tables of one component; zero: the root. */
void shapes_write(const struct catalog *c, struct uid component, struct buf *out);

#endif

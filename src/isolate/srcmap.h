/* srcmap.h - source maps (revision 3), read only.
 *
 * Thread: one owner.  Memory: malloced; source names live as long as the map.
 */
#ifndef ISOLATE_SRCMAP_H
#define ISOLATE_SRCMAP_H

#include "base/str.h"

struct srcmap;

/* NULL if the text is not a source map with a "mappings" string. */
struct srcmap *srcmap_parse(str json);
void           srcmap_free(struct srcmap *m); /* NULL is fine */
/* Where generated position line:col came from, all numbers from 0.  False: nowhere. */
bool srcmap_find(const struct srcmap *m, uint32_t line, uint32_t col, str *ret_source,
    uint32_t *ret_line, uint32_t *ret_col);

#endif

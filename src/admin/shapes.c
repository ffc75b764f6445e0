/* shapes.c - the shapes of tables (spec 03 section 9).
 *
 * Each is Unknown, which every client takes for "no suggestion": a shape that is inferred from
 * all documents would have to be kept up by every commit, and only the dashboard's schema
 * suggestions would read it.
 *
 * Thread: any.  Memory: the caller's buf.
 */
#include "admin/shapes.h"

#include "base/json.h"

void
shapes_write(const struct catalog *c, struct uid component, struct buf *out)
{
	const struct table_info *t;

	buf_add_byte(out, '{');
	for (size_t i = 0; (t = catalog_table_at(c, i)) != NULL; i++) {
		if (t->system || t->state != TABLE_ACTIVE || !uid_eq(t->component, component))
			continue;
		json_comma(out);
		json_write_str(out, t->name);
		buf_add(out, S(":{\"type\":\"Unknown\"}"));
	}
	buf_add_byte(out, '}');
}

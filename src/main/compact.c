/* compact.c - `fresnel compact`: the database without its history, in a file of the size that
 * it needs.
 *
 * Thread: the main thread.  Memory: none of its own.
 */
#include <stdio.h>

#include "database/verify.h"
#include "main/tools.h"
#include "os/os.h"

status
compact_command(const struct flags *f, struct err *e)
{
	uint64_t             start = os_mono_ns(os_real());
	struct compact_sizes sizes;

	TRY(db_compact(f->db_path, &sizes, e));
	printf("%s: %.1f MB before, %.1f MB after, %.1f s\n", f->db_path,
	    (double)sizes.before / 1e6, (double)sizes.after / 1e6,
	    (double)(os_mono_ns(os_real()) - start) / 1e9);
	return ST_OK;
}

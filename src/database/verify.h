/* verify.h - the database as a whole, checked and made small, while no server has it open.
 *
 * `fresnel verify` and `fresnel compact`.
 *
 * Thread: one.  Memory: the catalogue; see store/verify.h for the rest.
 */
#ifndef DATABASE_VERIFY_H
#define DATABASE_VERIFY_H

#include "store/compact.h"
#include "store/verify.h"

struct db_verify {
	struct verify_counts counts;
	uint64_t             indexes;  /* checked */
	uint64_t             entries;  /* of them */
	uint64_t             problems; /* 0: sound */
	ts_t                 repeatable; /* max_repeatable_ts; 0: none */
};

/* Calls fn for each of the first `max_lines` problems.  Fails only if it could not look:
 * as verify_open(). */
NODISCARD status db_verify(const char *path, size_t max_lines, void (*fn)(void *arg, str text),
    void *arg, struct db_verify *ret, struct err *e);

/* Verifies first: OPERATIONAL DatabaseDamaged with the first problem. */
NODISCARD status db_compact(const char *path, struct compact_sizes *ret, struct err *e);

#endif

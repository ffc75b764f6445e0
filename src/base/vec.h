/* vec.h - a growing array.
 *
 *     VEC(struct row) rows = {0};
 *     vec_push(&rows, r);   rows.v[i]   rows.n   vec_clear(&rows);
 *
 * Thread: one owner.  Memory: malloc, doubling; vec_clear() frees.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include "base/mem.h"

#define VEC(type)                                                             \
	struct {                                                              \
		type  *v;                                                     \
		size_t n;                                                     \
		size_t cap;                                                   \
	}

#define vec_reserve(vec, want)                                                \
	do {                                                                  \
		if ((vec)->cap < (want)) {                                    \
			size_t cap_ = (vec)->cap ? (vec)->cap : 8;            \
			while (cap_ < (want))                                 \
				cap_ *= 2;                                    \
			(vec)->v = mem_realloc((vec)->v, cap_ * sizeof *(vec)->v); \
			(vec)->cap = cap_;                                    \
		}                                                             \
	} while (0)

#define vec_push(vec, item)                                                   \
	do {                                                                  \
		vec_reserve((vec), (vec)->n + 1);                             \
		(vec)->v[(vec)->n++] = (item);                                \
	} while (0)

#define vec_clear(vec)                                                        \
	do {                                                                  \
		mem_free((vec)->v);                                           \
		(vec)->v = NULL;                                              \
		(vec)->n = (vec)->cap = 0;                                    \
	} while (0)

#endif

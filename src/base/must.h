/* must.h - assertions that stay on in release builds.
 *
 * must() guards what a bug in our own code could break; what the outside world
 * can break is an error (err.h).  debug_must() is for checks too expensive for
 * production; the sanitizer and simulator builds turn it on.
 *
 * Thread: any.  Memory: none.
 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

#define NODISCARD    __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NORETURN     __attribute__((noreturn))
#define LIKELY(x)    __builtin_expect(!!(x), 1)
#define UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define COUNT_OF(a)  (sizeof(a) / sizeof *(a))

/* Prints file, line and the broken expectation to stderr, then aborts. */
NORETURN void must_failed(const char *file, int line, const char *what);

#define must(cond)                                                            \
	do {                                                                  \
		if (UNLIKELY(!(cond)))                                        \
			must_failed(__FILE__, __LINE__, #cond);               \
	} while (0)

#ifdef FRESNEL_DEBUG
#define debug_must(cond) must(cond)
#else
#define debug_must(cond) ((void)0)
#endif

#endif

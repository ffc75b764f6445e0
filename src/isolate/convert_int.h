/* convert_int.h - a conversion in progress, and how it fails: for convert*.c only.
 *
 * Thread: the isolate's.  Memory: the C stack.
 */
#ifndef ISOLATE_CONVERT_INT_H
#define ISOLATE_CONVERT_INT_H

#include "isolate/ctx_int.h"

/* Where a value sits, for the texts: linked from the inside out, on the C stack. */
struct at {
	const struct at *up;
	JSValueConst     container;
	str              key;   /* p == NULL: an element */
	uint32_t         index;
};

struct conv {
	JSContext    *ctx;
	struct pack  *p;
	JSValueConst  root;
	int           depth;
	struct err    err;  /* a violated limit; else failures are pending exceptions */
};

/* convert_error.c: each throws the npm package's text and returns false. */
bool conv_fail_undefined(struct conv *c, const struct at *at);
bool conv_fail_collection(struct conv *c, const char *type, JSValueConst v, const struct at *at);
bool conv_fail_not_simple(struct conv *c, JSValueConst v, const struct at *at);
/* validateObjectField(): true if the name is good. */
bool conv_check_name(struct conv *c, str k);
/* Is v.constructor.name this text?  -1 with an exception. */
int  js_constructor_named(JSContext *ctx, JSValueConst v, const char *want);

#endif

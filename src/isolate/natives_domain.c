/* natives_domain.c - domain names in ASCII: UTS 46 as the WHATWG URL Standard asks for it (section
 * 3.3, "domain to ASCII"), by ICU.
 *
 * Thread: the isolate's.  Memory: the name in the host's memory until it is a string.
 */
#include <unicode/uidna.h>

#include "isolate/guard.h"
#include "isolate/natives_int.h"

#define OPTIONS (UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_NONTRANSITIONAL_TO_ASCII)

/* Neither hyphens nor lengths are checked: "CheckHyphens" and "VerifyDnsLength" are false. */
#define FORGIVEN                                                                                   \
	((uint32_t)(UIDNA_ERROR_EMPTY_LABEL | UIDNA_ERROR_LABEL_TOO_LONG |                         \
		    UIDNA_ERROR_DOMAIN_NAME_TOO_LONG | UIDNA_ERROR_LEADING_HYPHEN |                \
		    UIDNA_ERROR_TRAILING_HYPHEN | UIDNA_ERROR_HYPHEN_3_4))

/* ICU's name is as long as it says, but may not fit: then *code is an overflow. */
static int32_t
to_ascii(str in, char *out, int32_t room, UErrorCode *code)
{
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	UIDNA    *idna;
	int32_t   n;

	*code = U_ZERO_ERROR;
	idna = uidna_openUTS46(OPTIONS, code);
	n = uidna_nameToASCII_UTF8(idna, in.p, (int32_t)in.n, out, room, &info, code);
	uidna_close(idna);
	if (info.errors & ~FORGIVEN && *code != U_BUFFER_OVERFLOW_ERROR)
		*code = U_INVALID_CHAR_FOUND;
	return n;
}

static JSValue
string_of(JSContext *ctx, str in)
{
	UErrorCode code;
	char       small[256], *large;
	int32_t    n = to_ascii(in, small, sizeof small, &code);
	JSValue    ret;

	if (code != U_BUFFER_OVERFLOW_ERROR)
		return U_FAILURE(code) ? JS_NewString(ctx, "")
				       : JS_NewStringLen(ctx, small, (size_t)n);
	large = mem_alloc((size_t)n + 1);
	UNDO_ON_JUMP(undo_mem, &large);
	n = to_ascii(in, large, n + 1, &code);
	ret = U_FAILURE(code) ? JS_NewString(ctx, "") : JS_NewStringLen(ctx, large, (size_t)n);
	mem_free(large);
	return ret;
}

/* domainToAscii(name): "" if it is no domain name.  The caller bounds its length. */
static JSValue
native_to_ascii(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
	size_t      n;
	const char *name = JS_ToCStringLen(ctx, &n, js_arg(argc, argv, 0));
	JSValue     ret;

	(void)this_val, (void)magic;
	if (!name)
		return JS_EXCEPTION;
	ret = string_of(ctx, str_of(name, n));
	JS_FreeCString(ctx, name);
	return ret;
}

const struct method natives_domain[] = {
	{ "domainToAscii", 1, native_to_ascii, 0 },
};
const size_t natives_domain_count = COUNT_OF(natives_domain);

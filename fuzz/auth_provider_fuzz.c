/* auth_provider_fuzz.c - what an auth provider may answer: Cache-Control, and a key set.
 *
 * The input is a line for the header and the key set behind it.
 */
#include <string.h>

#include "auth/auth_int.h"
#include "base/http_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const tokens[] = { "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.e30.c2lnbmF0dXJl",
		"eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.e30.c2lnbmF0dXJl",
		"eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl" };
	struct arena *a = arena_new();
	struct json  *set;
	struct jwt    t;
	str           text = str_of(data, size), line = text;
	size_t        end;

	if (str_find_char(text, '\n', &end)) {
		line = str_head(text, end);
		text = str_from(text, end + 1);
	}
	(void)http_freshness(line, line);
	if (json_parse(a, text, &set, NULL) == ST_OK) {
		for (size_t i = 0; i < COUNT_OF(tokens); i++) {
			must(jwt_parse(a, str_z(tokens[i]), &t, NULL) == ST_OK);
			(void)jwks_has_key(set, &t);
			must(jwks_verify(set, &t, S("RS256"), NULL) != ST_OK);
			must(jwks_verify(set, &t, S("ES256"), NULL) != ST_OK);
			must(jwks_verify(set, &t, (str){ NULL, 0 }, NULL) != ST_OK);
		}
	}
	arena_free(a);
	return 0;
}

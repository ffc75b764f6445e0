/* auth_key_fuzz.c - whatever stands in an Authorization header, an adminKey or a JWT. */
#include <string.h>

#include "auth/auth.h"
#include "auth/auth_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct auth *a;
	struct identity    *id = NULL;
	struct admin_token  t;
	struct err          e = err_in(NULL);
	str                 text = str_of(data, size);

	if (!a)
		a = auth_new(
		    &(struct auth_opts){ .instance_name = S("carnitas"), .os = os_real() });
	if (auth_header(a, text, (str){ NULL, 0 }, &id, &e) == ST_OK)
		identity_unref(id);
	if (auth_admin_key(a, text, NULL, &id, &e) == ST_OK)
		identity_unref(id);
	if (auth_user_token(a, text, &id, &e) == ST_OK)
		identity_unref(id);
	if (admin_token_parse(text, &t)) /* the name lies inside the input */
		must(!t.has_name || t.name.n <= size);
	return 0;
}

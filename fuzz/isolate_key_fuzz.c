/* isolate_key_fuzz.c - keys as crypto.subtle imports them: DER, raw bytes and the numbers of a
 * JSON Web Key (isolate/key.h).
 *
 * The first byte chooses the kind of key, whether it is private and how it comes.  What is taken
 * must be whole: OpenSSL opens it, and written as DER it reads back the same.
 *
 * Thread: libFuzzer's.
 */
#include "base/must.h"
#include "isolate/key.h"

static void
check_whole(const struct key_out *packed, enum key_kind kind, bool is_private)
{
	uint8_t        der[KEY_BYTES_MAX], again[KEY_BYTES_MAX];
	struct key_out out = { .p = der, .max = sizeof der };
	struct key_out back = { .p = again, .max = sizeof again };
	struct key     k;
	EVP_PKEY      *pkey;

	must(key_unpack(str_of(packed->p, packed->n), kind, is_private, &k));
	pkey = key_open(&k);
	must(pkey != NULL);
	EVP_PKEY_free(pkey);
	key_to_der(&k, &out);
	must(!out.overflow && key_from_der(str_of(der, out.n), kind, is_private, &k));
	must(key_complete(&k, &back));
	must(str_eq(str_of(again, back.n), str_of(packed->p, packed->n)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t        bytes[KEY_BYTES_MAX];
	struct key_out out = { .p = bytes, .max = sizeof bytes };
	struct key     k;
	enum key_kind  kind;
	bool           is_private, ok;
	str            in;

	if (!n)
		return 0;
	kind = (enum key_kind)(data[0] % KEY_KINDS);
	is_private = data[0] & 0x40;
	in = str_of(data + 1, n - 1);
	ok = data[0] & 0x80 ? key_unpack(in, kind, is_private, &k)
	                    : key_from_der(in, kind, is_private, &k);
	if (ok && key_complete(&k, &out))
		check_whole(&out, kind, is_private);
	return 0;
}

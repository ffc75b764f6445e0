/* value_id_fuzz.c - any bytes as a document id or a bare internal id.
 *
 * Ids have one spelling: what parses must format to the same text.
 */
#include "value/id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str          text = str_of(data, size);
	struct docid id;
	struct uid   uid;
	struct buf   b;
	char         again[ID_TEXT_MAX];

	if (id_parse(text, &id, NULL) == ST_OK)
		must(str_eq(str_of(again, id_format(id, again)), text));
	if (uid_parse(text, &uid)) {
		buf_init(&b, 100);
		uid_format(&b, uid);
		must(str_eq(buf_str(&b), text));
		buf_clear(&b);
	}
	return 0;
}

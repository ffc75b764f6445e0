/* value_schema_fuzz.c - any bytes as a schema and as a validator.
 *
 * What is accepted must survive its stored form; a validator includes itself and judges
 * any value, its own definition for one, without falling over.
 */
#include "value/schema.h"
#include "value/vjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_schema(struct arena *a, const struct json *j)
{
	const struct schema *s, *back;
	struct err           e = err_in(a);
	struct buf           b;

	if (schema_parse(a, j, &s, &e) != ST_OK)
		return;
	buf_init(&b, BUF_MAX_DEFAULT);
	schema_json(&b, s);
	must(schema_parse_stored(a, buf_str(&b), &back, NULL) == ST_OK);
	must(schema_equal(s, back));
	buf_clear(&b);
}

static void
check_validator(struct arena *a, const struct json *j)
{
	const struct validator *v, *back;
	struct err              e = err_in(a);
	struct val              value;
	struct buf              b;

	if (validator_parse(a, j, &v, &e) != ST_OK)
		return;
	buf_init(&b, BUF_MAX_DEFAULT);
	validator_json(&b, v);
	must(validator_parse_text(a, buf_str(&b), &back, NULL) == ST_OK);
	must(validator_equal(v, back) && validator_subset(v, back));
	if (vjson_parse(a, buf_str(&b), VJSON_PLAIN, &value, NULL) == ST_OK) {
		status st = validator_check(v, value, NULL, &e);

		must(st == validator_check(v, value, NULL, NULL));
	}
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct json  *j;

	if (json_parse(a, str_of(data, size), &j, NULL) == ST_OK) {
		check_schema(a, j);
		check_validator(a, j);
	}
	arena_free(a);
	return 0;
}

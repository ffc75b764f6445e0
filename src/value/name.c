/* name.c - which names a field and an identifier may have (spec 03 section 1.3).
 *
 * Thread: any.  Memory: texts go to the caller's err.
 */
#include "value/pack.h"
#include "value/print.h"

#define CODE_FIELD "InvalidFieldName"
#define CODE_IDENT "InvalidIdentifier"
#define IDENT_MAX  64

/* "{head}{s}{mid}{char at}{tail}"; with `char_first` the character comes before s. */
static status
bad_char(struct err *e, const char *code, str s, size_t at, bool char_first, const char *head,
    const char *mid, const char *tail)
{
	struct buf b;

	if (!e)
		return ST_BAD_REQUEST;
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, head);
	if (char_first)
		print_char(&b, str_from(s, at));
	else
		buf_add(&b, s);
	buf_addz(&b, mid);
	if (char_first)
		buf_add(&b, s);
	else
		print_char(&b, str_from(s, at));
	buf_addz(&b, tail);
	err_set_str(e, ST_BAD_REQUEST, code, buf_str(&b));
	buf_clear(&b);
	return ST_BAD_REQUEST;
}

/* All in 0x20..0x7E?  Eight at a time: a byte is out of range if its top bit is set, if
 * taking 0x20 away borrows, or if adding one carries into the top bit. */
static bool
all_printable(str name)
{
	const uint64_t ones = 0x0101010101010101u;
	const uint64_t tops = 0x8080808080808080u;
	uint64_t       w;
	size_t         i = 0;

	for (; i + 8 <= name.n; i += 8) {
		memcpy(&w, name.p + i, 8);
		if ((w | (w - ones * 0x20) | (w + ones)) & tops)
			return false;
	}
	for (; i < name.n; i++)
		if ((uint8_t)name.p[i] < 0x20 || (uint8_t)name.p[i] > 0x7E)
			return false;
	return true;
}

status
field_name_check(str name, struct err *e)
{
	if (name.n && name.p[0] == '$')
		return err_set(e, ST_BAD_REQUEST, CODE_FIELD,
		    "Field name %.*s starts with '$', which is reserved.", STR_ARG(name));
	if (!all_printable(name)) {
		size_t bad = 0;

		while ((uint8_t)name.p[bad] >= 0x20 && (uint8_t)name.p[bad] <= 0x7E)
			bad++;
		return bad_char(e, CODE_FIELD, name, bad, false, "Field name ",
		    " has invalid character ",
		    ": Field names can only contain non-control ASCII characters");
	}
	if (name.n > FIELD_NAME_MAX)
		return err_set(e, ST_BAD_REQUEST, CODE_FIELD,
		    "Field name is too long (%zu > maximum %d)", name.n, FIELD_NAME_MAX);
	return ST_OK;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

status
identifier_check(str s, struct err *e)
{
	bool underscores_only = true;

	if (s.n == 0)
		return err_set(e, ST_BAD_REQUEST, CODE_IDENT, "Identifier cannot be empty");
	if (!is_letter(s.p[0]) && s.p[0] != '_')
		return bad_char(e, CODE_IDENT, s, 0, true, "Invalid first character ", " in ",
		    ": Identifiers must start with an alphabetic character or underscore");
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!is_letter(c) && c != '_' && (c < '0' || c > '9'))
			return bad_char(e, CODE_IDENT, s, i, false, "Identifier ",
			    " has invalid character ",
			    ": Identifiers can only contain alphanumeric characters or "
			    "underscores");
		if (c != '_')
			underscores_only = false;
	}
	if (s.n > IDENT_MAX)
		return err_set(e, ST_BAD_REQUEST, CODE_IDENT,
		    "Identifier is too long (%zu > maximum %d)", s.n, IDENT_MAX);
	if (underscores_only)
		return err_set(e, ST_BAD_REQUEST, CODE_IDENT,
		    "Identifier %.*s cannot have exclusively underscores", STR_ARG(s));
	return ST_OK;
}

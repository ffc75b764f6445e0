/* path.c - function paths and request ids (spec 01 sections 1.2 and 11.4).
 *
 * Thread: any.  Memory: the caller's arena.
 */
#include "base/enc.h"
#include "base/hash.h"
#include "functions/call.h"

#define COMPONENT_MAX 64 /* bytes of one part of a module path, ".js" included */

static status
path_bad(struct err *e, str path, const char *why)
{
	return err_set(e, ST_BAD_REQUEST, "BadConvexFunctionIdentifier",
	    "%.*s is not a valid path to a Convex function. %s", STR_ARG(path), why);
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* An export name; NULL if it is one, else what is wrong. */
static const char *
export_fault(str s)
{
	bool other = false;

	if (s.n == 0)
		return "Function name cannot be empty.";
	if (s.n > COMPONENT_MAX)
		return "Function name is too long (maximum 64).";
	if (s.p[0] >= '0' && s.p[0] <= '9')
		return "Function names must start with an alphabetic character or underscore.";
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '_')
			return "Function names can only contain alphanumeric characters or "
			       "underscores.";
		other = other || s.p[i] != '_';
	}
	return other ? NULL : "Function name cannot have exclusively underscores.";
}

static const char *
part_fault(str s)
{
	bool alnum = false;

	if (s.n > COMPONENT_MAX)
		return "Path component is too long (maximum 64).";
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '.')
			return "Path component can only contain alphanumeric characters, "
			       "underscores, or periods.";
		alnum = alnum || is_alnum(s.p[i]);
	}
	return alnum ? NULL : "Path component must have at least one alphanumeric character.";
}

/* Appends the cleaned module path to `out`: empty and interior "." parts fall away. */
static const char *
module_clean(str module, struct buf *out)
{
	bool first = true;

	if (module.n == 0)
		return "Module path cannot be empty.";
	if (module.p[0] == '/')
		return "Module paths must be relative.";
	for (size_t at = 0; at <= module.n;) {
		size_t len;
		str    part;

		if (!str_find_char(str_from(module, at), '/', &len))
			len = module.n - at;
		part = str_of(module.p + at, len);
		at += len + 1;
		if (str_eq(part, S("..")) || (first && str_eq(part, S("."))))
			return "Module paths cannot contain '..' or start with '.'.";
		first = false;
		if (part.n == 0 || str_eq(part, S(".")))
			continue;
		if (out->n)
			buf_add_byte(out, '/');
		buf_add(out, part);
	}
	return out->n ? NULL : "Module path cannot be empty.";
}

/* Gives the last part its ".js" and checks every part of the result. */
static const char *
module_finish(struct buf *out)
{
	str    all = buf_str(out);
	str    last = all;
	size_t at;

	if (str_rfind_char(all, '/', &at))
		last = str_from(all, at + 1);
	if (str_rfind_char(last, '.', &at) && at > 0) {
		if (!str_eq(str_from(last, at), S(".js")))
			return "Module path has an extension that isn't 'js'.";
	} else {
		buf_add(out, S(".js"));
	}
	all = buf_str(out);
	for (size_t from = 0; from < all.n;) {
		const char *why;
		size_t      len;

		if (!str_find_char(str_from(all, from), '/', &len))
			len = all.n - from;
		if ((why = part_fault(str_of(all.p + from, len))) != NULL)
			return why;
		from += len + 1;
	}
	return NULL;
}

status
fn_path_parse(struct arena *a, str path, str *ret_canonical, struct err *e)
{
	struct buf  out;
	const char *why;
	size_t      at;
	str         module = path;
	str         name = S("default");

	if (str_rfind_char(path, ':', &at)) {
		module = str_head(path, at);
		name = str_from(path, at + 1);
	}
	buf_init(&out, BUF_MAX_DEFAULT);
	if ((why = export_fault(name)) == NULL && (why = module_clean(module, &out)) == NULL)
		why = module_finish(&out);
	if (!why)
		*ret_canonical = arena_fmt(a, "%.*s:%.*s", STR_ARG(buf_str(&out)), STR_ARG(name));
	buf_clear(&out);
	return why ? path_bad(e, path, why) : ST_OK;
}

str
fn_path_display(struct arena *a, str canonical)
{
	str    module = canonical;
	str    name = S("default");
	size_t at;

	if (str_rfind_char(canonical, ':', &at)) {
		module = str_head(canonical, at);
		name = str_from(canonical, at + 1);
	}
	if (str_ends(module, S(".js")))
		module = str_head(module, module.n - 3);
	if (str_eq(name, S("default")))
		return arena_str(a, module);
	return arena_fmt(a, "%.*s:%.*s", STR_ARG(module), STR_ARG(name));
}

static str
hex16(struct arena *a, const uint8_t bytes[8])
{
	struct buf b;
	str        s;

	buf_init(&b, 16);
	enc_hex(&b, str_of(bytes, 8));
	s = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return s;
}

str
fn_request_id(struct arena *a, const struct os *os)
{
	uint8_t random[8];

	os_random(os, random, sizeof random);
	return hex16(a, random);
}

str
fn_session_request_id(struct arena *a, str session_id, uint32_t request)
{
	uint8_t digest[32];

	sha256(arena_fmt(a, "%.*s|%u", STR_ARG(session_id), request), digest);
	return hex16(a, digest);
}

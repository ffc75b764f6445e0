/* messages.c - what clients send, from JSON to structs (spec 01 section 3).
 *
 * Strict about what the server depends on, deaf to everything else: unknown fields are
 * ignored, and so are Event messages whatever they hold.  The fuzz target of this folder
 * lives on this file.
 *
 * Thread: the loop thread.  Memory: the caller's arena; texts point into the message.
 */
#include <math.h>

#include "base/enc.h"
#include "sync/session_int.h"

static status
bad(struct err *e, const char *what)
{
	return err_set(e, ST_BAD_REQUEST, "WSMessageInvalidJson",
	    "Received Invalid JSON on websocket: %s", what);
}

static status
need_u32(const struct json *j, const char *field, uint32_t *ret, struct err *e)
{
	if (json_get_u32(j, field, ret))
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "WSMessageInvalidJson",
	    "Received Invalid JSON on websocket: missing or invalid field `%s`", field);
}

static status
need_str(const struct json *j, const char *field, str *ret, struct err *e)
{
	if (json_get_str(j, field, ret))
		return ST_OK;
	return err_set(e, ST_BAD_REQUEST, "WSMessageInvalidJson",
	    "Received Invalid JSON on websocket: missing or invalid field `%s`", field);
}

/* null and absent are the same; anything else must be a string. */
static status
maybe_str(const struct json *j, const char *field, str *ret, struct err *e)
{
	if (json_is_null(json_get(j, field)))
		return ST_OK;
	return need_str(j, field, ret, e);
}

/* Any of the standard text forms of a UUID: hyphenated, plain, braced, urn. */
static bool
uuid_parse(struct arena *a, str s, str *ret)
{
	static const uint8_t hyphens[] = { 8, 13, 18, 23 };
	bool                 ok = true;
	size_t               h = 0;
	bool                 hyphenated;
	char                *out;

	if (str_eq_nocase(str_head(s, 9), S("urn:uuid:")))
		s = str_from(s, 9);
	else if (s.n == 38 && s.p[0] == '{' && s.p[37] == '}')
		s = str_of(s.p + 1, 36);
	hyphenated = s.n == 36;
	if (!hyphenated && s.n != 32)
		return false;
	out = arena_alloc(a, 37);
	for (size_t i = 0, o = 0; i < s.n && ok; i++) {
		char c = s.p[i];

		if (hyphenated && h < COUNT_OF(hyphens) && i == hyphens[h]) {
			ok = c == '-';
			h++;
			continue;
		}
		if (o == 8 || o == 13 || o == 18 || o == 23)
			out[o++] = '-';
		out[o++] = c >= 'A' && c <= 'F' ? (char)(c + 32) : c;
		ok = (c >= '0' && c <= '9') || (out[o - 1] >= 'a' && out[o - 1] <= 'f');
	}
	*ret = str_of(out, 36);
	return ok;
}

static status
connect_parse(struct arena *a, const struct json *j, struct client_message *ret, struct err *e)
{
	str      id, max = { NULL, 0 };
	uint32_t count;

	TRY(need_str(j, "sessionId", &id, e));
	TRY(need_u32(j, "connectionCount", &count, e));
	TRY(maybe_str(j, "maxObservedTimestamp", &max, e));
	if (!uuid_parse(a, id, &ret->session_id))
		return bad(e, "invalid sessionId");
	if (max.p) {
		if (!dec_u64_base64(max, &ret->max_ts) || ret->max_ts > TS_MAX)
			return bad(e, "invalid maxObservedTimestamp");
		ret->has_max_ts = true;
	}
	ret->has_client_ts = json_get_num(j, "clientTs", &ret->client_ts_ms) &&
	    fabs(ret->client_ts_ms) < 1e15;
	return ST_OK;
}

static bool
component_name_ok(str s)
{
	bool letters = false;

	if (s.n == 0 || s.n > 64 || (s.p[0] >= '0' && s.p[0] <= '9'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z');

		if (!alnum && c != '_')
			return false;
		letters = letters || alnum;
	}
	return letters;
}

/* Identifiers joined by slashes; empty: the root (spec 01 section 1.2). */
static status
component_check(str path, struct err *e)
{
	if (path.n == 0)
		return ST_OK;
	for (size_t at = 0; at <= path.n;) {
		size_t len;

		if (!str_find_char(str_from(path, at), '/', &len))
			len = path.n - at;
		if (!component_name_ok(str_of(path.p + at, len)))
			return err_set(e, ST_BAD_REQUEST, "InvalidComponentPath",
			    "Invalid component path '%.*s'", STR_ARG(path));
		at += len + 1;
	}
	return ST_OK;
}

static status
call_parse(struct arena *a, const struct json *j, bool args_needed, struct client_call *ret,
    struct err *e)
{
	const struct json *args = json_get(j, "args");
	str                path;
	struct err         why = err_in(a);

	TRY(need_str(j, "udfPath", &path, e));
	ret->component = STR_EMPTY;
	TRY(maybe_str(j, "componentPath", &ret->component, e));
	TRY(component_check(ret->component, e));
	if (fn_path_parse(a, path, &ret->path, &why) != ST_OK)
		return err_set(e, ST_BAD_REQUEST, "WSMessageInvalidJson",
		    "Received Invalid JSON on websocket: %.*s", STR_ARG(why.text));
	if (!args && args_needed)
		return bad(e, "missing field `args`");
	ret->args = args ? args->source : S("null");
	return ST_OK;
}

static status
mod_parse(struct arena *a, const struct json *j, struct client_mod *ret, struct err *e)
{
	str type;

	TRY(need_str(j, "type", &type, e));
	TRY(need_u32(j, "queryId", &ret->id, e));
	if (str_eq(type, S("Remove")))
		return ST_OK;
	if (!str_eq(type, S("Add")))
		return bad(e, "unknown modification");
	ret->add = true;
	ret->call.journal = (str){ NULL, 0 };
	TRY(maybe_str(j, "journal", &ret->call.journal, e));
	return call_parse(a, j, false, &ret->call, e);
}

static status
modify_parse(struct arena *a, const struct json *j, struct client_message *ret, struct err *e)
{
	const struct json *mods = json_get(j, "modifications");

	TRY(need_u32(j, "baseVersion", &ret->base, e));
	TRY(need_u32(j, "newVersion", &ret->next, e));
	if (!mods || mods->kind != JSON_ARRAY)
		return bad(e, "missing or invalid field `modifications`");
	ret->nmods = mods->n;
	ret->mods = ARENA_ARRAY(a, struct client_mod, mods->n + 1);
	for (size_t i = 0; i < mods->n; i++)
		TRY(mod_parse(a, &mods->items[i], &ret->mods[i], e));
	return ST_OK;
}

static status
request_parse(struct arena *a, const struct json *j, struct client_message *ret, struct err *e)
{
	TRY(need_u32(j, "requestId", &ret->request, e));
	return call_parse(a, j, true, &ret->call, e);
}

static status
auth_parse(const struct json *j, struct client_message *ret, struct err *e)
{
	str type;

	TRY(need_u32(j, "baseVersion", &ret->base, e));
	TRY(need_str(j, "tokenType", &type, e));
	if (str_eq(type, S("None"))) {
		ret->token_kind = TOKEN_NONE;
		return ST_OK;
	}
	if (str_eq(type, S("User")))
		ret->token_kind = TOKEN_USER;
	else if (str_eq(type, S("Admin")))
		ret->token_kind = TOKEN_ADMIN;
	else
		return bad(e, "unknown tokenType");
	TRY(need_str(j, "value", &ret->token, e));
	if (ret->token_kind == TOKEN_USER)
		return ST_OK;
	ret->impersonating = json_get(j, "impersonating");
	if (json_is_null(ret->impersonating))
		ret->impersonating = json_get(j, "acting_as");
	if (json_is_null(ret->impersonating))
		ret->impersonating = NULL;
	return ST_OK;
}

static bool
kind_named(str type, enum client_kind *ret)
{
	static const struct {
		const char      *name;
		enum client_kind kind;
	} names[] = {
		{ "Connect", CLIENT_CONNECT }, { "ModifyQuerySet", CLIENT_MODIFY },
		{ "Mutation", CLIENT_MUTATION }, { "Action", CLIENT_ACTION },
		{ "Authenticate", CLIENT_AUTH }, { "Event", CLIENT_EVENT },
	};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (str_eq(type, str_z(names[i].name))) {
			*ret = names[i].kind;
			return true;
		}
	}
	return false;
}

status
client_message_parse(struct arena *a, str text, struct client_message *ret, struct err *e)
{
	struct err   why = err_in(a);
	struct json *j;
	str          type;

	*ret = (struct client_message){ 0 };
	if (json_parse(a, text, &j, &why) != ST_OK)
		return err_set(e, ST_BAD_REQUEST, "WSMessageInvalidJson",
		    "Received Invalid JSON on websocket: %.*s", STR_ARG(why.text));
	TRY(need_str(j, "type", &type, e));
	if (!kind_named(type, &ret->kind))
		return bad(e, "unknown message type");
	switch (ret->kind) {
	case CLIENT_CONNECT:
		return connect_parse(a, j, ret, e);
	case CLIENT_MODIFY:
		return modify_parse(a, j, ret, e);
	case CLIENT_MUTATION:
	case CLIENT_ACTION:
		return request_parse(a, j, ret, e);
	case CLIENT_AUTH:
		return auth_parse(j, ret, e);
	case CLIENT_EVENT:
		return ST_OK;
	}
	return ST_OK;
}

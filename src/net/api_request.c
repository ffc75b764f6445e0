/* api_request.c - what handlers ask of a request: client, identity, parameters, JSON body.
 *
 * Thread: whoever holds the exchange.  Memory: its arena.
 */
#include "base/url.h"
#include "net/api_int.h"

#define IP_MAX         256 /* spec 01 section 2.2 */
#define USER_AGENT_MAX 512

struct client
api_client(const struct http_exchange *x)
{
	struct client c = { .name = STR_EMPTY };

	/* checked before the handler ran */
	if (client_parse(http_header(x, "convex-client"), &c, NULL) != ST_OK)
		return (struct client){ .name = STR_EMPTY };
	return c;
}

str
api_param(struct http_exchange *x, const char *name)
{
	str value;

	return url_param(x->arena, x->query, str_z(name), &value) ? value : (str){ NULL, 0 };
}

status
api_identity(struct api *a, struct http_exchange *x, struct identity **ret, struct err *e)
{
	return auth_header(
	    a->opts.auth, http_header(x, "authorization"), api_param(x, "adminKey"), ret, e);
}

status
api_admin(struct api *a, struct http_exchange *x, const char *op, struct identity **ret,
    struct err *e)
{
	struct identity *id = NULL;
	status           st;

	TRY(api_identity(a, x, &id, e));
	st = identity_require(id, op, e);
	if (st != ST_OK) {
		identity_unref(id);
		return st;
	}
	*ret = id;
	return ST_OK;
}

static status
bad_body(struct err *e, const char *what, str detail)
{
	return err_set(e, ST_BAD_REQUEST, "BadJsonBody", "%s%.*s", what, STR_ARG(detail));
}

/* application/json or application/<anything>+json, whatever the parameters. */
static bool
is_json_type(str type)
{
	size_t at;

	if (str_find_char(type, ';', &at))
		type = str_head(type, at);
	type = str_trim(type);
	if (str_eq_nocase(type, S("application/json")))
		return true;
	return type.n > 17 && str_eq_nocase(str_head(type, 12), S("application/")) &&
	    str_eq_nocase(str_from(type, type.n - 5), S("+json"));
}

/* Members at the top level of valid JSON text: the parser drops repeated ones silently. */
static size_t
count_members(str text)
{
	size_t depth = 0, commas = 0;
	bool   in_string = false;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			depth--;
		} else if (c == ',' && depth == 1) {
			commas++;
		}
	}
	return commas + 1;
}

status
api_json(struct http_exchange *x, const struct json **ret, struct err *e)
{
	struct err   why = err_in(x->arena);
	struct json *j = NULL;

	if (!is_json_type(http_header(x, "content-type")))
		return bad_body(
		    e, "Expected request with `Content-Type: application/json`", STR_EMPTY);
	if (json_parse(x->arena, buf_str(&x->body), &j, &why) != ST_OK)
		return bad_body(e, "Failed to parse the request body as JSON: ", why.text);
	if (j->kind != JSON_OBJECT)
		return bad_body(e,
		    "Failed to deserialize the JSON body into the target type: expected an "
		    "object",
		    STR_EMPTY);
	if (j->n > 0 && count_members(j->source) != j->n)
		return bad_body(e,
		    "Failed to deserialize the JSON body into the target type: duplicate "
		    "field",
		    STR_EMPTY);
	*ret = j;
	return ST_OK;
}

status
api_members_missing(const char *name, struct err *e)
{
	return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
	    "Failed to deserialize the JSON body into the target type: missing field `%s`", name);
}

status
api_member_str(const struct json *body, const char *name, str *ret, struct err *e)
{
	if (!json_get(body, name))
		return api_members_missing(name, e);
	if (!json_get_str(body, name, ret))
		return err_set(e, ST_BAD_REQUEST, "BadJsonBody",
		    "Failed to deserialize the JSON body into the target type: %s: expected a "
		    "string",
		    name);
	return ST_OK;
}

str
api_client_ip(const struct http_exchange *x)
{
	str    forwarded = http_header(x, "x-forwarded-for");
	size_t comma;

	if (str_find_char(forwarded, ',', &comma))
		forwarded = str_head(forwarded, comma);
	forwarded = str_trim(forwarded);
	if (forwarded.n > 0)
		return str_head(forwarded, IP_MAX);
	return x->peer.n > 0 ? x->peer : (str){ NULL, 0 };
}

str
api_user_agent(const struct http_exchange *x)
{
	str agent = http_header(x, "user-agent");

	return agent.p ? str_head(agent, USER_AGENT_MAX) : agent;
}

/* api_meta.c - small answers that need no core (spec 01 section 15).
 *
 * Thread: the loop thread.  Memory: the exchange's.
 */
#include "auth/auth.h"
#include "auth/sign_jwt.h"
#include "base/json.h"
#include "net/api_int.h"
#include "runtime/metrics.h"

void
api_banner(struct api *a, struct http_exchange *x)
{
	(void)a;
	http_reply_text(x, 200,
	    S("This Convex deployment is running. See https://docs.convex.dev/."));
	api_done(x);
}

void
api_instance_name(struct api *a, struct http_exchange *x)
{
	http_reply_text(x, 200, a->opts.instance_name); /* no newline: the CLI compares it all */
	api_done(x);
}

void
api_version(struct api *a, struct http_exchange *x)
{
	http_reply_text(x, 200, a->opts.version);
	api_done(x);
}

void
api_echo(struct api *a, struct http_exchange *x)
{
	struct buf body = x->body;

	(void)a;
	x->body = x->reply; /* both stay owned by the exchange */
	x->reply = body;
	x->content_type = "application/octet-stream";
	x->status = 200;
	api_done(x);
}

void
api_metrics(struct api *a, struct http_exchange *x)
{
	if (a->opts.metrics) {
		metrics_print(&x->reply);
		x->content_type = "text/plain; version=0.0.4";
		x->status = 200;
	} else {
		http_reply_error(
		    x, 404, S("MetricsDisabled"), S("Metrics are disabled on this server."));
	}
	api_done(x);
}

/* Whoever got a token of ctx.auth.signJwt() finds its key here (spec 05 section 5.6). */
void
api_jwks(struct api *a, struct http_exchange *x)
{
	jwt_signer_jwks(auth_signer(a->opts.auth), &x->reply);
	http_reply_json(x, 200);
	api_done(x);
}

/* OpenID Connect discovery, for verifiers that know the issuer only. */
void
api_openid(struct api *a, struct http_exchange *x)
{
	struct buf jwks;

	buf_init(&jwks, BUF_MAX_DEFAULT);
	buf_add(&jwks, a->opts.origin);
	buf_addz(&jwks, "/.well-known/jwks.json");
	buf_addz(&x->reply, "{\"issuer\":");
	json_write_str(&x->reply, a->opts.origin);
	buf_addz(&x->reply, ",\"jwks_uri\":");
	json_write_str(&x->reply, buf_str(&jwks));
	buf_addz(&x->reply, ",\"response_types_supported\":[\"id_token\"],"
	                    "\"subject_types_supported\":[\"public\"],"
	                    "\"id_token_signing_alg_values_supported\":[\"ES256\"]}");
	buf_clear(&jwks);
	http_reply_json(x, 200);
	api_done(x);
}

void
api_check_admin_key(struct api *a, struct http_exchange *x)
{
	/* what a read-only key may do (spec 02 section 15.5) */
	static const char *const read_only_ops = "[\"ViewEnvironmentVariables\",\"ViewLogs\","
	    "\"ViewMetrics\",\"ViewIntegrations\",\"ViewData\",\"ViewBackups\",\"DownloadBackups\","
	    "\"RunInternalQueries\",\"RunTestQuery\",\"ViewAuditLog\",\"ViewUsageLimits\","
	    "\"ViewUsage\"]";
	struct identity *id = NULL;
	struct err       e = err_in(x->arena);
	status           st = api_identity(a, x, &id, &e);

	if (st == ST_OK && id->kind != IDENTITY_ADMIN && id->kind != IDENTITY_ADMIN_AS_USER)
		st = err_set(&e, ST_FORBIDDEN, "BadDeployKey",
		    "The provided deploy key was invalid for this deployment. Double check that "
		    "the "
		    "environment this key was generated for matches the desired deployment.");
	if (st == ST_OK) {
		buf_fmt(&x->reply, "{\"success\":true,\"allowedOps\":%s,\"isReadOnly\":%s}",
		    id->read_only ? read_only_ops : "[]", id->read_only ? "true" : "false");
		http_reply_json(x, 200);
	} else {
		http_reply_err(x, &e);
	}
	identity_unref(id);
	api_done(x);
}

void
api_debug_event(struct api *a, struct http_exchange *x)
{
	(void)a;
	http_reply_empty(x, 200);
	api_done(x);
}

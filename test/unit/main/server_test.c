/* server_test.c - the whole server over its sockets: what a plain HTTP client sees.
 *
 * The server runs in a child process with a database of its own; its exit code is part of the
 * test (the sanitizer's leak report would change it).
 */
#include "test.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/mem.h"
#include "main/server.h"

#define SECRET "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974"

static char         folder[] = "/tmp/fresnel-server-test-XXXXXX";
static char         db_path[128], storage[128];
static struct flags flags;
static pid_t        child;
static struct buf   key; /* an admin key */

/* --- a small blocking client --- */

struct answer {
	int        code;
	struct buf head, body;
};

static int
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t          n = sizeof a;
	int                fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
	must(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
	close(fd);
	return ntohs(a.sin_port);
}

static int
dial(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int                fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
send_all(int fd, str s)
{
	while (s.n > 0) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		assert_true(n > 0);
		s = str_from(s, (size_t)n);
	}
}

static bool
receive(int fd, struct buf *b)
{
	char    chunk[65536];
	ssize_t n = recv(fd, chunk, sizeof chunk, 0);

	if (n <= 0)
		return false;
	buf_add(b, str_of(chunk, (size_t)n));
	return true;
}

/* One reply: a head and as many bytes as it announces. */
static void
read_answer(int fd, struct answer *ret)
{
	struct buf b;
	size_t     end, at, length = 0;

	buf_init(&b, 1 << 28);
	buf_init(&ret->head, 1 << 20);
	buf_init(&ret->body, 1 << 28);
	while (!str_find(buf_str(&b), S("\r\n\r\n"), &end))
		assert_true(receive(fd, &b));
	buf_add(&ret->head, str_head(buf_str(&b), end + 2));
	if (str_find(buf_str(&ret->head), S("Content-Length: "), &at))
		length = (size_t)strtoul(ret->head.p + at + 16, NULL, 10);
	while (b.n < end + 4 + length)
		assert_true(receive(fd, &b));
	buf_add(&ret->body, str_head(str_from(buf_str(&b), end + 4), length));
	ret->code = (int)strtol(ret->head.p + 9, NULL, 10);
	buf_clear(&b);
}

static void
answer_clear(struct answer *a)
{
	buf_clear(&a->head);
	buf_clear(&a->body);
}

/* headers: complete lines.  body NULL: none. */
static void
ask(int port, const char *verb, const char *path, const char *headers, const char *body,
    struct answer *ret)
{
	struct buf b;
	int        fd = dial(port);

	assert_true(fd >= 0);
	buf_init(&b, 1 << 28);
	buf_fmt(&b, "%s %s HTTP/1.1\r\nHost: x\r\n%s", verb, path, headers);
	if (body)
		buf_fmt(&b, "Content-Length: %zu\r\n", strlen(body));
	buf_addz(&b, "\r\n");
	if (body)
		buf_addz(&b, body);
	send_all(fd, buf_str(&b));
	read_answer(fd, ret);
	close(fd);
	buf_clear(&b);
}

static bool
has(const struct buf *b, const char *text)
{
	size_t at;

	return str_find(buf_str(b), str_z(text), &at);
}

/* --- the server --- */

static void
nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void
start(void)
{
	child = fork();
	must(child >= 0);
	if (child == 0) {
		struct arena *a = arena_new();
		struct err    e = err_in(a);
		status        st = server_run(&flags, &e);

		arena_free(a);
		buf_clear(&key);
		exit(st == ST_OK ? 0 : 1);
	}
	for (int i = 0; i < 1000; i++) {
		int fd = dial(flags.port);

		if (fd >= 0) {
			close(fd);
			return;
		}
		nap(10);
	}
	fail_msg("the server did not start");
}

static int
wait_exit(void)
{
	int how = 0;

	must(waitpid(child, &how, 0) == child);
	return WIFEXITED(how) ? WEXITSTATUS(how) : 256 + WTERMSIG(how);
}

static int
stop(void)
{
	kill(child, SIGTERM);
	return wait_exit();
}

static int
group_setup(void **state)
{
	uint8_t secret[32];

	(void)state;
	must(mkdtemp(folder) != NULL);
	snprintf(db_path, sizeof db_path, "%s/data/db.sqlite3", folder);
	snprintf(storage, sizeof storage, "%s/storage", folder);
	flags = (struct flags){ .db_path = db_path,
		.interface = "127.0.0.1",
		.port = free_port(),
		.instance_name = "happy-animal-1",
		.instance_secret = SECRET,
		.local_storage = storage };
	flags.site_port = free_port();
	must(auth_parse_secret(S(SECRET), secret, NULL) == ST_OK);
	buf_init(&key, 4096);
	auth_make_admin_key(&key, S("happy-animal-1"), secret, os_real(), false);
	start();
	return 0;
}

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int
group_teardown(void **state)
{
	int code = stop();

	(void)state;
	must(nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
	buf_clear(&key);
	return code;
}

/* --- what is asked and answered --- */

#define JSON_TYPE "Content-Type: application/json\r\n"

/* One row per rule about requests that need no functions.  %K in headers: an admin key.
 * long: a table. */
TEST(plain_requests)
{
	const struct {
		const char *why, *verb, *path, *headers, *body;
		int         code;
		const char *says; /* exact body if it begins with '=' */
	} rows[] = {
		/* 05 checklist 1, 01 checklist 51, 02 checklist 58 */
		{ "banner", "GET", "/", "", NULL, 200,
		    "=This Convex deployment is running. See https://docs.convex.dev/." },
		{ "name", "GET", "/instance_name", "", NULL, 200, "=happy-animal-1" },
		{ "version", "GET", "/version", "", NULL, 200, "" },
		{ "version of a strange client", "GET", "/version", "Convex-Client: x\r\n", NULL,
		    200, "" },
		{ "instance version", "GET", "/instance_version", "", NULL, 200, "" },
		{ "echo", "POST", "/echo", "", "hello", 200, "=hello" },
		{ "metrics", "GET", "/metrics", "", NULL, 200, "fresnel_http_requests_total" },
		{ "debug event", "POST", "/api/debug_event", JSON_TYPE, "{}", 200, "=" },
		/* 02 checklist 13 and section 2.4 */
		{ "unknown", "GET", "/api/nope", "", NULL, 404, "{\"code\":\"NotFound\"" },
		{ "evaluate_schema", "POST", "/api/deploy2/evaluate_schema",
		    JSON_TYPE "Content-Encoding: br\r\n", "no brotli at all", 404, "NotFound" },
		{ "wrong verb", "GET", "/api/mutation", "", NULL, 405, "MethodNotAllowed" },
		{ "site port paths", "GET", "/http/x", "", NULL, 404,
		    "=This Convex deployment does not have HTTP actions enabled." },
		/* 05 checklist 3 to 6, 02 checklist 5, 01 checklist 47, 48 */
		{ "good key", "GET", "/api/check_admin_key", "Authorization: Convex %K\r\n", NULL,
		    200, "={\"success\":true,\"allowedOps\":[],\"isReadOnly\":false}" },
		{ "good key with prod:", "GET", "/api/check_admin_key",
		    "Authorization: Convex prod:%K\r\n", NULL, 200, "\"success\":true" },
		{ "key as a parameter", "GET", "/api/check_admin_key?adminKey=%K", "", NULL, 200,
		    "\"success\":true" },
		{ "no key", "GET", "/api/check_admin_key", "", NULL, 403,
		    "{\"code\":\"BadDeployKey\"" },
		{ "wrong key", "GET", "/api/check_admin_key",
		    "Authorization: Convex happy-animal-1|00\r\n", NULL, 401,
		    "={\"code\":\"BadAdminKey\",\"message\":\"The provided admin key was invalid "
		    "for this "
		    "instance\"}" },
		{ "garbage token", "POST", "/api/query",
		    JSON_TYPE "Authorization: Bearer garbage\r\n", "{\"path\":\"a:b\",\"args\":{}}",
		    401, "InvalidAuthHeader" },
		{ "short header", "POST", "/api/query", JSON_TYPE "Authorization: x\r\n", "{}", 400,
		    "InvalidHeaderFailure" },
		{ "function without a key", "POST", "/api/function", JSON_TYPE,
		    "{\"path\":\"a:b\",\"args\":{}}", 403, "BadDeployKey" },
		{ "logs without a key", "GET", "/api/stream_function_logs?cursor=0", "", NULL, 403,
		    "BadDeployKey" },
		{ "push with a wrong key", "POST", "/api/get_config_hashes", JSON_TYPE,
		    "{\"version\":\"1.48.0\",\"adminKey\":\"happy-animal-1|01\"}", 401,
		    "BadAdminKey" },
		{ "push without a key", "POST", "/api/get_config_hashes", JSON_TYPE,
		    "{\"version\":\"1.48.0\"}", 403, "BadDeployKey" },
		/* 01 section 2.1 */
		{ "client without a version", "POST", "/api/query", "Convex-Client: x\r\n", "{}",
		    400, "InvalidClientVersion" },
		{ "client too old", "POST", "/api/query", "Convex-Client: npm-0.1.0\r\n", "{}", 400,
		    "ClientVersionUnsupported" },
		/* 01 checklist 43 */
		{ "no JSON type", "POST", "/api/query", "", "{}", 400, "BadJsonBody" },
		{ "no JSON", "POST", "/api/query", JSON_TYPE, "{", 400,
		    "Failed to parse the request body as JSON: " },
		{ "no path", "POST", "/api/query", JSON_TYPE, "{\"args\":{}}", 400,
		    "missing field `path`" },
		{ "no args", "POST", "/api/query", JSON_TYPE, "{\"path\":\"a:b\"}", 400,
		    "missing field `args`" },
		{ "path no string", "POST", "/api/query", JSON_TYPE, "{\"path\":1,\"args\":{}}",
		    400, "BadJsonBody" },
		{ "repeated key", "POST", "/api/query", JSON_TYPE,
		    "{\"path\":\"a:b\",\"args\":{},\"path\":\"c:d\"}", 400, "BadJsonBody" },
		{ "+json", "POST", "/api/query",
		    "Content-Type: application/x+json; charset=utf-8\r\n",
		    "{\"path\":\"a:b\",\"args\":{}}", 200,
		    "Could not find public function for 'a:b'." },
		{ "bad path", "POST", "/api/query", JSON_TYPE, "{\"path\":\"a-b:c\",\"args\":{}}",
		    400, "BadConvexFunctionIdentifier" },
		/* 01 checklist 41, 44, 47, 49 */
		{ "missing function", "POST", "/api/mutation",
		    JSON_TYPE "Convex-Request-Id: abc\r\n", "{\"path\":\"a:b\",\"args\":{}}", 200,
		    "={\"status\":\"error\",\"errorMessage\":\"[Request ID: abc] Server "
		    "Error\\nCould not find "
		    "public function for 'a:b'.\\n\"}" },
		{ "run of a missing one", "POST", "/api/run/a/b/c", JSON_TYPE, "{\"args\":{}}", 200,
		    "Could not find function for 'a/b:c'. Did you forget to run `npx convex "
		    "dev`?" },
		{ "run of one segment", "POST", "/api/run/a", JSON_TYPE, "{\"args\":{}}", 400,
		    "MissingIdentifier" },
		{ "system function, admin", "POST", "/api/query",
		    JSON_TYPE "Authorization: Convex %K\r\n",
		    "{\"path\":\"_system/cli/convexUrl:cloudUrl\",\"args\":{}}", 200,
		    "\"status\":\"success\",\"value\":\"http://127.0.0.1:" },
		{ "system function, anybody", "POST", "/api/query", JSON_TYPE,
		    "{\"path\":\"_system/cli/convexUrl:cloudUrl\",\"args\":{}}", 200,
		    "Could not find public function" },
		{ "bad format", "POST", "/api/query", JSON_TYPE,
		    "{\"path\":\"a:b\",\"args\":{},\"format\":\"xml\"}", 400,
		    "={\"code\":\"BadFormat\",\"message\":\"format param must be one of [`json`]. "
		    "Got xml\"}" },
		/* 03 checklist 50 */
		{ "shapes", "GET", "/api/shapes2", "Authorization: Convex %K\r\n", NULL, 200,
		    "={}" },
		{ "shapes of a component", "GET",
		    "/api/shapes2?component=AAECAwQFBgcICQoLDA1P5g",
		    "Authorization: Convex %K\r\n", NULL, 200, "={}" },
		{ "shapes of what is no component", "GET", "/api/shapes2?component=x",
		    "Authorization: Convex %K\r\n", NULL, 400, "InvalidComponentId" },
		{ "shapes without a key", "GET", "/api/shapes2", "", NULL, 403, "BadDeployKey" },
		{ "bad component", "POST", "/api/function",
		    JSON_TYPE "Authorization: Convex %K\r\n",
		    "{\"path\":\"a:b\",\"args\":{},\"componentPath\":\"a//b\"}", 400,
		    "InvalidComponentPath" },
		{ "query by GET", "GET", "/api/query?path=a:b&args=%7B%7D", "", NULL, 200,
		    "Could not find public function" },
		/* 01 checklist 45, 46 */
		{ "query_ts", "POST", "/api/query_ts", "", "", 200, "{\"ts\":\"" },
		{ "query_at_ts in the future", "POST", "/api/query_at_ts", JSON_TYPE,
		    "{\"path\":\"a:b\",\"args\":{},\"ts\":\"/////////38=\"}", 500,
		    "InternalServerError" },
		{ "query_at_ts in the past", "POST", "/api/query_at_ts", JSON_TYPE,
		    "{\"path\":\"a:b\",\"args\":{},\"ts\":\"AQAAAAAAAAA=\"}", 503,
		    "InternalServerError" },
		{ "query_at_ts, no ts", "POST", "/api/query_at_ts", JSON_TYPE,
		    "{\"path\":\"a:b\",\"args\":{},\"ts\":\"x\"}", 500, "InternalServerError" },
		{ "empty batch", "POST", "/api/query_batch", JSON_TYPE, "{\"queries\":[]}", 200,
		    "={\"results\":[]}" },
		{ "batch", "POST", "/api/query_batch", JSON_TYPE,
		    "{\"queries\":[{\"path\":\"a:b\",\"args\":{}},{\"path\":\"c\",\"args\":[]}]}",
		    200, "{\"results\":[{\"status\":\"error\"" },
		{ "batch with a bad path", "POST", "/api/query_batch", JSON_TYPE,
		    "{\"queries\":[{\"path\":\"a:b\",\"args\":{}},{\"path\":\"-\",\"args\":[]}]}",
		    400, "BadConvexFunctionIdentifier" },
		/* 02 checklist 4 */
		{ "headers of tracing tools", "GET", "/api/v1/get_canonical_urls",
		    JSON_TYPE "Authorization: Convex %K\r\nConvex-Client: npm-cli-1.48.0\r\n"
			      "sentry-trace: 1-2-0\r\nbaggage: a=b\r\ntraceparent: 00-1-2-01\r\n",
		    NULL, 200, "{\"convexCloudUrl\":\"http://127.0.0.1:" },
		{ "log cursor 0 of an empty log", "GET", "/api/stream_function_logs?cursor=0",
		    "Authorization: Convex %K\r\n", NULL, 200, "\"newCursor\":" },
		{ "log cursor", "GET", "/api/stream_function_logs?cursor=abc",
		    "Authorization: Convex %K\r\n", NULL, 400, "InvalidCursor" },
		{ "environment", "POST", "/api/update_environment_variables",
		    JSON_TYPE "Authorization: Convex %K\r\n",
		    "{\"changes\":[{\"name\":\"A\",\"value\":\"1\"}]}", 200, "=" },
		{ "environment list", "GET", "/api/v1/list_environment_variables",
		    "Authorization: Convex %K\r\n", NULL, 200,
		    "={\"environmentVariables\":{\"A\":\"1\"}}" },
		/* 01 checklist 36, spec 01 section 2.2 */
		{ "sync without an upgrade", "GET", "/api/1.48.0/sync", "", NULL, 400,
		    "InvalidConnectionHeader" },
		{ "sync, bad version", "GET", "/api/1.x/sync", "", NULL, 400,
		    "InvalidClientVersion" },
		{ "sync, other upgrade", "GET", "/api/sync",
		    "Connection: Upgrade\r\nUpgrade: h2c\r\n", NULL, 400, "InvalidUpgradeHeader" },
		{ "sync, POST", "POST", "/api/sync", "", NULL, 400, "MethodNotGet" },
		{ "sync, old protocol", "GET", "/api/sync",
		    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
		    "Sec-WebSocket-Version: 8\r\n",
		    NULL, 400, "InvalidWebSocketVersionHeader" },
		{ "sync, no key", "GET", "/api/sync",
		    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
		    "Sec-WebSocket-Version: 13\r\n",
		    NULL, 400, "WebSocketKeyHeaderMissing" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct answer a;
		char          parts[2][2048];
		const char   *from[2] = { rows[i].path, rows[i].headers };

		fprintf(stderr, "  %s\n", rows[i].why);
		for (int k = 0; k < 2; k++) {
			const char *at = strstr(from[k], "%K");

			snprintf(parts[k], sizeof parts[k], "%.*s%.*s%s",
			    at ? (int)(at - from[k]) : 2000, from[k], at ? (int)key.n : 0, key.p,
			    at ? at + 2 : "");
		}
		ask(flags.port, rows[i].verb, parts[0], parts[1], rows[i].body, &a);
		if (a.code != rows[i].code)
			fprintf(stderr, "%.*s\n", STR_ARG(buf_str(&a.body)));
		CHECK_EQ(a.code, rows[i].code);
		if (rows[i].says[0] == '=')
			CHECK_STRZ(buf_str(&a.body), rows[i].says + 1);
		else if (!has(&a.body, rows[i].says))
			CHECK_STRZ(buf_str(&a.body), rows[i].says);
		answer_clear(&a);
	}
}

/* Preflights and simple requests of browsers on other origins; none on the site port. */
TEST(cors_headers) /* 01 checklist 50, 05 checklist 2 */
{
	struct answer a;

	ask(flags.port, "OPTIONS", "/api/mutation", "Origin: http://app\r\n"
	    "Access-Control-Request-Headers: authorization,x-y\r\n", NULL, &a);
	CHECK_EQ(a.code, 200);
	CHECK_EQ(a.body.n, 0);
	CHECK(has(&a.head, "Access-Control-Allow-Origin: http://app\r\n"));
	CHECK(has(&a.head, "Access-Control-Allow-Headers: authorization,x-y\r\n"));
	CHECK(has(&a.head, "Access-Control-Allow-Methods: GET,POST,OPTIONS,PATCH,DELETE,PUT\r\n"));
	CHECK(has(&a.head, "Access-Control-Allow-Credentials: true\r\n"));
	CHECK(has(&a.head, "Access-Control-Max-Age: 86400\r\n"));
	answer_clear(&a);
	ask(flags.port, "POST", "/api/query", "Origin: http://app\r\n", "{", &a);
	CHECK_EQ(a.code, 400);
	CHECK(has(&a.head, "Access-Control-Allow-Origin: http://app\r\n"));
	answer_clear(&a);
	ask(flags.site_port, "GET", "/x", "Origin: http://app\r\n", NULL, &a);
	CHECK_EQ(a.code, 404);
	CHECK(!has(&a.head, "Access-Control"));
	answer_clear(&a);
}

/* 4 MiB and 64 MiB come back byte by byte; 128 MiB and one byte do not. */
TEST(echoes) /* 01 checklist 51, 05 checklist 1 */
{
	static const size_t sizes[] = { 128, 4 << 20, 64 << 20 };
	struct answer       a;
	int                 fd;

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct buf b;
		size_t     head;

		buf_init(&b, 1 << 28);
		buf_fmt(&b, "POST /echo HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
		head = b.n;
		must(buf_reserve(&b, sizes[i]) != NULL);
		for (size_t k = 0; k < sizes[i]; k++)
			b.p[head + k] = (char)(k * 2654435761u >> 13);
		b.n += sizes[i];
		fd = dial(flags.port);
		send_all(fd, buf_str(&b));
		read_answer(fd, &a);
		close(fd);
		CHECK_EQ(a.code, 200);
		CHECK(str_eq(buf_str(&a.body), str_from(buf_str(&b), head)));
		answer_clear(&a);
		buf_clear(&b);
	}
	fd = dial(flags.port);
	send_all(fd, S("POST /echo HTTP/1.1\r\nContent-Length: 134217729\r\n\r\n"));
	read_answer(fd, &a);
	CHECK_EQ(a.code, 413);
	answer_clear(&a);
	close(fd);
	fd = dial(flags.port);
	send_all(fd, S("POST /api/query HTTP/1.1\r\nContent-Length: 16779217\r\n\r\n"));
	read_answer(fd, &a);
	CHECK_EQ(a.code, 400);
	CHECK(has(&a.body, "BadJsonBody"));
	answer_clear(&a);
	close(fd);
}

/* One text frame, masked with zeros. */
static void
send_text(int fd, const char *text)
{
	struct buf b;

	must(strlen(text) < 126);
	buf_init(&b, 4096);
	buf_add_byte(&b, 0x81);
	buf_add_byte(&b, (uint8_t)(0x80 | strlen(text)));
	buf_add_u32be(&b, 0);
	buf_addz(&b, text);
	send_all(fd, buf_str(&b));
	buf_clear(&b);
}

/* The handshake without a client in the path, a first transition, an answer to a bad message. */
TEST(sync_sessions) /* 01 checklist 2, 31, 36 */
{
	struct answer a;
	struct buf    in;
	int           fd = dial(flags.port);

	send_all(fd, S("GET /api/sync HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	               "Convex-Client: rust-0.9.0\r\nSec-WebSocket-Version: 13\r\n"
	               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
	read_answer(fd, &a);
	CHECK_EQ(a.code, 101);
	CHECK(has(&a.head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	answer_clear(&a);
	close(fd);
	buf_init(&in, 1 << 20);
	fd = dial(flags.port);
	send_all(
	    fd, S("GET /api/1.48.0/sync HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n"));
	send_text(fd, "{\"type\":\"ModifyQuerySet\",\"baseVersion\":0,\"newVersion\":1,"
	              "\"modifications\":[]}");
	while (!has(&in, "\"endVersion\":{\"querySet\":1,"))
		assert_true(receive(fd, &in));
	CHECK(has(&in, "{\"type\":\"Transition\""));
	send_text(fd, "{");
	while (!has(&in, "\"type\":\"FatalError\"") || !str_ends(buf_str(&in), S("\x88\x00")))
		assert_true(receive(fd, &in));
	send_all(fd, S("\x88\x80\0\0\0\0"));
	while (receive(fd, &in))
		;
	close(fd);
	buf_clear(&in);
}

/* A second server does not get the same database. */
TEST(one_server_per_database)
{
	pid_t other;
	int   how;

	other = fork();
	must(other >= 0);
	if (other == 0) {
		struct err e = err_in(NULL);

		_exit(server_run(&flags, &e) == ST_CONFLICT ? 42 : 1);
	}
	must(waitpid(other, &how, 0) == other);
	CHECK(WIFEXITED(how));
	CHECK_EQ(WEXITSTATUS(how), 42);
}

/* SIGTERM ends a waiting poll with 500, the process with 0, and what was written stays. */
TEST(ends_cleanly)
{
	struct answer a;
	struct buf    b;
	int           fd = dial(flags.port);

	buf_init(&b, 4096);
	buf_fmt(&b,
	    "GET /api/stream_function_logs?cursor=9e15 HTTP/1.1\r\nAuthorization: Convex "
	    "%.*s\r\n\r\n",
	    STR_ARG(buf_str(&key)));
	send_all(fd, buf_str(&b));
	nap(200);
	kill(child, SIGTERM);
	read_answer(fd, &a);
	CHECK_EQ(a.code, 500);
	answer_clear(&a);
	close(fd);
	CHECK_EQ(wait_exit(), 0);

	start();
	buf_reset(&b);
	buf_fmt(&b, "Authorization: Convex %.*s\r\n", STR_ARG(buf_str(&key)));
	buf_add_byte(&b, 0);
	ask(flags.port, "GET", "/api/list_environment_variables", b.p, NULL, &a);
	CHECK_STRZ(buf_str(&a.body), "{\"environmentVariables\":{\"A\":\"1\"}}");
	answer_clear(&a);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(plain_requests), T(cors_headers), T(echoes),
		T(sync_sessions), T(one_server_per_database), T(ends_cleanly) };

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/* flags_test.c - the command line. */
#include "test.h"

#include "base/mem.h"
#include "main/flags.h"

#define SECRET "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974"

static status
parse(const char *line, struct flags *ret, struct err *e)
{
	static char copy[4096];
	char       *argv[64] = { (char *)(uintptr_t)"fresnel" };
	int         argc = 1;
	size_t      n = strlen(line);

	must(n < sizeof copy);
	memcpy(copy, line, n + 1);
	for (size_t i = 0; i < n;) {
		while (i < n && copy[i] == ' ')
			copy[i++] = '\0';
		if (i < n)
			argv[argc++] = copy + i;
		while (i < n && copy[i] != ' ')
			i++;
	}
	return flags_parse(argc, argv, ret, e);
}

/* The command line of the official CLI's local mode, and its probe (spec 02 section 1.4.4). */
TEST(local_mode) /* 02 checklist 57, 59; 05 checklist 46 */
{
	static const char *const line =
	    "--port 3310 --site-proxy-port 3311 --sentry-identifier abc "
	    "--instance-name anonymous-app --instance-secret " SECRET " --local-storage /s/storage "
	    "--beacon-tag cli-anonymous-dev /s/db.sqlite3 --beacon-fields "
	    "{\"override_uuid\":\"u\"} "
	    "--control-plane-url http://x --control-plane-access-token t";
	struct err   e = err_in(NULL);
	struct flags f;
	char         probe[2048];

	CHECK_EQ(parse(line, &f, &e), ST_OK);
	CHECK_EQ(f.command, COMMAND_SERVE);
	CHECK_EQ(f.port, 3310);
	CHECK_EQ(f.site_port, 3311);
	CHECK_STRZ(str_z(f.instance_name), "anonymous-app");
	CHECK_STRZ(str_z(f.instance_secret), SECRET);
	CHECK_STRZ(str_z(f.local_storage), "/s/storage");
	CHECK_STRZ(str_z(f.db_path), "/s/db.sqlite3");
	snprintf(probe, sizeof probe, "%s --help", line);
	CHECK_EQ(parse(probe, &f, &e), ST_OK);
	CHECK_EQ(f.command, COMMAND_HELP);
}

/* Every option of spec 05 section 12.1, in both forms, and the defaults. */
TEST(options)
{
	struct err   e = err_in(NULL);
	struct flags f;

	CHECK_EQ(parse("--instance-secret " SECRET, &f, &e), ST_OK);
	CHECK_STRZ(str_z(f.db_path), "convex_local_backend.sqlite3");
	CHECK_STRZ(str_z(f.interface), "0.0.0.0");
	CHECK_STRZ(str_z(f.instance_name), "carnitas");
	CHECK_STRZ(str_z(f.local_storage), "convex_local_storage");
	CHECK_EQ(f.port, 3210);
	CHECK_EQ(f.site_port, 3211);
	CHECK(!f.redact && !f.banner && !f.origin && !f.site_origin);
	CHECK(f.index_retention == 0 && f.document_retention == 0);
	CHECK_EQ(parse("--instance-secret " SECRET
		       " --index-retention 1 --document-retention=86400",
		     &f, &e),
	    ST_OK);
	CHECK_EQ(f.index_retention, 1);
	CHECK_EQ(f.document_retention, 86400);

	CHECK_EQ(
	    parse(
		"--instance-secret=" SECRET " -i 127.0.0.1 -p=1 --site-proxy-port=2 "
		"--convex-origin http://a --convex-site https://b/http --instance-name=n "
		"--local-storage=l "
		"-d sqlite --do-not-require-ssl --disable-beacon --redact-logs-to-client --banner "
		"--convex-http-proxy http://p --local-log-sink s --workers 3 -- -file",
		&f, &e),
	    ST_OK);
	CHECK_STRZ(str_z(f.interface), "127.0.0.1");
	CHECK_EQ(f.port, 1);
	CHECK_EQ(f.site_port, 2);
	CHECK_STRZ(str_z(f.origin), "http://a");
	CHECK_STRZ(str_z(f.site_origin), "https://b/http");
	CHECK_STRZ(str_z(f.http_proxy), "http://p");
	CHECK_STRZ(str_z(f.db_path), "-file");
	CHECK(f.redact && f.banner);
	CHECK_EQ(f.workers, 3);
}

/* verify and compact take a database file and no secret; a file of such a name needs a path. */
TEST(tools)
{
	struct err   e = err_in(NULL);
	struct flags f;

	CHECK_EQ(parse("verify", &f, &e), ST_OK);
	CHECK_EQ(f.command, COMMAND_VERIFY);
	CHECK_STRZ(str_z(f.db_path), "convex_local_backend.sqlite3");
	CHECK_EQ(parse("compact my.db", &f, &e), ST_OK);
	CHECK_EQ(f.command, COMMAND_COMPACT);
	CHECK_STRZ(str_z(f.db_path), "my.db");
	CHECK_EQ(parse("verify my.db --help", &f, &e), ST_OK);
	CHECK_EQ(f.command, COMMAND_HELP);
	CHECK_EQ(parse("./verify --instance-secret " SECRET, &f, &e), ST_OK);
	CHECK_EQ(f.command, COMMAND_SERVE);
	CHECK_STRZ(str_z(f.db_path), "./verify");
}

TEST(keygen)
{
	struct err   e = err_in(NULL);
	struct flags f;

	CHECK_EQ(
	    parse("keygen admin-key --instance-name n --instance-secret " SECRET, &f, &e), ST_OK);
	CHECK_EQ(f.command, COMMAND_KEYGEN);
	CHECK(!f.read_only);
	CHECK_EQ(parse("keygen --instance-secret " SECRET " admin-key --read-only", &f, &e), ST_OK);
	CHECK(f.read_only);
	CHECK_EQ(parse("-V", &f, &e), ST_OK);
	CHECK_EQ(f.command, COMMAND_VERSION);
	CHECK_EQ(parse("--help -V", &f, &e), ST_OK);
	CHECK_EQ(f.command, COMMAND_HELP);
}

/* Sizes are bytes, or have a unit of 1024; without one it is a quarter of the memory. */
TEST(sizes)
{
	static const struct {
		const char *line;
		size_t      bytes;
	} rows[] = {
		{ "--instance-secret " SECRET, 0 },
		{ "--instance-secret " SECRET " --cache-bytes 33554432", (size_t)32 << 20 },
		{ "--instance-secret " SECRET " --cache-bytes=65536K", (size_t)64 << 20 },
		{ "--instance-secret " SECRET " --cache-bytes 64M", (size_t)64 << 20 },
		{ "--instance-secret " SECRET " --cache-bytes 3G", (size_t)3 << 30 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err   e = err_in(NULL);
		struct flags f;

		CHECK_EQ(parse(rows[i].line, &f, &e), ST_OK);
		CHECK_EQ(f.cache_bytes, rows[i].bytes);
	}
}

/* What is wrong is named. */
TEST(mistakes)
{
	const struct {
		const char *line, *says;
	} rows[] = {
		{ "", "instance secret is required" },
		{ "--nope", "unknown option '--nope'" },
		{ "-x", "unknown option '-x'" },
		{ "--port", "--port needs a value" },
		{ "--port 65536", "--port must be a number up to 65535, not '65536'" },
		{ "--port -1", "--port must be a number" },
		{ "-p12x", "--port must be a number" },
		{ "--index-retention 0", "--index-retention needs at least 1 second" },
		{ "--document-retention 14d", "--document-retention must be a number" },
		{ "--banner=1", "--banner takes no value" },
		{ "--cache-bytes 31M", "--cache-bytes must be a size of at least 32M" },
		{ "--cache-bytes 64MB", "not '64MB'" },
		{ "--cache-bytes M", "not 'M'" },
		{ "--cache-bytes 99999999999999G", "--cache-bytes must be a size" },
		{ "--convex-origin ftp://x", "must begin with http:// or https://" },
		{ "--instance-secret " SECRET " --convex-origin http://x", "need each other" },
		{ "--instance-secret " SECRET " a b", "what is 'b'?" },
		{ "--instance-secret " SECRET " -d postgres-v5", "SQLite only" },
		{ "--instance-secret " SECRET " --s3-storage", "local folder only" },
		{ "keygen --instance-secret " SECRET, "keygen admin-key" },
		{ "keygen user-key --instance-secret " SECRET, "'user-key'" },
		{ "keygen admin-key", "instance secret is required" },
		{ "verify a b", "what is 'b'?" },
		{ "a verify --instance-secret " SECRET, "what is 'verify'?" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err   e = err_in(NULL);
		struct flags f;
		size_t       at;

		fprintf(stderr, "  %s\n", rows[i].line);
		CHECK_EQ(parse(rows[i].line, &f, &e), ST_BAD_REQUEST);
		CHECK(str_find(e.text, str_z(rows[i].says), &at));
	}
}

TEST_RUN(T(local_mode), T(options), T(keygen), T(tools), T(sizes), T(mistakes))

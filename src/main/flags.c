/* flags.c - the command line: see flags.h.
 *
 * Thread: the main thread.  Memory: none of its own.
 */
#include "main/flags.h"

#include "main/budget.h"

enum flag_id {
	FLAG_IGNORED,
	FLAG_DB,
	FLAG_INTERFACE,
	FLAG_PORT,
	FLAG_SITE_PORT,
	FLAG_ORIGIN,
	FLAG_SITE,
	FLAG_HTTP_PROXY,
	FLAG_NAME,
	FLAG_SECRET,
	FLAG_LOCAL_STORAGE,
	FLAG_S3,
	FLAG_REDACT,
	FLAG_BANNER,
	FLAG_READ_ONLY,
	FLAG_WORKERS,
	FLAG_WORKERS_MAX,
	FLAG_INDEX_RETENTION,
	FLAG_DOCUMENT_RETENTION,
	FLAG_CACHE,
	FLAG_VERSION,
	FLAG_HELP
};

static const struct flag {
	const char  *name;
	char         letter; /* 0: none */
	bool         value;
	enum flag_id id;
} known[] = {
	{ "db", 'd', true, FLAG_DB },
	{ "interface", 'i', true, FLAG_INTERFACE },
	{ "port", 'p', true, FLAG_PORT },
	{ "site-proxy-port", 0, true, FLAG_SITE_PORT },
	{ "convex-origin", 0, true, FLAG_ORIGIN },
	{ "convex-site", 0, true, FLAG_SITE },
	{ "instance-name", 0, true, FLAG_NAME },
	{ "instance-secret", 0, true, FLAG_SECRET },
	{ "local-storage", 0, true, FLAG_LOCAL_STORAGE },
	{ "s3-storage", 0, false, FLAG_S3 },
	{ "redact-logs-to-client", 0, false, FLAG_REDACT },
	{ "banner", 0, false, FLAG_BANNER },
	{ "read-only", 0, false, FLAG_READ_ONLY },
	{ "workers", 0, true, FLAG_WORKERS },
	{ "workers-max", 0, true, FLAG_WORKERS_MAX },
	{ "index-retention", 0, true, FLAG_INDEX_RETENTION },
	{ "document-retention", 0, true, FLAG_DOCUMENT_RETENTION },
	{ "cache-bytes", 0, true, FLAG_CACHE },
	{ "convex-http-proxy", 0, true, FLAG_HTTP_PROXY },
	{ "do-not-require-ssl", 0, false, FLAG_IGNORED },
	{ "disable-beacon", 0, false, FLAG_IGNORED },
	{ "beacon-tag", 0, true, FLAG_IGNORED },
	{ "beacon-fields", 0, true, FLAG_IGNORED },
	{ "sentry-identifier", 0, true, FLAG_IGNORED },
	{ "local-log-sink", 0, true, FLAG_IGNORED },
	{ "control-plane-url", 0, true, FLAG_IGNORED },
	{ "control-plane-access-token", 0, true, FLAG_IGNORED },
	{ "version", 'V', false, FLAG_VERSION },
	{ "help", 'h', false, FLAG_HELP },
};

const char *
flags_help(void)
{
	return
"Fresnel: a backend for Convex applications in one binary.\n"
"\n"
"usage: fresnel [options] [database file]\n"
"       fresnel keygen admin-key --instance-name NAME --instance-secret SECRET [--read-only]\n"
"       fresnel verify [database file]    check everything that is stored; changes nothing.\n"
"                                         exit code 0: sound, 1: damaged, 2: not checked\n"
"       fresnel compact [database file]   drop all history and give free space back;\n"
"                                         takes the space of a second copy meanwhile\n"
"       (both while no server has the database open)\n"
"\n"
"  database file                SQLite file, made if absent [convex_local_backend.sqlite3]\n"
"  -i, --interface ADDRESS      IPv4 address to listen on [0.0.0.0]\n"
"  -p, --port PORT              API and WebSocket [3210]\n"
"      --site-proxy-port PORT   HTTP actions [3211]\n"
"      --convex-origin URL      public URL of the API port [http://127.0.0.1:PORT]\n"
"      --convex-site URL        public URL of the site port [http://127.0.0.1:SITE PORT]\n"
"      --convex-http-proxy URL  proxy for fetch() of actions\n"
"      --instance-name NAME     name inside admin keys [carnitas]\n"
"      --instance-secret SECRET 64 hexadecimal characters; required to serve\n"
"      --local-storage FOLDER   files and caches [convex_local_storage]\n"
"      --redact-logs-to-client  hide error details and log lines from clients\n"
"      --workers N              function threads [processors, at least 2]\n"
"      --workers-max N          the same with substitutes for those that run a function which\n"
"                               takes long [32, less where there is little memory]\n"
"      --cache-bytes SIZE       memory for data, such as 500M or 4G: documents, index entries,\n"
"                               page caches, query results, recent writes, and the idle\n"
"                               process itself [a quarter of the memory, at least 64M]\n"
"      --index-retention SECONDS\n"
"                               how long replaced versions of documents can be read through\n"
"                               indexes [240]; also INDEX_RETENTION_DELAY\n"
"      --document-retention SECONDS\n"
"                               how long they are kept at all [1209600: 14 days]; also\n"
"                               DOCUMENT_RETENTION_DELAY.  Where history takes more than twice\n"
"                               the live data and 64 MiB, both shrink, to 15 seconds at least\n"
"      --banner                 print the URL and an admin key at the start\n"
"  -d, --db KIND                sqlite [sqlite]\n"
"  -V, --version                print the version\n"
"      --help                   print this\n"
"\n"
"Accepted and ignored: --beacon-tag, --beacon-fields, --disable-beacon, --sentry-identifier,\n"
"--local-log-sink, --do-not-require-ssl, --control-plane-url, --control-plane-access-token.\n"
"\n"
"Variables: ACTION_TIMEOUT_SECONDS [600], RUST_LOG=debug for more log lines.\n";
}

static status
usage(struct err *e, const char *before, const char *what, const char *behind)
{
	return err_set(e, ST_BAD_REQUEST, "Usage", "%s%s%s; see --help", before, what, behind);
}

static status
parse_number(const char *name, const char *text, uint64_t max, int *ret, struct err *e)
{
	uint64_t v;

	if (!str_to_u64(str_z(text), &v) || v > max)
		return err_set(e, ST_BAD_REQUEST, "Usage",
		    "--%s must be a number up to %llu, not '%s'", name, (unsigned long long)max,
		    text);
	*ret = (int)v;
	return ST_OK;
}

/* Bytes, or with K, M or G in units of 1024. */
static status
parse_bytes(const char *name, const char *text, size_t *ret, struct err *e)
{
	static const str units = { "KMG", 3 };
	str              s = str_z(text);
	unsigned         shift = 0;
	uint64_t         v;
	size_t           unit;

	if (s.n > 0 && str_find_char(units, s.p[s.n - 1], &unit)) {
		shift = 10 * ((unsigned)unit + 1);
		s = str_head(s, s.n - 1);
	}
	if (!str_to_u64(s, &v) || v > (SIZE_MAX >> 8) >> shift || v << shift < BUDGET_MIN)
		return err_set(e, ST_BAD_REQUEST, "Usage",
		    "--%s must be a size of at least 32M, such as 500M or 4G, not '%s'", name,
		    text);
	*ret = (size_t)v << shift;
	return ST_OK;
}

static status
parse_seconds(const char *name, const char *text, int *ret, struct err *e)
{
	int v;

	TRY(parse_number(name, text, 10u * 366 * 86400, &v, e));
	if (v == 0)
		return usage(e, "the option --", name, " needs at least 1 second");
	*ret = v;
	return ST_OK;
}

static status
parse_origin(const char *name, const char *text, const char **ret, struct err *e)
{
	str s = str_z(text);

	if (s.n > 0 && !str_starts(s, S("http://")) && !str_starts(s, S("https://")))
		return err_set(e, ST_BAD_REQUEST, "Usage",
		    "--%s must begin with http:// or https://, not '%s'", name, text);
	*ret = text;
	return ST_OK;
}

static status
apply(struct flags *f, const struct flag *flag, const char *value, struct err *e)
{
	switch (flag->id) {
	case FLAG_IGNORED:
		break;
	case FLAG_DB:
		if (!str_eq(str_z(value), S("sqlite")))
			return usage(e,
			    "this server stores its data in SQLite only: --db sqlite, not '", value,
			    "'");
		break;
	case FLAG_INTERFACE:
		f->interface = value;
		break;
	case FLAG_PORT:
		return parse_number(flag->name, value, 65535, &f->port, e);
	case FLAG_SITE_PORT:
		return parse_number(flag->name, value, 65535, &f->site_port, e);
	case FLAG_ORIGIN:
		return parse_origin(flag->name, value, &f->origin, e);
	case FLAG_SITE:
		return parse_origin(flag->name, value, &f->site_origin, e);
	case FLAG_HTTP_PROXY:
		return parse_origin(flag->name, value, &f->http_proxy, e);
	case FLAG_NAME:
		f->instance_name = value;
		break;
	case FLAG_SECRET:
		f->instance_secret = value;
		break;
	case FLAG_LOCAL_STORAGE:
		f->local_storage = value;
		break;
	case FLAG_S3:
		return usage(e,
		    "this server stores files in a local folder only: --local-storage, not ",
		    "--s3-storage", "");
	case FLAG_REDACT:
		f->redact = true;
		break;
	case FLAG_BANNER:
		f->banner = true;
		break;
	case FLAG_READ_ONLY:
		f->read_only = true;
		break;
	case FLAG_WORKERS:
		return parse_number(flag->name, value, 256, &f->workers, e);
	case FLAG_WORKERS_MAX:
		return parse_number(flag->name, value, 1024, &f->workers_max, e);
	case FLAG_CACHE:
		return parse_bytes(flag->name, value, &f->cache_bytes, e);
	case FLAG_INDEX_RETENTION:
		return parse_seconds(flag->name, value, &f->index_retention, e);
	case FLAG_DOCUMENT_RETENTION:
		return parse_seconds(flag->name, value, &f->document_retention, e);
	case FLAG_VERSION:
		if (f->command != COMMAND_HELP)
			f->command = COMMAND_VERSION;
		break;
	case FLAG_HELP:
		f->command = COMMAND_HELP;
		break;
	}
	return ST_OK;
}

/* The option in `arg` ("--name", "--name=value", "-p", "-p3210"); *ret_value NULL: not attached. */
static const struct flag *
find(const char *arg, const char **ret_value)
{
	str    s = str_from(str_z(arg), 1), name;
	size_t eq;

	*ret_value = NULL;
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		if (s.p[0] != '-' && known[i].letter && s.p[0] == known[i].letter) {
			if (s.n > 1)
				*ret_value = s.p + (s.p[1] == '=' ? 2 : 1);
			return &known[i];
		}
	}
	if (s.p[0] != '-')
		return NULL;
	name = str_from(s, 1);
	if (str_find_char(name, '=', &eq)) {
		*ret_value = name.p + eq + 1;
		name = str_head(name, eq);
	}
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		if (str_eq(name, str_z(known[i].name)))
			return &known[i];
	}
	return NULL;
}

static status
parse_option(struct flags *f, int argc, char **argv, int *i, struct err *e)
{
	const char        *value;
	const struct flag *flag = find(argv[*i], &value);

	if (!flag)
		return usage(e, "unknown option '", argv[*i], "'");
	if (!flag->value && value)
		return usage(e, "the option --", flag->name, " takes no value");
	if (flag->value && !value) {
		if (*i + 1 >= argc)
			return usage(e, "the option --", flag->name, " needs a value");
		value = argv[++*i];
	}
	return apply(f, flag, value, e);
}

/* `fresnel verify` and `fresnel compact`, with the database file behind them. */
static bool
tool_command(struct flags *f, str word)
{
	bool verify = str_eq(word, S("verify"));

	if (!verify && !str_eq(word, S("compact")))
		return false;
	if (f->command == COMMAND_SERVE)
		f->command = verify ? COMMAND_VERIFY : COMMAND_COMPACT;
	f->names_db = true;
	return true;
}

/* The words that are no options: the database file, or a command and what it takes. */
static status
positional(struct flags *f, const char *word, int nth, struct err *e)
{
	if (nth == 0 && str_eq(str_z(word), S("keygen"))) {
		if (f->command == COMMAND_SERVE)
			f->command = COMMAND_KEYGEN;
		f->db_path = NULL;
		return ST_OK;
	}
	if (nth == 0 && tool_command(f, str_z(word)))
		return ST_OK;
	if (nth == 1 && f->names_db) {
		f->db_path = word;
		return ST_OK;
	}
	if (nth == 1 && !f->db_path) {
		if (str_eq(str_z(word), S("admin-key")))
			return ST_OK;
		return usage(e, "keygen makes an admin-key, not '", word, "'");
	}
	if (nth > 0)
		return usage(e, "one database file is enough: what is '", word, "'?");
	f->db_path = word;
	return ST_OK;
}

static status
check(const struct flags *f, int npositional, struct err *e)
{
	if (f->command == COMMAND_KEYGEN && npositional < 2)
		return usage(e, "use: ", "keygen admin-key", "");
	if (f->command != COMMAND_SERVE && f->command != COMMAND_KEYGEN)
		return ST_OK;
	if (!f->instance_secret)
		return usage(e, "an instance secret is required: ",
		    "--instance-secret <64 hexadecimal characters>",
		    " (make one with: openssl rand -hex 32)");
	if (!f->instance_name[0])
		return usage(e, "--instance-name", "", " must not be empty");
	if (!f->origin != !f->site_origin)
		return usage(e, "--convex-origin and --convex-site", "", " need each other");
	return ST_OK;
}

status
flags_parse(int argc, char **argv, struct flags *ret, struct err *e)
{
	struct flags f = { .db_path = "convex_local_backend.sqlite3", .interface = "0.0.0.0",
		.port = 3210, .site_port = 3211, .instance_name = "carnitas",
		.local_storage = "convex_local_storage" };
	int  npositional = 0;
	bool options = true;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (options && strcmp(word, "--") == 0)
			options = false;
		else if (options && word[0] == '-' && word[1] != '\0')
			TRY(parse_option(&f, argc, argv, &i, e));
		else
			TRY(positional(&f, word, npositional++, e));
	}
	TRY(check(&f, npositional, e));
	if (f.origin && !f.origin[0])
		f.origin = NULL;
	if (f.site_origin && !f.site_origin[0])
		f.site_origin = NULL;
	if (f.http_proxy && !f.http_proxy[0])
		f.http_proxy = NULL;
	*ret = f;
	return ST_OK;
}

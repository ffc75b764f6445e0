/* package_deps.c - external packages: npm installs them (spec 04 section 10.2, build_deps).
 *
 * The registry is the one that the machine's npm is configured for.  The result is kept under the
 * list of packages, so an unchanged list costs nothing.
 *
 * Thread: any, one at a time (node_packages.making).  Memory: an arena of the call.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "node/child.h"
#include "node/package_int.h"
#include "os/file.h"

#define INSTALL_TIMEOUT_NS ((uint64_t)300 * 1000000000u)
#define OUTPUT_MAX         ((size_t)64 << 10) /* of npm's own words */
#define NAME_MAX_BYTES     214                /* npm's own limit */

/* npm reads its settings and reaches its registry through these. */
static const char *const npm_variables[] = { "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ",
	"TMPDIR", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
	"npm_config_*", "NPM_CONFIG_*", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"XDG_*", NULL };

static bool
is_plain(str s, const char *more)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr(more, c)) ||
		    c == 0)
			return false;
	}
	return s.n > 0;
}

/* "sharp", "@aws-sdk/client-s3": nothing that npm would read as a folder, URL or option. */
static bool
is_package_name(str name)
{
	size_t at;

	if (name.n > NAME_MAX_BYTES)
		return false;
	if (!str_starts(name, S("@")))
		return is_plain(name, "-._~") && name.p[0] != '.' && name.p[0] != '-';
	if (!str_find_char(name, '/', &at))
		return false;
	return is_plain(str_of(name.p + 1, at - 1), "-._~") &&
	       is_plain(str_from(name, at + 1), "-._~") && name.p[at + 1] != '.';
}

static bool
is_version(str version)
{
	return version.n <= NAME_MAX_BYTES && is_plain(version, "-+._") && version.p[0] >= '0' &&
	       version.p[0] <= '9';
}

static status
check_names(const struct node_dep *deps, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!is_package_name(deps[i].name) || !is_version(deps[i].version))
			return err_set(e, ST_BAD_REQUEST, "InvalidExternalModules",
			    "External package %.*s@%.*s cannot be installed: a package of the npm "
			    "registry and its exact version are needed.",
			    STR_ARG(deps[i].name), STR_ARG(deps[i].version));
	return ST_OK;
}

static status
write_manifest(
    const char *folder, struct arena *a, const struct node_dep *deps, size_t n, struct err *e)
{
	struct buf b;
	status st;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_addz(&b, "{\"private\":true,\"dependencies\":{");
	for (size_t i = 0; i < n; i++) {
		json_comma(&b);
		json_write_str(&b, deps[i].name);
		buf_addz(&b, ":");
		json_write_str(&b, deps[i].version);
	}
	buf_addz(&b, "}}");
	st = file_write_atomic(arena_fmt(a, "%s/package.json", folder).p, buf_str(&b), e);
	buf_clear(&b);
	return st;
}

static status
run_npm(const char *folder, struct arena *a, struct err *e)
{
	const char *npm = child_find(a, "npm");
	const char *argv[] = { npm, "install", "--no-audit", "--no-fund", "--no-update-notifier",
		"--omit=dev", "--loglevel=error", NULL };
	struct child_opts o = { .argv = argv,
		.envp = child_environment(a, npm_variables),
		.folder = folder,
		.link = -1 };
	struct buf out;
	bool good = false;
	status st;

	if (!npm)
		return err_set(e, ST_BAD_REQUEST, "InvalidExternalModules",
		    "External packages cannot be installed: npm was not found on the server. "
		    "Install Node.js with npm there.");
	buf_init(&out, OUTPUT_MAX);
	st = child_run(&o, INSTALL_TIMEOUT_NS, &out, &good, e);
	if (st == ST_OK && !good)
		st = err_set(e, ST_BAD_REQUEST, "InvalidExternalModules",
		    "npm install of the external packages failed:\n%.*s",
		    STR_ARG(str_trim(buf_str(&out))));
	buf_clear(&out);
	return st;
}

/* It is kept across power failures, so it must be whole once it has its name. */
static status
sync_folder(const char *folder, struct err *e)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd >= 0 && syncfs(fd) == 0;

	if (fd >= 0)
		(void)close(fd);
	return good ? ST_OK : err_os(e, "cannot sync", folder);
}

static status
install(struct arena *a, const char *deps_folder, const char *final, const struct node_dep *deps,
    size_t n, struct err *e)
{
	const char *fresh;
	status st;

	TRY(check_names(deps, n, e));
	TRY(folder_new(a, deps_folder, &fresh, e));
	st = write_manifest(fresh, a, deps, n, e);
	if (st == ST_OK)
		st = run_npm(fresh, a, e);
	if (st == ST_OK)
		st = file_mkdirs(arena_fmt(a, "%s/node_modules", fresh).p, e);
	if (st == ST_OK)
		st = sync_folder(fresh, e);
	if (st == ST_OK && rename(fresh, final) != 0)
		st = err_os(e, "cannot rename", fresh);
	if (st != ST_OK)
		folder_remove(fresh);
	return st;
}

status
node_deps_install(struct node_packages *ps, str key, const struct node_dep *deps, size_t n,
    uint64_t *bytes, struct err *e)
{
	struct arena *a = arena_new();
	const char *folder = arena_fmt(a, "%s/deps", ps->folder).p;
	const char *final = arena_fmt(a, "%s/%.*s", folder, STR_ARG(key)).p;
	status st = ST_OK;

	if (!file_exists(final))
		st = install(a, folder, final, deps, n, e);
	if (st == ST_OK) {
		folder_touch(final);
		*bytes += folder_bytes(final);
	}
	arena_free(a);
	return st;
}

/* files.c - objects on disk: names, writing whole, reading whole, removing.
 *
 * Thread: any.  Memory: struct files, and paths for the length of a call.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "files/files_int.h"
#include "os/file.h"

#define TMP_SUFFIX ".tmp"

/* --- names --- */

void
files_uuid(const struct os *os, char ret[FILE_KEY + 1])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t           b[16];
	size_t            at = 0;

	os_random(os, b, sizeof b);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[at++] = '-';
		ret[at++] = hex[b[i] >> 4];
		ret[at++] = hex[b[i] & 15];
	}
	ret[at] = '\0';
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool
files_is_uuid(str s)
{
	if (s.n != FILE_KEY)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s.p[i] != '-' : !is_hex(s.p[i]))
			return false;
	}
	return true;
}

/* The path of an object; keys come out of rows, so they are checked before they become one. */
static bool
path_of(const struct files *f, str key, const char *suffix, char ret[FILES_PATH_MAX])
{
	int n;

	if (!files_is_uuid(key))
		return false;
	n = snprintf(ret, FILES_PATH_MAX, "%s/%.*s.blob%s", f->dir, STR_ARG(key), suffix);
	return n > 0 && n < FILES_PATH_MAX;
}

/* --- writing --- */

status
file_sink_open(struct files *f, struct file_sink *s, struct err *e)
{
	char path[FILES_PATH_MAX];

	*s = (struct file_sink){ .fd = -1 };
	files_uuid(f->os, s->info.key);
	must(path_of(f, str_z(s->info.key), TMP_SUFFIX, path));
	s->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (s->fd < 0)
		return err_os(e, "open", path);
	s->hash = sha256_new();
	return ST_OK;
}

static status
write_failed(struct err *e)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return err_set(e, ST_OVERLOADED, "StorageFull",
		    "There is no space left for files on this server.");
	return err_os(e, "write", "a stored file");
}

status
file_sink_write(struct file_sink *s, str bytes, struct err *e)
{
	sha256_add(s->hash, bytes);
	s->info.size += bytes.n;
	while (bytes.n > 0) {
		ssize_t n = write(s->fd, bytes.p, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return write_failed(e);
		bytes = str_from(bytes, (size_t)n);
	}
	return ST_OK;
}

static status
sync_dir(const struct files *f, struct err *e)
{
	int    fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	status st = fd >= 0 && fsync(fd) == 0 ? ST_OK : err_os(e, "fsync", f->dir);

	if (fd >= 0)
		close(fd);
	return st;
}

status
file_sink_finish(struct files *f, struct file_sink *s, struct err *e)
{
	char        tmp[FILES_PATH_MAX], path[FILES_PATH_MAX];
	const char *there = tmp;
	status      st = ST_OK;

	must(path_of(f, str_z(s->info.key), TMP_SUFFIX, tmp));
	must(path_of(f, str_z(s->info.key), "", path));
	sha256_end_free(s->hash, s->info.sha256);
	s->hash = NULL;
	if (fdatasync(s->fd) != 0)
		st = write_failed(e);
	close(s->fd);
	s->fd = -1;
	if (st == ST_OK && rename(tmp, path) != 0)
		st = err_os(e, "rename", path);
	if (st == ST_OK) {
		there = path;
		st = sync_dir(f, e);
	}
	if (st != ST_OK)
		unlink(there);
	return st;
}

void
file_sink_abort(struct files *f, struct file_sink *s)
{
	char    tmp[FILES_PATH_MAX];
	uint8_t unused[32];

	if (s->hash)
		sha256_end_free(s->hash, unused);
	if (s->fd < 0)
		return;
	close(s->fd);
	must(path_of(f, str_z(s->info.key), TMP_SUFFIX, tmp));
	unlink(tmp);
}

status
files_put_now(struct files *f, str bytes, struct file_info *ret, struct err *e)
{
	struct file_sink s;
	status           st;

	TRY(file_sink_open(f, &s, e));
	st = file_sink_write(&s, bytes, e);
	if (st != ST_OK) {
		file_sink_abort(f, &s);
		return st;
	}
	TRY(file_sink_finish(f, &s, e));
	*ret = s.info;
	return ST_OK;
}

/* --- reading --- */

int
files_open_object(struct files *f, str key)
{
	char path[FILES_PATH_MAX];

	return path_of(f, key, "", path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

status
files_get_now(struct files *f, str key, struct buf *ret, struct err *e)
{
	char path[FILES_PATH_MAX];

	if (!path_of(f, key, "", path))
		return err_set(e, ST_NOT_FOUND, "FileNotFound", "there is no such file");
	return file_read(path, ret, e);
}

void
files_remove(struct files *f, str key)
{
	char path[FILES_PATH_MAX];

	if (path_of(f, key, "", path))
		unlink(path);
}

/* --- life --- */

/* What was being written when the process ended belongs to nobody. */
static status
remove_unfinished(const struct files *f, struct err *e)
{
	DIR           *d = opendir(f->dir);
	struct dirent *x;

	if (!d)
		return err_os(e, "opendir", f->dir);
	while ((x = readdir(d)) != NULL)
		if (str_ends(str_z(x->d_name), S(TMP_SUFFIX)))
			unlinkat(dirfd(d), x->d_name, 0);
	closedir(d);
	return ST_OK;
}

status
files_open(const char *dir, const struct os *os, struct files **ret, struct err *e)
{
	struct files *f;
	status        st;

	if (strlen(dir) + FILE_KEY + 16 > FILES_PATH_MAX)
		return err_set(e, ST_BAD_REQUEST, "Usage", "the path '%s' is too long", dir);
	TRY(file_mkdirs(dir, e));
	f = MEM_NEW(struct files);
	f->os = os;
	snprintf(f->dir, sizeof f->dir, "%s", dir);
	st = remove_unfinished(f, e);
	if (st != ST_OK) {
		mem_free(f);
		return st;
	}
	pumps_init(f);
	*ret = f;
	return ST_OK;
}

void
files_stop(struct files *f)
{
	if (f)
		pumps_stop(f);
}

void
files_close(struct files *f)
{
	if (!f)
		return;
	pumps_stop(f);
	pumps_clear(f);
	mem_free(f);
}

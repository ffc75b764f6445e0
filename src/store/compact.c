/* compact.c - see compact.h.
 *
 * The new file is filled by SQLite from the old one, attached to the same connection, with
 * neither journal nor syncs: it counts for nothing until it is complete.  Then the order is
 *
 *     close both: the old file has no write-ahead log any more that could be taken for the new
 *     file's; sync the new file; sync the directory; rename; sync the directory
 *
 * Thread and memory: compact.h.
 */
#include "store/compact.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/disk.h"
#include "os/file.h"
#include "store/sqlite_int.h"

struct compaction {
	const char                *path;
	str                        fresh; /* name of the new file, NUL behind it */
	const struct compact_opts *opts;
	struct arena              *arena;
	sqlite3                   *db; /* the new file is main, the old one is "old" */
	struct sqlite_totals       totals;
	ts_t                       newest;
};

static status
execute(struct compaction *c, const char *sql, struct err *e)
{
	if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_refuse(c->db, e, c->path);
	return ST_OK;
}

static uint64_t
size_of(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

/* --- filling the new file --- */

/* fresnel_sum(ts, table_id, id, json_value, prev_ts): the checksum, counted in the totals. */
static void
sum_function(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	struct compaction *c = sqlite3_user_data(ctx);
	struct uid         tablet, id;
	uint64_t           sum;

	(void)n;
	if (sqlite3_value_bytes(v[1]) != sizeof tablet.b ||
	    sqlite3_value_bytes(v[2]) != sizeof id.b) {
		sqlite3_result_error(ctx, "an id does not have 16 bytes", -1);
		return;
	}
	memcpy(tablet.b, sqlite3_value_blob(v[1]), sizeof tablet.b);
	memcpy(id.b, sqlite3_value_blob(v[2]), sizeof id.b);
	sum = sqlite_sum((ts_t)sqlite3_value_int64(v[0]), &tablet, &id,
	    str_of((const char *)sqlite3_value_blob(v[3]), (size_t)sqlite3_value_bytes(v[3])),
	    (ts_t)sqlite3_value_int64(v[4]));
	c->totals.count++;
	c->totals.sum += sum;
	sqlite3_result_int64(ctx, (sqlite3_int64)sum);
}

static const char fill_sql[] =
    "INSERT INTO main.documents (id, ts, table_id, json_value, deleted, prev_ts, sum)"
    " SELECT id, ts, table_id, json_value, deleted, prev_ts,"
    " fresnel_sum(ts, table_id, id, json_value, ifnull(prev_ts, 0)) FROM old.documents d"
    " WHERE NOT deleted AND NOT EXISTS (SELECT 1 FROM old.documents n"
    " WHERE n.table_id = d.table_id AND n.id = d.id AND n.ts > d.ts) ORDER BY ts, table_id, id;"
    "INSERT INTO main.indexes SELECT index_id, ts, key, deleted, table_id, document_id"
    " FROM old.indexes i WHERE NOT deleted AND NOT EXISTS (SELECT 1 FROM old.indexes n"
    " WHERE n.index_id = i.index_id AND n.key = i.key AND n.ts > i.ts)"
    " ORDER BY index_id, key, ts;"
    "INSERT INTO main.persistence_globals SELECT key, json_value FROM old.persistence_globals;";

static status
attach(struct compaction *c, struct err *e)
{
	static const char pragmas[] = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
				      "PRAGMA cache_size = -65536;";
	sqlite3_stmt *st = NULL;
	int           rc;

	TRY(sqlite_connect(
	    c->fresh.p, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, pragmas, &c->db, e));
	rc = sqlite3_prepare_v2(c->db, "ATTACH ?1 AS old", -1, &st, NULL);
	if (rc == SQLITE_OK)
		sqlite3_bind_text(st, 1, c->path, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	sqlite3_finalize(st);
	if (rc == SQLITE_DONE)
		rc = sqlite3_create_function(c->db, "fresnel_sum", 5,
		    SQLITE_UTF8 | SQLITE_DIRECTONLY, c, sum_function, NULL, NULL);
	return rc == SQLITE_OK ? ST_OK : sqlite_refuse(c->db, e, c->path);
}

static status
query(struct compaction *c, const char *sql, uint64_t *ret, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int           rc = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
		*ret = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? ST_OK : sqlite_refuse(c->db, e, c->path);
}

static status
put_globals(struct compaction *c, struct err *e)
{
	struct store_global globals[COMPACT_GLOBALS];
	size_t              n = c->opts->globals(c->opts->arg, c->arena, c->newest, globals);
	sqlite3_stmt       *st = NULL;
	int                 rc;

	must(n <= COMPACT_GLOBALS);
	rc = sqlite3_prepare_v2(c->db,
	    "INSERT OR REPLACE INTO main.persistence_globals VALUES (?1, ?2)", -1, &st, NULL);
	for (size_t i = 0; i < n && (rc == SQLITE_OK || rc == SQLITE_DONE); i++) {
		const struct store_global *g = &globals[i];

		sqlite3_bind_text64(st, 1, g->key.p, g->key.n, SQLITE_STATIC, SQLITE_UTF8);
		sqlite3_bind_text64(st, 2, g->json.p, g->json.n, SQLITE_STATIC, SQLITE_UTF8);
		rc = sqlite3_step(st);
		sqlite3_reset(st);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_OK || rc == SQLITE_DONE ? ST_OK : sqlite_refuse(c->db, e, c->path);
}

/* What the new file must agree with before it takes the place of the old one. */
static status
check_fill(struct compaction *c, struct err *e)
{
	sqlite3_stmt *st = NULL;
	bool          sound;

	if (c->totals.count != c->opts->documents)
		return err_set(e, ST_OPERATIONAL, "DatabaseDamaged",
		    "%llu of %llu documents of '%s' could be copied: it stays as it is",
		    (unsigned long long)c->totals.count, (unsigned long long)c->opts->documents,
		    c->path);
	if (sqlite3_prepare_v2(c->db, "PRAGMA main.quick_check(1)", -1, &st, NULL) != SQLITE_OK)
		return sqlite_refuse(c->db, e, c->path);
	sound = sqlite3_step(st) == SQLITE_ROW && str_eq(sqlite_column_bytes(st, 0), S("ok"));
	sqlite3_finalize(st);
	return sound ? ST_OK
		     : err_set(e, ST_OPERATIONAL, "DatabaseUnavailable",
			   "the new file '%s' is damaged: is the disk in order?", c->fresh.p);
}

static status
fill(struct compaction *c, struct err *e)
{
	char sql[160];

	TRY(attach(c, e));
	TRY(execute(c, sqlite_schema_sql, e));
	/* Made again at the end: sorting is cheaper than a tree that grows in any order. */
	TRY(execute(c, "DROP INDEX main.documents_by_table_and_id; BEGIN", e));
	TRY(query(c, "SELECT ifnull(max(ts), 0) FROM old.documents", &c->newest, e));
	TRY(execute(c, fill_sql, e));
	TRY(put_globals(c, e));
	snprintf(sql, sizeof sql, "UPDATE main.fresnel_totals SET count = %lld, sum = %lld; COMMIT",
	    (long long)c->totals.count, (long long)c->totals.sum);
	TRY(execute(c, sql, e));
	TRY(execute(c, sqlite_schema_sql, e));
	return check_fill(c, e);
}

/* --- exchanging the files --- */

static status
sync_file(struct compaction *c, struct err *e)
{
	int         fd = open(c->fresh.p, O_RDWR | O_CLOEXEC);
	struct stat info;
	status      st = ST_OK;

	/* The owner cannot be given away by everybody: then it stays who it is. */
	if (fd < 0 || stat(c->path, &info) != 0 || fchmod(fd, info.st_mode & 07777) != 0 ||
	    (fchown(fd, info.st_uid, info.st_gid) != 0 && geteuid() == 0) || fsync(fd) != 0)
		st = err_os(e, "sync", c->fresh.p);
	if (fd >= 0)
		close(fd);
	return st;
}

static status
sync_dir(struct compaction *c, struct err *e)
{
	const struct disk *disk = disk_real();
	str                dir = S(".");
	size_t             slash;
	const char        *name;

	if (str_rfind_char(str_z(c->path), '/', &slash))
		dir = str_head(str_z(c->path), slash ? slash : 1);
	name = arena_z(c->arena, dir);
	return disk->sync_dir(disk->arg, name) == 0 ? ST_OK : err_os(e, "sync", name);
}

static status
exchange(struct compaction *c, struct err *e)
{
	TRY(sync_file(c, e));
	if (size_of(arena_fmt(c->arena, "%s-wal", c->path).p) > 0)
		return err_set(e, ST_OPERATIONAL, "DatabaseUnavailable",
		    "the write-ahead log of '%s' is not empty: it stays as it is", c->path);
	TRY(sync_dir(c, e));
	if (rename(c->fresh.p, c->path) != 0)
		return err_os(e, "rename", c->fresh.p);
	return sync_dir(c, e);
}

/* Opening and closing it applies what is in the commit log. */
static status
settle(struct compaction *c, struct err *e)
{
	struct store s;

	if (access(c->path, F_OK) != 0)
		return err_set(e, ST_NOT_FOUND, "DatabaseNotFound", "there is no database '%s'",
		    c->path);
	TRY(store_open_sqlite(c->path, &s, e));
	store_close(&s);
	return ST_OK;
}

static status
compact_locked(struct compaction *c, struct err *e)
{
	uint32_t version = 0;
	sqlite3 *old = NULL;
	status   st;

	st = sqlite_connect(c->path, SQLITE_OPEN_READWRITE, "", &old, e);
	if (st == ST_OK)
		st = sqlite_read_format(old, c->path, &version, e);
	sqlite3_close(old);
	TRY(st);
	if (version != SQLITE_FORMAT_VERSION)
		return err_set(e, ST_OPERATIONAL, "DatabaseNotClosed",
		    "the commit log of '%s' could not be put away: it stays as it is", c->path);
	unlink(c->fresh.p); /* of an attempt that was killed */
	st = fill(c, e);
	if (sqlite3_close(c->db) != SQLITE_OK && st == ST_OK)
		st = err_internal(e, "compact: a statement is left open");
	if (st == ST_OK)
		st = exchange(c, e);
	if (st != ST_OK)
		unlink(c->fresh.p);
	return st;
}

status
compact_file(const char *path, const struct compact_opts *opts, struct compact_sizes *ret,
    struct err *e)
{
	struct compaction    c = { .path = path, .opts = opts, .arena = arena_new() };
	struct compact_sizes sizes;
	int                  lock_fd = -1;
	status               st;

	c.fresh = arena_fmt(c.arena, "%s.compact", path);
	st = settle(&c, e);
	sizes.before = size_of(path);
	if (st == ST_OK)
		st = sqlite_take_lock(path, &lock_fd, e);
	if (st == ST_OK)
		st = compact_locked(&c, e);
	if (lock_fd >= 0)
		file_unlock(lock_fd);
	arena_free(c.arena);
	if (st != ST_OK)
		return st;
	sizes.after = size_of(path);
	*ret = sizes;
	return ST_OK;
}

/* package.c - packages: named by content, written as folders, remembered while in use.
 *
 * Thread, memory: package.h.
 */
#include "node/package.h"

#include <stdio.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "node/package_int.h"
#include "os/file.h"
#include "runtime/thread.h"
#include "value/pack.h"

#define LAYOUT "1" /* of the folder: part of the key, so that another layout makes new folders */

/* --- names --- */

static void
hash_text(struct sha256 *h, str s)
{
	char room[8];
	uint64_t n = s.n;

	memcpy(room, &n, sizeof room);
	sha256_add(h, str_of(room, sizeof room));
	if (s.n)
		sha256_add(h, s);
}

static str
hash_done(struct arena *a, struct sha256 *h)
{
	struct buf hex;
	uint8_t digest[32];
	str ret;

	sha256_end_free(h, digest);
	buf_init(&hex, 64);
	enc_hex(&hex, str_of(digest, sizeof digest));
	ret = arena_str(a, buf_str(&hex));
	buf_clear(&hex);
	return ret;
}

/* Indexes of n things in the order of their names. */
static const size_t *
in_order(struct arena *a, size_t n, str (*name)(const void *list, size_t i), const void *list)
{
	size_t *order = ARENA_ARRAY(a, size_t, n);

	for (size_t i = 0; i < n; i++) {
		size_t k = i;

		for (; k > 0 && str_cmp(name(list, order[k - 1]), name(list, i)) > 0; k--)
			order[k] = order[k - 1];
		order[k] = i;
	}
	return order;
}

static str
module_name(const void *list, size_t i)
{
	return ((const struct node_module *)list)[i].path;
}

static str
dep_name(const void *list, size_t i)
{
	return ((const struct node_dep *)list)[i].name;
}

str
node_deps_key(struct arena *a, const struct node_dep *deps, size_t n)
{
	const size_t *order = in_order(a, n, dep_name, deps);
	struct sha256 *h = sha256_new();

	hash_text(h, S(LAYOUT));
	for (size_t i = 0; i < n; i++) {
		hash_text(h, deps[order[i]].name);
		hash_text(h, deps[order[i]].version);
	}
	return hash_done(a, h);
}

str
node_package_key(struct arena *a, const struct node_content *c)
{
	const size_t *order = in_order(a, c->nmodules, module_name, c->modules);
	struct sha256 *h = sha256_new();

	hash_text(h, S(LAYOUT));
	hash_text(h, c->ndeps ? node_deps_key(a, c->deps, c->ndeps) : STR_EMPTY);
	for (size_t i = 0; i < c->nmodules; i++) {
		const struct node_module *m = &c->modules[order[i]];

		hash_text(h, m->path);
		hash_text(h, m->source);
		hash_text(h, m->source_map.p ? m->source_map : STR_EMPTY);
	}
	return hash_done(a, h);
}

/* --- all of them --- */

static bool
keep_none(void *arg, str name)
{
	(void)arg;
	(void)name;
	return false;
}

status
node_packages_open(const char *folder, struct node_packages **ret, struct err *e)
{
	struct arena *a = arena_new();
	struct node_packages *ps;
	status st;

	st = file_mkdirs(arena_fmt(a, "%s/packages", folder).p, e);
	if (st == ST_OK)
		st = file_mkdirs(arena_fmt(a, "%s/deps", folder).p, e);
	if (st == ST_OK) {
		str resolved = str_z(file_resolve(folder, a));

		ps = MEM_NEW(struct node_packages);
		ps->folder = mem_alloc(resolved.n + 1);
		memcpy(ps->folder, resolved.p, resolved.n);
		ps->folder[resolved.n] = 0;
		ps->used = map_new();
		must(pthread_mutex_init(&ps->lock, NULL) == 0);
		must(pthread_mutex_init(&ps->making, NULL) == 0);
		/* Written without fsync: they do not outlive us. */
		folder_trim(arena_fmt(a, "%s/packages", folder).p, 0, keep_none, NULL);
		folder_trim(arena_fmt(a, "%s/deps", folder).p, NODE_PACKAGES_KEPT, keep_none, NULL);
		*ret = ps;
	}
	arena_free(a);
	return st;
}

void
node_packages_close(struct node_packages *ps)
{
	if (!ps)
		return;
	must(map_count(ps->used) == 0);
	map_free(ps->used);
	must(pthread_mutex_destroy(&ps->lock) == 0);
	must(pthread_mutex_destroy(&ps->making) == 0);
	mem_free(ps->folder);
	mem_free(ps);
}

static bool
package_in_use(void *arg, str name)
{
	struct node_packages *ps = arg;

	MUTEX_GUARD(&ps->lock);
	return map_get(ps->used, name) != NULL;
}

static bool
deps_in_use(void *arg, str name)
{
	struct node_packages *ps = arg;
	size_t pos = 0;
	str key;
	void *p;

	MUTEX_GUARD(&ps->lock);
	while (map_next(ps->used, &pos, &key, &p))
		if (str_eq(((struct node_package *)p)->deps_key, name))
			return true;
	return false;
}

/* --- one --- */

/* A reference to the package that is in use, or NULL. */
static struct node_package *
find_used(struct node_packages *ps, str key)
{
	struct node_package *p;

	MUTEX_GUARD(&ps->lock);
	p = map_get(ps->used, key);
	return p ? node_package_ref(p) : NULL;
}

static struct node_package *
use(struct node_packages *ps, str key, str deps_key)
{
	struct arena *a = arena_new();
	struct node_package *p = ARENA_NEW(a, struct node_package);

	p->ps = ps;
	p->refs = 1;
	p->arena = a;
	p->key = arena_str(a, key);
	p->deps_key = arena_str(a, deps_key);
	p->folder = arena_fmt(a, "%s/packages/%.*s", ps->folder, STR_ARG(key)).p;
	p->bytes = folder_bytes(p->folder);
	folder_touch(p->folder);
	MUTEX_GUARD(&ps->lock);
	must(!map_put(ps->used, p->key, p));
	return p;
}

struct node_package *
node_package_ref(struct node_package *p)
{
	p->refs++;
	return p;
}

void
node_package_unref(struct node_package *p)
{
	struct node_packages *ps = p ? p->ps : NULL;

	if (!p)
		return;
	must(pthread_mutex_lock(&ps->lock) == 0); /* against find_used() of the last reference */
	if (--p->refs > 0)
		p = NULL;
	else
		must(map_del(ps->used, p->key) == p);
	must(pthread_mutex_unlock(&ps->lock) == 0);
	if (p)
		arena_free(p->arena);
}

const char *
node_package_folder(const struct node_package *p)
{
	return p->folder;
}

str
node_package_name(const struct node_package *p)
{
	return p->key;
}

uint64_t
node_package_bytes(const struct node_package *p)
{
	return p->bytes;
}

bool
node_package_has(const struct node_package *p, str path)
{
	struct arena *a = arena_new();
	bool has = file_exists(arena_fmt(a, "%s/modules/%.*s", p->folder, STR_ARG(path)).p);

	arena_free(a);
	return has;
}

bool
node_package_map(const struct node_package *p, str path, struct buf *ret)
{
	struct arena *a = arena_new();
	status st;

	st = file_read(arena_fmt(a, "%s/modules/%.*s.map", p->folder, STR_ARG(path)).p, ret, NULL);
	arena_free(a);
	return st == ST_OK && buf_ok(ret);
}

/* --- making --- */

static status
write_file(struct arena *a, const char *folder, str path, str content, struct err *e)
{
	str full = arena_fmt(a, "%s/%.*s", folder, STR_ARG(path));
	size_t slash;
	FILE *f;
	bool good;

	must(str_rfind_char(full, '/', &slash));
	TRY(file_mkdirs(arena_z(a, str_head(full, slash)), e));
	f = fopen(full.p, "we");
	if (!f)
		return err_os(e, "cannot write", full.p);
	good = fwrite(content.p, 1, content.n, f) == content.n;
	good = fclose(f) == 0 && good;
	return good ? ST_OK : err_os(e, "cannot write", full.p);
}

static status
write_modules(struct arena *a, const char *folder, const struct node_content *c, struct err *e)
{
	const char *modules = arena_fmt(a, "%s/modules", folder).p;

	TRY(write_file(a, folder, S("package.json"), S("{\"type\":\"module\"}\n"), e));
	for (size_t i = 0; i < c->nmodules; i++) {
		const struct node_module *m = &c->modules[i];

		TRY(write_file(a, modules, m->path, m->source, e));
		if (m->source_map.p)
			TRY(write_file(a, modules, arena_fmt(a, "%.*s.map", STR_ARG(m->path)),
			    m->source_map, e));
	}
	return ST_OK;
}

static status
link_deps(struct arena *a, const char *folder, str deps_key, struct err *e)
{
	const char *target = arena_fmt(a, "../../deps/%.*s/node_modules", STR_ARG(deps_key)).p;

	if (deps_key.n && symlink(target, arena_fmt(a, "%s/node_modules", folder).p) != 0)
		return err_os(e, "cannot link", target);
	return ST_OK;
}

static status
check_size(const struct node_content *c, uint64_t bytes, struct err *e)
{
	struct buf b;

	for (size_t i = 0; i < c->nmodules; i++)
		bytes += c->modules[i].source.n + c->modules[i].source_map.n;
	if (bytes <= NODE_PACKAGE_MAX_BYTES)
		return ST_OK;
	buf_init(&b, 64);
	buf_add_size(&b, bytes);
	(void)err_set(e, ST_BAD_REQUEST, "ModulesTooLarge",
	    "Total module size exceeded the unzipped maximum (%.*s > maximum %d MB)",
	    STR_ARG(buf_str(&b)), (int)(NODE_PACKAGE_MAX_BYTES / 1000000));
	buf_clear(&b);
	return ST_BAD_REQUEST;
}

static status
write_folder(struct node_packages *ps, struct arena *a, const char *final,
    const struct node_content *c, str deps_key, struct err *e)
{
	const char *fresh;
	status st;

	TRY(folder_new(a, arena_fmt(a, "%s/packages", ps->folder).p, &fresh, e));
	st = write_modules(a, fresh, c, e);
	if (st == ST_OK)
		st = link_deps(a, fresh, deps_key, e);
	if (st == ST_OK && rename(fresh, final) != 0)
		st = err_os(e, "cannot rename", fresh);
	if (st != ST_OK)
		folder_remove(fresh);
	return st;
}

static status
make(struct node_packages *ps, struct arena *a, str key, const struct node_content *c,
    struct node_package **ret, struct err *e)
{
	const char *final = arena_fmt(a, "%s/packages/%.*s", ps->folder, STR_ARG(key)).p;
	str deps_key = c->ndeps ? node_deps_key(a, c->deps, c->ndeps) : STR_EMPTY;
	uint64_t bytes = 0;

	if (c->ndeps)
		TRY(node_deps_install(ps, deps_key, c->deps, c->ndeps, &bytes, e));
	TRY(check_size(c, bytes, e));
	if (!file_exists(final))
		TRY(write_folder(ps, a, final, c, deps_key, e));
	*ret = use(ps, key, deps_key);
	folder_trim(
	    arena_fmt(a, "%s/packages", ps->folder).p, NODE_PACKAGES_KEPT, package_in_use, ps);
	folder_trim(arena_fmt(a, "%s/deps", ps->folder).p, NODE_PACKAGES_KEPT, deps_in_use, ps);
	return ST_OK;
}

status
node_package_make(struct node_packages *ps, const struct node_content *c, struct node_package **ret,
    struct err *e)
{
	struct arena *a = arena_new();
	str key = node_package_key(a, c);
	struct node_package *p = find_used(ps, key);
	status st = ST_OK;

	if (!p) {
		MUTEX_GUARD(&ps->making);
		p = find_used(ps, key);
		if (!p)
			st = make(ps, a, key, c, &p, e);
	}
	if (st == ST_OK)
		*ret = p;
	arena_free(a);
	return st;
}

/* --- from the database --- */

struct reading {
	struct txn *t;
	str key;
	VEC(struct node_module) modules;
	VEC(struct node_dep) deps;
	VEC(str) hashes; /* of the modules' sources */
};

static str
text_of(struct val doc, const char *field)
{
	struct val v = val_get(doc, str_z(field));

	return val_kind(v) == VAL_STRING ? val_str(v) : STR_EMPTY;
}

static bool
read_row(void *arg, struct doc *d)
{
	struct reading *r = arg;
	struct node_module m = { .path = text_of(doc_val(d), "path") };

	if (!str_eq(text_of(doc_val(d), "environment"), S("node")) ||
	    !str_eq(text_of(doc_val(d), "sourcePackageId"), r->key))
		return true;
	vec_push(&r->modules, m);
	vec_push(&r->hashes, text_of(doc_val(d), "sha256"));
	return true;
}

static status
read_source(struct reading *r, size_t i, struct err *e)
{
	struct val hash = val_of_str(txn_arena(r->t), r->hashes.v[i]);
	struct doc *row = NULL;
	struct val map;

	TRY(txn_sys_first(r->t, S("_module_sources"), S("by_sha256"), &hash, 1, &row, e));
	if (!row)
		return err_internal(
		    e, "the source of %.*s is missing", STR_ARG(r->modules.v[i].path));
	r->modules.v[i].source = text_of(doc_val(row), "source");
	map = val_get(doc_val(row), S("sourceMap"));
	if (val_kind(map) == VAL_STRING)
		r->modules.v[i].source_map = val_str(map);
	return ST_OK;
}

static bool
read_deps(void *arg, struct doc *d)
{
	struct reading *r = arg;
	struct val list = val_get(doc_val(d), S("deps"));

	if (val_kind(list) != VAL_ARRAY)
		return true;
	for (size_t i = 0; i < val_count(list); i++) {
		struct node_dep dep = { text_of(val_at(list, i), "package"),
			text_of(val_at(list, i), "version") };

		vec_push(&r->deps, dep);
	}
	return true;
}

static status
read_content(struct reading *r, struct err *e)
{
	TRY(txn_sys_each(r->t, S("_modules"), S("by_path"), NULL, 0, read_row, r, e));
	for (size_t i = 0; i < r->modules.n; i++)
		TRY(read_source(r, i, e));
	return txn_sys_each(
	    r->t, S("_external_deps_packages"), S("by_creation_time"), NULL, 0, read_deps, r, e);
}

static status
make_from_rows(
    struct node_packages *ps, struct txn *t, str key, struct node_package **ret, struct err *e)
{
	struct reading r = { .t = t, .key = key };
	struct node_content c;
	status st = read_content(&r, e);

	c = (struct node_content){ r.modules.n, r.modules.v, r.deps.n, r.deps.v };
	if (st == ST_OK)
		st = node_package_make(ps, &c, ret, e);
	vec_clear(&r.modules);
	vec_clear(&r.deps);
	vec_clear(&r.hashes);
	return st;
}

status
node_package_of_module(
    struct node_packages *ps, struct txn *t, str path, struct node_package **ret, struct err *e)
{
	struct val wanted = val_of_str(txn_arena(t), path);
	struct doc *row = NULL;
	struct node_package *p;
	str key;

	TRY(txn_sys_first(t, S("_modules"), S("by_path"), &wanted, 1, &row, e));
	if (!row || !str_eq(text_of(doc_val(row), "environment"), S("node")))
		return err_set(e, ST_BAD_REQUEST, "WrongEnvironment",
		    "Trying to execute %.*s in Node, but it is bundled for isolate", STR_ARG(path));
	key = text_of(doc_val(row), "sourcePackageId");
	p = find_used(ps, key);
	if (!p)
		return make_from_rows(ps, t, key, ret, e);
	*ret = p;
	return ST_OK;
}

/* executor_analyze.c - what modules for Node.js register, asked of Node.js itself.
 *
 * Thread: any.  Memory: results in the caller's arena.
 */
#include "node/executor_int.h"

#define ANALYZE_NS ((uint64_t)60 * 1000000000u)

struct examination {
	struct node_package *package;
	const str *paths;
	size_t npaths;
	struct arena *arena;
	uint64_t deadline_ns;
	bool poisoned;
	struct buf lines; /* of the console, for the error's text */
};

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

static void
read_position(const struct json *j, struct node_function *f)
{
	f->has_pos = json_get_u32(j, "line", &f->line) && json_get_u32(j, "col", &f->col);
}

static void
read_functions(const struct json *list, struct arena *a, struct node_analyzed *m)
{
	m->functions = ARENA_ARRAY(a, struct node_function, list ? list->n : 0);
	for (size_t i = 0; list && list->kind == JSON_ARRAY && i < list->n; i++) {
		const struct json *j = &list->items[i];
		struct node_function *f = &m->functions[m->nfunctions++];

		(void)json_get_str(j, "name", &f->name);
		(void)json_get_str(j, "visibility", &f->visibility);
		(void)json_get_str(j, "args", &f->args);
		(void)json_get_str(j, "returns", &f->returns);
		read_position(json_get(j, "pos"), f);
	}
}

static void
read_modules(struct examination *ex, const struct json *modules, struct node_analyzed **ret)
{
	*ret = ARENA_ARRAY(ex->arena, struct node_analyzed, ex->npaths);
	for (size_t i = 0; i < ex->npaths; i++) {
		struct node_analyzed *m = &(*ret)[i];

		m->path = arena_str(ex->arena, ex->paths[i]);
		read_functions(json_get(modules, m->path.p), ex->arena, m);
	}
}

static status
refuse(struct examination *ex, const struct json *j, struct err *e)
{
	str text = str_trim(node_error_text(ex->package, j, ex->arena)), path = STR_EMPTY;

	(void)json_get_str(j, "path", &path);
	text = arena_fmt(ex->arena, "Failed to analyze %.*s: %.*s%s%.*s", STR_ARG(path),
	    STR_ARG(text), ex->lines.n ? "\n" : "", STR_ARG(buf_str(&ex->lines)));
	return err_set_str(e, ST_BAD_REQUEST, "InvalidModules", text);
}

static void
keep_line(struct examination *ex, const struct json *j)
{
	const struct json *messages = json_get(j, "messages");
	str level = STR_EMPTY;

	(void)json_get_str(j, "level", &level);
	buf_fmt(&ex->lines, "\n[%.*s]", STR_ARG(level));
	for (size_t i = 0; messages && messages->kind == JSON_ARRAY && i < messages->n; i++)
		buf_fmt(&ex->lines, " %.*s", STR_ARG(messages->items[i].string));
}

static void
write_request(const struct examination *ex, struct buf *b)
{
	buf_addz(b, "{\"t\":\"analyze\",\"paths\":[");
	for (size_t i = 0; i < ex->npaths; i++) {
		json_comma(b);
		json_write_str(b, ex->paths[i]);
	}
	buf_addz(b, "]}");
}

static status
stopped(struct examination *ex, enum link_got got, struct err *e)
{
	ex->poisoned = true;
	return got == LINK_CLOSED ? err_set(e, ST_BAD_REQUEST, "InvalidModules",
					"Failed to analyze the Node.js modules: the process exited "
					"unexpectedly while "
					"they were loaded.")
				  : err_set(e, ST_BAD_REQUEST, "InvalidModules",
					"Failed to analyze the Node.js modules: loading them did "
					"not end within %u s.",
					(unsigned)(ANALYZE_NS / 1000000000u));
}

static status
converse(struct examination *ex, struct node_link *l, struct node_analyzed **ret, struct err *e)
{
	for (;;) {
		struct nframe f;
		enum link_got got = link_wait(l, &f, ex->deadline_ns, never, NULL);
		struct json *j;
		bool ok = false;
		str t, header;

		if (got != LINK_FRAME)
			return stopped(ex, got, e);
		header = arena_str(ex->arena, f.header); /* the tree points into it */
		if (json_parse(ex->arena, header, &j, NULL) != ST_OK || !json_get_str(j, "t", &t))
			return stopped(ex, LINK_CLOSED, e);
		if (str_eq(t, S("log")))
			keep_line(ex, j);
		if (!str_eq(t, S("done")))
			continue;
		(void)json_get_bool(j, "exiting", &ex->poisoned);
		if (!json_get_bool(j, "ok", &ok) || !ok)
			return refuse(ex, j, e);
		read_modules(ex, json_get(j, "modules"), ret);
		return ST_OK;
	}
}

static status
examine(struct examination *ex, struct node_process *p, struct node_analyzed **ret, struct err *e)
{
	struct node_link l;
	struct buf request;
	status st;

	if (!link_open(&l, p))
		return stopped(ex, LINK_CLOSED, e);
	buf_init(&request, NFRAME_HEADER_MAX);
	write_request(ex, &request);
	if (link_send(&l, buf_str(&request), STR_EMPTY, never, NULL))
		st = converse(ex, &l, ret, e);
	else
		st = stopped(ex, LINK_CLOSED, e);
	buf_clear(&request);
	link_close(&l);
	return st;
}

status
node_analyze(struct node_executor *x, struct node_package *package, const struct env_var *vars,
    size_t nvars, const str *paths, size_t npaths, struct arena *a, struct node_analyzed **ret,
    struct err *e)
{
	struct examination ex = { .package = package,
		.paths = paths,
		.npaths = npaths,
		.arena = a,
		.deadline_ns = os_mono_ns(x->os) + ANALYZE_NS };
	struct node_process *p;
	struct node_env env;
	status st;

	node_env_of(a, vars, nvars, &env);
	TRY(process_acquire(x, package, &env, &p, e));
	buf_init(&ex.lines, (size_t)1 << 20);
	st = examine(&ex, p, ret, e);
	buf_clear(&ex.lines);
	process_release(x, p, ex.poisoned);
	return st;
}

/* executor_error.c - the text of what was thrown in Node.js (spec 04 section 2.7).
 *
 * The executor sends the message and the frames that lie in the package's modules; here the
 * frames go through the modules' source maps, as those of the isolate do (isolate/stack.c).
 *
 * Thread: any.  Memory: the caller's arena.
 */
#include "isolate/srcmap.h"
#include "node/executor_int.h"

#define FRAMES_MAX  10
#define MESSAGE_MAX 65536

struct frame {
	str func;           /* n == 0: none */
	str file;           /* p == NULL: dropped */
	uint32_t line, col; /* from 1 */
};

static bool
is_runtime_file(str file)
{
	size_t at;

	return str_find(file, S("udf-runtime/src"), &at) ||
	       str_find(file, S("convex/src/server/impl"), &at);
}

/* Maps are parsed for each frame: errors are rare and have ten of them. */
static void
map_frame(const struct node_package *p, const struct json *j, struct arena *a, struct frame *ret)
{
	struct srcmap *map = NULL;
	struct buf text;
	uint32_t line, col;
	str path, file;

	memset(ret, 0, sizeof *ret);
	if (!json_get_str(j, "path", &path) || !json_get_u32(j, "line", &line) ||
	    !json_get_u32(j, "col", &col) || line == 0 || col == 0)
		return;
	(void)json_get_str(j, "func", &ret->func);
	buf_init(&text, BUF_MAX_DEFAULT);
	if (node_package_map(p, path, &text))
		map = srcmap_parse(buf_str(&text));
	if (map && srcmap_find(map, line - 1, col - 1, &file, &ret->line, &ret->col)) {
		ret->file = arena_str(a, file);
		ret->line++;
		ret->col++;
	}
	srcmap_free(map);
	buf_clear(&text);
}

static void
write_frame(struct buf *b, const struct frame *f)
{
	buf_addz(b, "    at ");
	if (f->func.n)
		buf_fmt(b, "%.*s (", STR_ARG(f->func));
	buf_fmt(b, "%.*s:%u:%u%s\n", STR_ARG(f->file), f->line, f->col, f->func.n ? ")" : "");
}

static void
write_frames(const struct node_package *p, const struct json *list, struct arena *a, struct buf *b)
{
	size_t n = 0, first = 0;
	struct frame *f;

	if (!list || list->kind != JSON_ARRAY)
		return;
	f = ARENA_ARRAY(a, struct frame, list->n);
	for (size_t i = 0; i < list->n; i++) {
		map_frame(p, &list->items[i], a, &f[n]);
		n += f[n].file.p != NULL;
	}
	while (first < n && is_runtime_file(f[first].file))
		first++;
	while (n > first && is_runtime_file(f[n - 1].file))
		n--;
	if (n - first > FRAMES_MAX)
		n = first + FRAMES_MAX;
	for (size_t i = first; i < n; i++)
		write_frame(b, &f[i]);
}

str
node_error_text(const struct node_package *p, const struct json *thrown, struct arena *a)
{
	str message = S("Uncaught Error"), ret;
	struct buf b;

	(void)json_get_str(thrown, "message", &message);
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, str_utf8_cut(message, MESSAGE_MAX));
	buf_add_byte(&b, '\n');
	write_frames(p, json_get(thrown, "frames"), a, &b);
	ret = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return ret;
}

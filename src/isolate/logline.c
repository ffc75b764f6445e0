/* logline.c - keeping console lines within their limits, and their two printed forms.
 *
 * Thread, memory: logline.h.
 */
#include "isolate/logline.h"

#include "base/json.h"

#define OVERFLOW_TEXT "Log overflow (maximum 256). Remaining log lines omitted."

static const char *
level_name(enum log_line_level level)
{
	static const char *const names[] = { "DEBUG", "ERROR", "WARN", "INFO", "LOG" };

	return names[level];
}

bool
logline_level(str name, enum log_line_level *ret)
{
	for (int i = LINE_DEBUG; i <= LINE_LOG; i++)
		if (str_eq(name, str_z(level_name((enum log_line_level)i)))) {
			*ret = (enum log_line_level)i;
			return true;
		}
	return false;
}

bool
logline_take(struct logline *l, const struct json *messages, struct arena *a)
{
	if (!messages || messages->kind != JSON_ARRAY)
		return false;
	l->messages = ARENA_ARRAY(a, str, messages->n + 1);
	for (l->nmessages = 0; l->nmessages < messages->n; l->nmessages++) {
		if (messages->items[l->nmessages].kind != JSON_STRING)
			return false;
		l->messages[l->nmessages] = messages->items[l->nmessages].string;
	}
	return true;
}

void
loglines_init(struct loglines *l, struct arena *a)
{
	memset(l, 0, sizeof *l);
	l->arena = a;
}

void
loglines_clear(struct loglines *l)
{
	vec_clear(&l->lines);
}

/* The messages of `line` as far as they fit into one line. */
static void
copy_messages(struct arena *a, struct logline *to, const struct logline *line)
{
	size_t room = LOG_LINE_MAX_BYTES;

	to->nmessages = 0;
	to->messages = ARENA_ARRAY(a, str, line->nmessages);
	for (size_t i = 0; i < line->nmessages; i++) {
		str    m = line->messages[i];
		size_t joint = i > 0;

		if (room < joint + m.n) {
			m = room > joint ? str_utf8_cut(m, room - joint) : str_head(m, 0);
			to->truncated = true;
		}
		if (m.n || !to->truncated)
			to->messages[to->nmessages++] = arena_str(a, m);
		if (to->truncated)
			return;
		room -= joint + m.n;
	}
}

static void
add_overflow(struct loglines *l, const struct logline *line)
{
	struct logline last = { .level = LINE_ERROR, .nmessages = 1,
		.timestamp_ms = line->timestamp_ms };

	last.messages = ARENA_NEW(l->arena, str);
	last.messages[0] = S(OVERFLOW_TEXT);
	vec_push(&l->lines, last);
}

void
loglines_add(struct loglines *l, const struct logline *line)
{
	struct logline copy = *line;

	if (!line->system_code.p && l->lines.n >= LOG_LINES_MAX - 1) {
		if (l->lines.n == LOG_LINES_MAX - 1)
			add_overflow(l, line);
		return;
	}
	copy_messages(l->arena, &copy, line);
	if (line->system_code.p)
		copy.system_code = arena_str(l->arena, line->system_code);
	if (line->component.p)
		copy.component = arena_str(l->arena, line->component);
	if (line->udf_path.p)
		copy.udf_path = arena_str(l->arena, line->udf_path);
	vec_push(&l->lines, copy);
}

void
logline_pretty(struct buf *b, const struct logline *l)
{
	buf_fmt(b, "[%s]", level_name(l->level));
	for (size_t i = 0; i < l->nmessages; i++) {
		buf_add_byte(b, ' ');
		buf_add(b, l->messages[i]);
	}
	if (l->nmessages == 0)
		buf_add_byte(b, ' ');
	if (l->truncated)
		buf_addz(b, " (truncated due to length)");
}

static void
metadata_json(struct buf *b, const struct logline *l)
{
	json_key(b, "systemMetadata");
	if (!l->system_code.p) {
		buf_addz(b, "null");
		return;
	}
	buf_addz(b, "{\"code\":");
	json_write_str(b, l->system_code);
	buf_add_byte(b, '}');
}

void
logline_json(struct buf *b, const struct logline *l)
{
	buf_addz(b, "{\"messages\":[");
	for (size_t i = 0; i < l->nmessages; i++) {
		json_comma(b);
		json_write_str(b, l->messages[i]);
	}
	buf_fmt(b, "],\"isTruncated\":%s", l->truncated ? "true" : "false");
	json_key(b, "timestamp");
	json_write_u64(b, l->timestamp_ms);
	json_key(b, "level");
	json_write_str(b, str_z(level_name(l->level)));
	metadata_json(b, l);
	if (l->component.p) {
		json_key(b, "componentPath");
		json_write_str(b, l->component);
	}
	if (l->udf_path.p) {
		json_key(b, "udfPath");
		json_write_str(b, l->udf_path);
	}
	buf_add_byte(b, '}');
}

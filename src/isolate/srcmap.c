/* srcmap.c - decoding the mappings string and looking positions up.
 *
 * Segments are kept in the order of generated positions; a look-up takes the last one that is
 * not behind the position asked for.
 *
 * Thread, memory: srcmap.h.
 */
#include "isolate/srcmap.h"

#include "base/json.h"
#include "base/vec.h"

#define NO_SOURCE UINT32_MAX

struct segment {
	uint32_t line, col; /* generated */
	uint32_t source, source_line, source_col;
};

struct srcmap {
	struct arena       *arena;
	size_t              nsources;
	str                *sources;
	VEC(struct segment) segments;
};

struct cursor {
	const char *p, *end;
};

static int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One variable-length quantity; false at anything that is none. */
static bool
read_vlq(struct cursor *c, int64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 40; shift += 5) {
		int digit = c->p < c->end ? base64_digit(*c->p) : -1;

		if (digit < 0)
			return false;
		c->p++;
		v |= (uint64_t)(digit & 31) << shift;
		if (!(digit & 32)) {
			*ret = v & 1 ? -(int64_t)(v >> 1) : (int64_t)(v >> 1);
			return true;
		}
	}
	return false;
}

/* Adds a delta to a running number; false if it leaves the range. */
static bool
advance(int64_t *at, int64_t delta)
{
	*at += delta;
	return *at >= 0 && *at < INT32_MAX;
}

/* One segment: 1, 4 or 5 fields.  at: column, source, line, column of the original. */
static bool
read_segment(struct cursor *c, int64_t at[4], bool *ret_mapped)
{
	int64_t delta;
	int     n = 0;

	while (c->p < c->end && *c->p != ',' && *c->p != ';') {
		if (!read_vlq(c, &delta) || n == 5)
			return false;
		if (n < 4 && !advance(&at[n], delta))
			return false;
		n++;
	}
	*ret_mapped = n >= 4;
	return n == 1 || n >= 4;
}

static bool
read_mappings(struct srcmap *m, str text)
{
	struct cursor c = { text.p, text.p + text.n };
	uint32_t      line = 0;
	int64_t       at[4] = { 0 };

	for (; c.p < c.end; c.p++) {
		struct segment s = { .line = line, .source = NO_SOURCE };
		bool           mapped;

		if (*c.p == ';') {
			line++;
			at[0] = 0;
			continue;
		}
		if (*c.p == ',')
			continue;
		if (!read_segment(&c, at, &mapped))
			return false;
		s.col = (uint32_t)at[0];
		if (mapped && (size_t)at[1] < m->nsources) {
			s.source = (uint32_t)at[1];
			s.source_line = (uint32_t)at[2];
			s.source_col = (uint32_t)at[3];
		}
		vec_push(&m->segments, s);
		c.p--;
	}
	return true;
}

static void
read_sources(struct srcmap *m, const struct json *j)
{
	const struct json *sources = json_get(j, "sources");
	str                root = STR_EMPTY;

	if (!sources || sources->kind != JSON_ARRAY)
		return;
	json_get_str(j, "sourceRoot", &root);
	m->sources = ARENA_ARRAY(m->arena, str, sources->n);
	m->nsources = sources->n;
	for (size_t i = 0; i < sources->n; i++) {
		const struct json *s = &sources->items[i];

		if (s->kind != JSON_STRING)
			continue;
		m->sources[i] = root.n ?
		    arena_fmt(m->arena, "%.*s/%.*s", STR_ARG(root), STR_ARG(s->string)) :
		    arena_str(m->arena, s->string);
	}
}

struct srcmap *
srcmap_parse(str json)
{
	struct arena  *a = arena_new();
	struct srcmap *m = MEM_NEW(struct srcmap);
	struct json   *j;
	str            mappings;

	m->arena = arena_new();
	if (json_parse(a, json, &j, NULL) == ST_OK && json_get_str(j, "mappings", &mappings)) {
		read_sources(m, j);
		if (!read_mappings(m, mappings))
			m->nsources = 0;
	}
	arena_free(a);
	if (m->nsources)
		return m;
	srcmap_free(m);
	return NULL;
}

void
srcmap_free(struct srcmap *m)
{
	if (!m)
		return;
	arena_free(m->arena);
	vec_clear(&m->segments);
	mem_free(m);
}

bool
srcmap_find(const struct srcmap *m, uint32_t line, uint32_t col, str *ret_source,
    uint32_t *ret_line, uint32_t *ret_col)
{
	size_t                lo = 0, hi = m->segments.n; /* lo: first segment behind line:col */
	const struct segment *s;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		s = &m->segments.v[mid];
		if (s->line < line || (s->line == line && s->col <= col))
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || m->segments.v[lo - 1].source == NO_SOURCE)
		return false;
	s = &m->segments.v[lo - 1];
	*ret_source = m->sources[s->source];
	*ret_line = s->source_line;
	*ret_col = s->source_col;
	return true;
}

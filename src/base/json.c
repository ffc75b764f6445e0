/* json.c - JSON text to a tree.
 *
 * The members of open containers gather on a stack and are copied to the arena when their
 * container closes, so that every node's children are one array.
 *
 * Thread: any.  Memory: the tree in the caller's arena; the stack is freed before return.
 */
#include "base/json.h"

#include "base/hash.h"
#include "base/json_pull.h"
#include "base/vec.h"

struct builder {
	struct json_pull pull;
	VEC(struct json) items; /* children of the open containers */
	VEC(str)         keys;  /* as many; empty for array elements */
};

/* Of members with the same name the last value stays, in the first one's place.  Small
 * objects are compared pairwise, large ones through a table of hashes. */
static void
drop_duplicates(struct json *j)
{
	size_t    nslots = 64;
	uint32_t *slots = NULL;
	size_t    n = 0;

	if (j->n > 16) {
		while (nslots < j->n * 2)
			nslots *= 2;
		slots = mem_zalloc(nslots * sizeof *slots);
	}
	for (size_t i = 0; i < j->n; i++) {
		size_t seen = n;

		if (slots) {
			size_t h = hash_bytes(j->keys[i]) & (nslots - 1);

			while (slots[h] && !str_eq(j->keys[slots[h] - 1], j->keys[i]))
				h = (h + 1) & (nslots - 1);
			if (slots[h])
				seen = slots[h] - 1;
			else
				slots[h] = (uint32_t)n + 1;
		} else {
			for (seen = 0; seen < n && !str_eq(j->keys[seen], j->keys[i]);)
				seen++;
		}
		j->keys[seen] = j->keys[i];
		j->items[seen] = j->items[i];
		n += seen == n;
	}
	j->n = n;
	mem_free(slots);
}

/* Moves the members from `first` on off the stack into the node. */
static void
take_members(struct builder *b, struct json *ret, size_t first)
{
	struct arena *a = b->pull.arena;
	size_t        n = b->items.n - first;

	ret->n = n;
	if (n) {
		ret->items = arena_alloc(a, n * sizeof *ret->items);
		memcpy(ret->items, b->items.v + first, n * sizeof *ret->items);
	}
	if (n && ret->kind == JSON_OBJECT) {
		ret->keys = arena_alloc(a, n * sizeof *ret->keys);
		memcpy(ret->keys, b->keys.v + first, n * sizeof *ret->keys);
		drop_duplicates(ret);
	}
	b->items.n = b->keys.n = first;
}

static bool build(struct builder *b, const struct json_token *t, struct json *ret);

static bool
build_container(struct builder *b, struct json *ret)
{
	size_t            first = b->items.n;
	const char       *start = b->pull.at - 1;
	struct json_token t;
	struct json       item;
	str               key = STR_EMPTY;

	for (;;) {
		if (!json_pull_next(&b->pull, &t))
			return false;
		if (t.kind == JSON_T_CLOSE)
			break;
		if (t.kind == JSON_T_KEY) {
			key = t.string;
			if (!json_pull_next(&b->pull, &t))
				return false;
		}
		if (!build(b, &t, &item))
			return false;
		vec_push(&b->items, item);
		vec_push(&b->keys, key);
	}
	take_members(b, ret, first);
	ret->source = str_of(start, (size_t)(b->pull.at - start));
	return true;
}

/* The value that starts with token t. */
static bool
build(struct builder *b, const struct json_token *t, struct json *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->source = t->source;
	switch (t->kind) {
	case JSON_T_NULL:
		ret->kind = JSON_NULL;
		return true;
	case JSON_T_BOOL:
		ret->kind = JSON_BOOL;
		ret->boolean = t->boolean;
		return true;
	case JSON_T_NUMBER:
		ret->kind = JSON_NUMBER;
		ret->number = t->number;
		ret->integral = t->integral;
		return true;
	case JSON_T_STRING:
		ret->kind = JSON_STRING;
		ret->string = t->string;
		return true;
	case JSON_T_ARRAY:
	case JSON_T_OBJECT:
		ret->kind = t->kind == JSON_T_ARRAY ? JSON_ARRAY : JSON_OBJECT;
		return build_container(b, ret);
	case JSON_T_KEY:
	case JSON_T_CLOSE:
	case JSON_T_END:
		break;
	}
	must_failed(__FILE__, __LINE__, "a token that starts a value");
}

status
json_parse(struct arena *a, str text, struct json **ret, struct err *e)
{
	struct builder    b = { .items = { 0 } };
	struct json      *root = ARENA_NEW(a, struct json);
	struct json_token t;
	bool              ok;

	json_pull_init(&b.pull, a, text);
	ok = json_pull_next(&b.pull, &t) && build(&b, &t, root) &&
	    json_pull_next(&b.pull, &t); /* the end, or an error about what follows */
	vec_clear(&b.items);
	vec_clear(&b.keys);
	if (!ok)
		return json_pull_error(&b.pull, e);
	*ret = root;
	return ST_OK;
}

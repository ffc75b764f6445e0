/* map.c - a hash map that remembers insertion order.
 *
 * Entries lie in one array in the order of insertion; an open-addressing table of their
 * numbers finds them (the layout of Python's dict).  A removal leaves a hole in the array
 * and a tombstone in the table; both go at the next rehash, which keeps the order.
 *
 * Thread: one owner.  Memory: see map.h.
 */
#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"

#define SLOT_EMPTY UINT32_MAX
#define SLOT_GONE  (UINT32_MAX - 1)
#define SLOTS_MIN  16

struct entry {
	uint64_t hash;
	str      key;   /* owned */
	void    *value; /* NULL: removed */
};

struct map {
	struct entry *entries;
	uint32_t     *slots;  /* entry numbers; nslots is a power of two */
	size_t        nslots;
	size_t        n;      /* entries used, holes included; at most 3/4 of nslots */
	size_t        live;
};

static size_t
entries_max(size_t nslots)
{
	return nslots / 4 * 3;
}

struct map *
map_new(void)
{
	return MEM_NEW(struct map);
}

void
map_free(struct map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		mem_free((void *)(uintptr_t)m->entries[i].key.p);
	mem_free(m->entries);
	mem_free(m->slots);
	mem_free(m);
}

size_t
map_count(const struct map *m)
{
	return m->live;
}

/* The slot that names `key`, or NULL. */
static uint32_t *
find(const struct map *m, str key, uint64_t hash)
{
	size_t mask = m->nslots - 1;

	if (m->live == 0)
		return NULL;
	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		const struct entry *e;

		if (m->slots[i] == SLOT_EMPTY)
			return NULL;
		if (m->slots[i] == SLOT_GONE)
			continue;
		e = &m->entries[m->slots[i]];
		if (e->hash == hash && str_eq(e->key, key))
			return &m->slots[i];
	}
}

void *
map_get(const struct map *m, str key)
{
	const uint32_t *slot = find(m, key, hash_bytes(key));

	return slot ? m->entries[*slot].value : NULL;
}

static void
link_entry(struct map *m, size_t number)
{
	size_t mask = m->nslots - 1;
	size_t i = m->entries[number].hash & mask;

	while (m->slots[i] != SLOT_EMPTY)
		i = (i + 1) & mask;
	m->slots[i] = (uint32_t)number;
}

/* Closes the holes and makes room for at least one more entry. */
static void
rehash(struct map *m)
{
	size_t nslots = SLOTS_MIN;
	size_t n = 0;

	while (entries_max(nslots) < m->live * 2 + 1)
		nslots *= 2;
	must(nslots < SLOT_GONE);
	for (size_t i = 0; i < m->n; i++)
		if (m->entries[i].value)
			m->entries[n++] = m->entries[i];
	m->n = n;
	m->entries = mem_realloc(m->entries, entries_max(nslots) * sizeof *m->entries);
	m->slots = mem_realloc(m->slots, nslots * sizeof *m->slots);
	m->nslots = nslots;
	memset(m->slots, 0xFF, nslots * sizeof *m->slots);
	for (size_t i = 0; i < n; i++)
		link_entry(m, i);
}

void *
map_put(struct map *m, str key, void *value)
{
	uint64_t  hash = hash_bytes(key);
	uint32_t *slot = find(m, key, hash);
	char     *copy;

	must(value);
	if (slot) {
		void *old = m->entries[*slot].value;

		m->entries[*slot].value = value;
		return old;
	}
	if (m->n == entries_max(m->nslots))
		rehash(m);
	copy = mem_alloc(key.n);
	if (key.n)
		memcpy(copy, key.p, key.n);
	m->entries[m->n] = (struct entry){ hash, str_of(copy, key.n), value };
	link_entry(m, m->n++);
	m->live++;
	return NULL;
}

void *
map_del(struct map *m, str key)
{
	uint32_t     *slot = find(m, key, hash_bytes(key));
	struct entry *e;
	void         *old;

	if (!slot)
		return NULL;
	e = &m->entries[*slot];
	old = e->value;
	mem_free((void *)(uintptr_t)e->key.p);
	*e = (struct entry){ 0 };
	*slot = SLOT_GONE;
	m->live--;
	return old;
}

bool
map_next(const struct map *m, size_t *pos, str *ret_key, void **ret_value)
{
	for (; *pos < m->n; (*pos)++) {
		const struct entry *e = &m->entries[*pos];

		if (!e->value)
			continue;
		*ret_key = e->key;
		*ret_value = e->value;
		(*pos)++;
		return true;
	}
	return false;
}

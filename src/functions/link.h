/* link.h - doubly linked lists whose links are members of what they join.
 *
 * The core keeps what waits (calls, queries, notifications) in such lists because each
 * waiter can give up at any moment and must then vanish at once.  A link that is in no list
 * points to itself, or is all zero.
 *
 * Thread: one owner.  Memory: none of its own.
 */
#ifndef FUNCTIONS_LINK_H
#define FUNCTIONS_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *prev, *next;
};

#define LINK_OWNER(l, type, member) ((type *)(void *)((char *)(l) - offsetof(type, member)))

static inline void
link_init(struct link *l)
{
	l->prev = l->next = l;
}

static inline bool
link_joined(const struct link *l)
{
	return l->next != NULL && l->next != l;
}

static inline void
link_leave(struct link *l)
{
	if (!link_joined(l))
		return;
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

/* In front of `at`; a list head as `at` means: at the end. */
static inline void
link_before(struct link *at, struct link *l)
{
	l->prev = at->prev;
	l->next = at;
	at->prev->next = l;
	at->prev = l;
}

static inline struct link *
link_first(const struct link *head) /* NULL: the list is empty */
{
	return link_joined(head) ? head->next : NULL;
}

/* Moves everything from `from` to the empty list `to`. */
static inline void
link_take_all(struct link *to, struct link *from)
{
	link_init(to);
	if (!link_joined(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	link_init(from);
}

#endif

/* Doubly linked lists through a member of the element: no allocation, removal without searching.
 *
 * A list is a ring that begins and ends at its head. A zeroed link is in no list: list_remove() on it does nothing, so that
 * destructors need not know whether an element was ever added.
 *
 *	struct list calls = LIST_INIT(calls);
 *	list_append(&calls, &call->link);
 *	LIST_FOR_EACH(link, next, &calls)
 *		call_end(LIST_ENTRY(link, struct call, link)); the element may be removed meanwhile */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *previous;
};

#define LIST_INIT(head)                                                                                                \
	{                                                                                                              \
		&(head), &(head)                                                                                       \
	}

#define LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

#define LIST_FOR_EACH(link, next_, head)                                                                               \
	for (struct list *link = (head)->next, *next_ = (link)->next; (link) != (head); (link) = (next_), (next_) = (link)->next)

static inline void list_init(struct list *head)
{
	head->next = head;
	head->previous = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_linked(const struct list *link)
{
	return link->next != NULL;
}

static inline void list_append(struct list *head, struct list *link)
{
	link->next = head;
	link->previous = head->previous;
	head->previous->next = link;
	head->previous = link;
}

static inline void list_remove(struct list *link)
{
	if (!link->next)
		return;
	link->next->previous = link->previous;
	link->previous->next = link->next;
	link->next = NULL;
	link->previous = NULL;
}

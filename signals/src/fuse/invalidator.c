#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "signals/src/fuse/channel.h"

#define QUEUE_MAX 65536
#define STACK_BYTES (64U << 10)

struct item {
	struct item *next;
	int fd;
	uint64_t node;
	size_t name_size; /* 0: the node itself */
	char name[];
};

struct fuse_invalidator {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct item *first;
	struct item **last;
	size_t count;
	int busy_fd; /* being sent to; -1: none */
	bool stop;
};

static void send_item(const struct item *item)
{
	struct fuse_notify_inval_entry_out entry = {.parent = item->node, .namelen = (uint32_t)item->name_size};
	struct fuse_notify_inval_inode_out inode = {.ino = item->node, .off = 0, .len = 0};
	struct fuse_out_header header = {0};
	struct iovec parts[3] = {{&header, sizeof header}, {&inode, sizeof inode}, {NULL, 0}};
	int count = 2;
	header.error = FUSE_NOTIFY_INVAL_INODE;
	if (item->name_size) {
		header.error = FUSE_NOTIFY_INVAL_ENTRY;
		parts[1] = (struct iovec){&entry, sizeof entry};
		parts[2] = (struct iovec){(void *)(uintptr_t)item->name, item->name_size + 1};
		count = 3;
	}
	for (int i = 0; i < count; i++)
		header.len += (uint32_t)parts[i].iov_len;
	(void)!writev(item->fd, parts, count); /* the kernel may know the name no more */
}

static void *run(void *user)
{
	struct fuse_invalidator *invalidator = user;
	pthread_mutex_lock(&invalidator->lock);
	while (!invalidator->stop) {
		struct item *item = invalidator->first;
		if (!item) {
			pthread_cond_wait(&invalidator->changed, &invalidator->lock);
			continue;
		}
		invalidator->first = item->next;
		if (!item->next)
			invalidator->last = &invalidator->first;
		invalidator->count--;
		invalidator->busy_fd = item->fd;
		pthread_mutex_unlock(&invalidator->lock);
		send_item(item);
		free(item);
		pthread_mutex_lock(&invalidator->lock);
		invalidator->busy_fd = -1;
		pthread_cond_broadcast(&invalidator->changed);
	}
	pthread_mutex_unlock(&invalidator->lock);
	return NULL;
}

int fuse_invalidator_new(struct fuse_invalidator **ret_invalidator)
{
	struct fuse_invalidator *invalidator = calloc(1, sizeof *invalidator);
	pthread_attr_t attributes;
	if (!invalidator || pthread_attr_init(&attributes) != 0) {
		free(invalidator);
		return -ENOMEM;
	}
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)pthread_mutex_init(&invalidator->lock, NULL);
	(void)pthread_cond_init(&invalidator->changed, NULL);
	invalidator->last = &invalidator->first;
	invalidator->busy_fd = -1;
	int r = pthread_create(&invalidator->thread, &attributes, run, invalidator);
	(void)pthread_attr_destroy(&attributes);
	if (r != 0) {
		free(invalidator);
		return -r;
	}
	*ret_invalidator = invalidator;
	return 0;
}

static void drop_items(struct fuse_invalidator *invalidator, int fd)
{
	for (struct item **link = &invalidator->first; *link;) {
		struct item *item = *link;
		if (fd >= 0 && item->fd != fd) {
			link = &item->next;
			continue;
		}
		*link = item->next;
		invalidator->count--;
		free(item);
	}
	invalidator->last = &invalidator->first;
	while (*invalidator->last)
		invalidator->last = &(*invalidator->last)->next;
}

void fuse_invalidator_forget(struct fuse_invalidator *invalidator, int fd)
{
	pthread_mutex_lock(&invalidator->lock);
	drop_items(invalidator, fd);
	while (invalidator->busy_fd == fd)
		pthread_cond_wait(&invalidator->changed, &invalidator->lock);
	pthread_mutex_unlock(&invalidator->lock);
}

void fuse_invalidator_free(struct fuse_invalidator *invalidator)
{
	if (!invalidator)
		return;
	pthread_mutex_lock(&invalidator->lock);
	invalidator->stop = true;
	pthread_cond_broadcast(&invalidator->changed);
	pthread_mutex_unlock(&invalidator->lock);
	(void)pthread_join(invalidator->thread, NULL);
	drop_items(invalidator, -1);
	(void)pthread_cond_destroy(&invalidator->changed);
	(void)pthread_mutex_destroy(&invalidator->lock);
	free(invalidator);
}

static void queue_item(struct fuse_invalidator *invalidator, int fd, uint64_t node, const char *name)
{
	size_t size = name ? strlen(name) : 0;
	struct item *item = calloc(1, sizeof *item + size + 1);
	if (!item)
		return;
	item->fd = fd;
	item->node = node;
	item->name_size = size;
	if (name)
		memcpy(item->name, name, size + 1);
	pthread_mutex_lock(&invalidator->lock);
	if (invalidator->count < QUEUE_MAX) {
		*invalidator->last = item;
		invalidator->last = &item->next;
		invalidator->count++;
		item = NULL;
		pthread_cond_broadcast(&invalidator->changed);
	}
	pthread_mutex_unlock(&invalidator->lock);
	free(item);
}

void fuse_invalidate_name(struct fuse_invalidator *invalidator, int fd, uint64_t parent, const char *name)
{
	queue_item(invalidator, fd, parent, name);
}

void fuse_invalidate_node(struct fuse_invalidator *invalidator, int fd, uint64_t node)
{
	queue_item(invalidator, fd, node, NULL);
}

/* "X@provide": the signal is its opener's. What is written is the value (an empty line: there is none now); of an actuator
 * each read gives a request, "ID<tab>VALUE<tab>DEADLINE", answered by writing "ok ID" or "error ID TEXT". */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "signals/src/files/internal.h"
#include "signals/src/store_internal.h"

#define REQUEST_LINE_MAX 96 /* what stands beside the value */

static struct file *of_provider(struct provider *provider)
{
	return (struct file *)((char *)provider - offsetof(struct file, provider));
}

static int deliver(struct provider *provider, const struct request *request)
{
	struct file *file = of_provider(provider);
	struct buf *text = &file->connection->files->text;
	buf_clear(text);
	int r = buf_add(text, "", 0);
	if (r == 0)
		r = buf_printf(text, "%" PRIu64 "\t%s\t%" PRId64 ".%03" PRId64 "\n", request->id, request->text,
			       request->deadline_ns / 1000000000, request->deadline_ns / 1000000 % 1000);
	return r < 0 ? r : stream_push(file, text->data, text->size, true);
}

static bool has_room(struct provider *provider)
{
	struct file *file = of_provider(provider);
	const struct node *node = store_node(file->connection->files->store, provider->signal);
	bool small = node && datatype_is_number(&node->leaf->rule.type);
	return stream_has_room(file, REQUEST_LINE_MAX + (small ? NUMBER_TEXT_MAX : VALUE_TEXT_MAX));
}

static void revoked(struct provider *provider)
{
	struct file *file = of_provider(provider);
	file->revoked = true;
	stream_drop_parked(file, -EACCES);
	poll_wake(file);
}

int provide_open(struct file *file, bool resume)
{
	const struct table_handle *handle = file_handle(file);
	struct store *store = file->connection->files->store;
	struct subject subject = file_subject(file);
	const struct node *node = store_node(store, handle->signal);
	bool answers = node && node->kind == NODE_ACTUATOR && (handle->flags & O_ACCMODE) == O_RDWR;
	file->provider = (struct provider){.signal = SIGNAL_NONE, .revoked = revoked};
	if (answers) {
		file->provider.deliver = deliver;
		file->provider.has_room = has_room;
	}
	return store_claim(store, &subject, handle->signal, &file->provider, resume, NULL);
}

/* "ok 7", "error 7 stuck". 1: it was none. */
static int try_answer(struct file *file, char *text)
{
	const char *error = NULL;
	char *id_text = NULL;
	uint64_t id = 0;
	if (str_after_prefix(text, "ok ")) {
		id_text = text + strlen("ok ");
	} else if (str_after_prefix(text, "error ")) {
		id_text = text + strlen("error ");
		char *blank = strchr(id_text, ' ');
		if (blank)
			*blank = '\0';
		error = blank ? blank + 1 : "failed";
	}
	if (!id_text || parse_u64(id_text, 1, UINT64_MAX, &id) < 0)
		return 1;
	return store_answer(file->connection->files->store, &file->provider, id, error);
}

int provide_write(struct file *file, const char *text, size_t size)
{
	struct store *store = file->connection->files->store;
	struct subject subject = file_subject(file);
	if (file->provider.signal == SIGNAL_NONE)
		return -EACCES;
	if (size == 0)
		return store_withdraw(store, &file->provider);
	if (file->provider.deliver) {
		scoped_free char *copy = strndup(text, size);
		int r = copy ? try_answer(file, copy) : -ENOMEM;
		if (r <= 0)
			return r;
	}
	return store_publish(store, &subject, &file->provider, file->provider.signal, text, size, 0, NULL);
}

/* Writing: one write, one value, newline or not, wherever the file position is. */
#include <errno.h>
#include <string.h>

#include "signals/src/files/internal.h"

/* The line without its newline. Errors: -EINVAL (two lines, a zero byte), -EMSGSIZE. */
static int one_line(const char *data, size_t size, size_t most, size_t *ret_length)
{
	if (size && data[size - 1] == '\n')
		size--;
	if (size > most)
		return -EMSGSIZE;
	if (memchr(data, '\n', size) || memchr(data, '\0', size))
		return -EINVAL;
	*ret_length = size;
	return 0;
}

static int write_value(struct file *file, const char *data, size_t size)
{
	struct subject subject = file_subject(file);
	size_t length = 0;
	int r = one_line(data, size, VALUE_TEXT_MAX, &length);
	return r < 0 ? r : store_set(file->connection->files->store, &subject, file_handle(file)->signal, data, length, NULL);
}

static int write_group(struct file *file, const char *data, size_t size)
{
	struct subject subject = file_subject(file);
	return store_set_group(file->connection->files->store, &subject, file_handle(file)->signal, data, size, NULL);
}

static int write_provide(struct file *file, const char *data, size_t size)
{
	size_t length = 0;
	int r = one_line(data, size, VALUE_TEXT_MAX, &length);
	return r < 0 ? r : provide_write(file, data, length);
}

void op_write(struct connection *connection, const struct fuse_request *request)
{
	int r = -EBADF;
	struct file *file = file_of(connection, request->in.write.fh, &r);
	if (file && request->size > FUSE_WIRE_WRITE_MAX) {
		r = -EMSGSIZE;
	} else if (file) {
		switch ((enum file_kind)file_handle(file)->kind) {
		case FILE_VALUE:
		case FILE_STREAM:
			r = write_value(file, request->data, request->size);
			break;
		case FILE_GROUP:
			r = write_group(file, request->data, request->size);
			break;
		case FILE_MUX:
			r = mux_write(file, request->data, request->size);
			break;
		case FILE_PROVIDE:
			r = write_provide(file, request->data, request->size);
			break;
		default:
			r = -EACCES;
		}
	}
	struct fuse_write_out out = {.size = request->size};
	answer_kept(connection, request->unique, r, &out, sizeof out);
}

#include "image/src/progress.h"

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/sys/fd.h"
#include "image/src/wire.h"

void progress_send(struct progress *progress, const struct image_progress *line)
{
	scoped_done(buf_done) struct buf text = {.max = WIRE_LINE_MAX};
	if (wire_progress_encode(line, &text) < 0)
		return; /* progress only informs; the exit status and the store decide */
	(void)pthread_mutex_lock(&progress->lock);
	(void)fd_write_all(progress->fd, text.data, text.size);
	(void)pthread_mutex_unlock(&progress->lock);
}

void progress_layer(struct progress *progress, const char *digest, enum image_layer_state state, uint64_t done,
		    uint64_t total)
{
	struct image_progress line = {
		.event = IMAGE_PROGRESS_LAYER, .state = state, .digest = digest, .done = done, .total = total};
	progress_send(progress, &line);
}

void progress_error(struct progress *progress, int code, const struct err *err)
{
	struct image_progress line = {.event = IMAGE_PROGRESS_ERROR,
				      .reason = err->reason ? err->reason : "job.worker",
				      .message = err_text(err, code),
				      .code = code};
	progress_send(progress, &line);
}

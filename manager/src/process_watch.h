/* A process that is nobody's child here, watched by its pidfd until it ends. */
#pragma once

#include <uv.h>

struct process_watch;

/* Called from the loop once the process has ended; the watch is then freed by who owns it. */
typedef void process_watch_ended(void *data);

/* Takes @pidfd, also where it fails. Errors: -ENOMEM, those of uv_poll_start(). */
int process_watch_new(uv_loop_t *loop, int pidfd, process_watch_ended *ended, void *data, struct process_watch **ret_watch);

/* No more calls; NULL is allowed. The descriptor is closed with the loop's next turn. */
void process_watch_free(struct process_watch *watch);

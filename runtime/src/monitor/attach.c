#include "runtime/src/monitor/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "runtime/src/monitor/container.h"

/* It lives as long as one of its pipes does. */
struct attachment {
	struct attach_set *set;
	struct reader readers[2];
	struct source source;
	bool complete; /* attach_add() is through: it may go when its last pipe goes */
	struct attachment *next;
};

static bool is_attached(const struct attachment *attachment)
{
	return attachment->readers[0].output || attachment->readers[1].output || attachment->source.input;
}

static void attachment_free(struct attachment *attachment)
{
	struct attach_set *set = attachment->set;
	output_remove_reader(&attachment->readers[0]);
	output_remove_reader(&attachment->readers[1]);
	input_remove_source(&attachment->source);
	for (struct attachment **link = &set->attachments; *link; link = &(*link)->next) {
		if (*link != attachment)
			continue;
		*link = attachment->next;
		break;
	}
	set->count--;
	free(attachment);
}

static void on_pipe_gone(void *owner)
{
	struct attachment *attachment = owner;
	if (attachment->complete && !is_attached(attachment))
		attachment_free(attachment);
}

void attach_ends_done(struct attach_ends *ends)
{
	for (size_t i = 0; i < ends->count; i++)
		(void)close(ends->fds[i]);
	ends->count = 0;
}

static void add_end(struct attach_ends *ends, const char *name, int fd)
{
	ends->names[ends->count] = name;
	ends->fds[ends->count++] = fd;
	ends->names[ends->count] = NULL;
}

/* A stream that the container has closed already gives a pipe at its end. */
static int add_reader(struct attachment *attachment, size_t index, uint32_t patience_ms, struct attach_ends *ends)
{
	static const char *const NAMES[] = {"stdout", "stderr"};
	struct output *output = &attachment->set->container->outputs[index];
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	add_end(ends, NAMES[index], pair[0]);
	struct reader *reader = &attachment->readers[index];
	*reader = (struct reader){.fd = -1, .patience_ms = patience_ms, .gone = on_pipe_gone, .owner = attachment};
	int r = output->fd < 0 ? 1 : output_add_reader(output, reader, pair[1]);
	if (r != 0)
		(void)close(pair[1]);
	return r < 0 ? r : 0;
}

static int add_source(struct attachment *attachment, struct attach_ends *ends)
{
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	add_end(ends, "stdin", pair[1]);
	attachment->source = (struct source){.fd = -1, .gone = on_pipe_gone, .owner = attachment};
	int r = input_add_source(&attachment->set->container->input, &attachment->source, pair[0]);
	if (r < 0)
		(void)close(pair[0]);
	return r;
}

static int add_pipes(struct attachment *attachment, const struct monitor_attach *wish, struct attach_ends *ends)
{
	const struct container *container = attachment->set->container;
	uint32_t patience_ms = wish->patience_ms > ATTACH_PATIENCE_MAX_MS ? ATTACH_PATIENCE_MAX_MS : wish->patience_ms;
	int r = 0;
	if (wish->with_stdin && container->input.fd >= 0)
		r = add_source(attachment, ends);
	if (r == 0 && wish->with_stdout)
		r = add_reader(attachment, 0, patience_ms, ends);
	if (r == 0 && wish->with_stderr && !container->config.tty)
		r = add_reader(attachment, 1, patience_ms, ends);
	return r;
}

static int check(const struct attach_set *set, const struct monitor_attach *wish, struct err *err)
{
	enum monitor_phase phase = set->container->phase;
	if (phase != MONITOR_CREATED && phase != MONITOR_RUNNING)
		return err_set(err, -ESRCH, "monitor.phase", "the container is %s: nothing to attach to",
			       monitor_phase_name(phase));
	if (!wish->with_stdin && !wish->with_stdout && !wish->with_stderr)
		return err_set(err, -EINVAL, "monitor.malformed", "attach to none of stdin, stdout, stderr");
	if (set->count >= ATTACH_MAX)
		return err_set(err, -EBUSY, "monitor.limit", "%d clients are attached already, the most there may be",
			       ATTACH_MAX);
	return 0;
}

int attach_add(struct attach_set *set, const struct monitor_attach *wish, struct attach_ends *ret_ends, struct err *err)
{
	*ret_ends = (struct attach_ends){0};
	int r = check(set, wish, err);
	if (r < 0)
		return r;
	struct attachment *attachment = calloc(1, sizeof *attachment);
	if (!attachment)
		return err_sys(err, -ENOMEM, "monitor.attach", "attach");
	attachment->set = set;
	attachment->next = set->attachments;
	set->attachments = attachment;
	set->count++;
	r = add_pipes(attachment, wish, ret_ends);
	attachment->complete = true;
	if (r < 0 || !is_attached(attachment))
		attachment_free(attachment);
	if (r < 0)
		attach_ends_done(ret_ends);
	return r < 0 ? err_sys(err, r, "monitor.attach", "attach") : 0;
}

void attach_set_done(struct attach_set *set)
{
	while (set->attachments)
		attachment_free(set->attachments);
}

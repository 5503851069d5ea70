/* Exec and Attach: a session joined to the channels error, stdin, stdout, stderr and resize. */
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "manager/src/attachment.h"
#include "manager/src/container.h"
#include "manager/src/fiber_group.h"
#include "manager/src/session.h"
#include "manager/src/spec.h"
#include "manager/src/streaming_codec.h"
#include "manager/src/streaming_internal.h"
#include "manager/src/streaming_status.h"

#define COPY_STEP 16384
#define RESIZE_TEXT_MAX 4096
#define RESIZE_VERSION 3 /* from this protocol on there is a channel for it */
#define OUTPUT_WAIT_MS 2000
#define STATUS_TEXT_MAX 4096

enum part {
	PART_ERROR,
	PART_STDIN,
	PART_STDOUT,
	PART_STDERR,
	PART_RESIZE,
	PART_COUNT,
};

static const char *const PART_NAMES[PART_COUNT] = {"error", "stdin", "stdout", "stderr", "resize"};

struct command {
	const struct streaming_client *client;
	struct fibers *fibers;
	struct channels *channels;
	struct channel *parts[PART_COUNT];
	struct session session;
	bool is_running; /* the session has begun */
	bool gone;	 /* the connection */
	struct fiber_group pumps;
	unsigned writing;   /* pumps that wait for the client */
	uint64_t output_ns; /* when output last got on its way */
};

/* --- channels --- */

static bool is_wanted(const struct command *command, enum part part)
{
	const struct streaming_request *request = command->client->request;
	const bool wanted[PART_COUNT] = {
		[PART_ERROR] = true,
		[PART_STDIN] = request->with_stdin,
		[PART_STDOUT] = request->with_stdout,
		[PART_STDERR] = request->with_stderr,
		[PART_RESIZE] = request->tty && command->client->version >= RESIZE_VERSION,
	};
	return wanted[part];
}

static bool is_complete(const struct command *command)
{
	for (size_t i = 0; i < PART_COUNT; i++)
		if (is_wanted(command, (enum part)i) && !command->parts[i])
			return false;
	return true;
}

/* A name that is unknown, not asked for or there already is refused. */
static int place_channel(struct command *command, struct channel *channel)
{
	const char *name = channel_label(channel, CHANNEL_STREAM_TYPE);
	for (size_t i = 0; i < PART_COUNT; i++) {
		if (!str_equal(name, PART_NAMES[i]) || command->parts[i] || !is_wanted(command, (enum part)i))
			continue;
		command->parts[i] = channel;
		return channel_take(channel);
	}
	channel_refuse(channel);
	return 0;
}

/* All that was asked for, within the time that the configuration leaves. */
static int gather_channels(struct command *command)
{
	uint64_t limit = command->client->node->config.streaming.creation_timeout_s * UINT64_C(1000000000);
	uint64_t outer = fiber_set_deadline(command->fibers, uv_hrtime() + limit);
	int r = 0;
	while (r == 0 && !is_complete(command)) {
		struct channel *channel = NULL;
		r = channels_accept(command->channels, &channel);
		if (r == 0)
			r = place_channel(command, channel);
	}
	(void)fiber_set_deadline(command->fibers, outer);
	return r;
}

/* What comes later is none of a command's. */
static void refuse_more(void *data)
{
	struct command *command = data;
	struct channel *channel = NULL;
	while (channels_accept(command->channels, &channel) == 0)
		channel_refuse(channel);
}

static void on_gone(void *data)
{
	struct command *command = data;
	command->gone = true;
	if (command->is_running)
		session_leave(&command->session);
}

/* --- flowing --- */

/* Where the client has closed its channel the output is dropped: the process shall not hang on it. */
static void pump_output(struct command *command, int fd, enum part part)
{
	char bytes[COPY_STEP];
	ssize_t count = 0;
	int r = 0;
	while ((count = session_read(&command->session, fd, bytes, sizeof bytes)) > 0) {
		command->writing++;
		if (r == 0)
			r = channel_write(command->parts[part], bytes, (size_t)count);
		command->writing--;
		if (r == -ECANCELED || r == -ETIMEDOUT || command->gone)
			return;
		command->output_ns = uv_hrtime();
	}
	if (r == 0)
		(void)channel_finish(command->parts[part]); /* the client may be gone */
}

static void pump_stdout(void *data)
{
	struct command *command = data;
	pump_output(command, command->session.stdout_fd, PART_STDOUT);
}

static void pump_stderr(void *data)
{
	struct command *command = data;
	pump_output(command, command->session.stderr_fd, PART_STDERR);
}

static void pump_stdin(void *data)
{
	struct command *command = data;
	char bytes[COPY_STEP];
	ssize_t count = 0;
	int r = 0;
	while (r == 0 && (count = channel_read(command->parts[PART_STDIN], bytes, sizeof bytes)) > 0)
		r = session_write(&command->session, bytes, (size_t)count);
	if (r == 0 && count != -ECANCELED) /* a half-close; a terminal has none, its user types what ends the input */
		session_close_stdin(&command->session);
}

struct terminal_size {
	uint32_t width;
	uint32_t height;
};
static const struct json_field SIZE_FIELDS[] = {
	JSON_FIELD(struct terminal_size, width, "Width", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct terminal_size, height, "Height", JSON_U32, JSON_REQUIRED),
};
static const struct json_table SIZE = JSON_TABLE(struct terminal_size, SIZE_FIELDS);

/* Sizes are objects without nesting, one behind the other. Acts on the last complete one of @text and drops them. */
static int take_sizes(struct command *command, struct buf *text)
{
	char *end = NULL;
	while (text->size && (end = memchr(text->data, '}', text->size))) {
		size_t length = (size_t)(end - text->data) + 1;
		struct terminal_size size = {0};
		scoped_done(arena_done) struct arena arena = {.max = RESIZE_TEXT_MAX};
		int r = json_decode("resize", text->data, length, &SIZE, &arena, &size, NULL);
		if (r < 0 || size.width > UINT16_MAX || size.height > UINT16_MAX)
			return -EINVAL;
		session_resize(&command->session, size.height, size.width);
		buf_consume(text, length);
	}
	return 0;
}

/* Nonsense ends it; the terminal keeps its size. */
static void pump_resize(void *data)
{
	struct command *command = data;
	scoped_done(buf_done) struct buf text = {.max = RESIZE_TEXT_MAX};
	char bytes[256];
	ssize_t count = 0;
	int r = 0;
	while (r == 0 && (count = channel_read(command->parts[PART_RESIZE], bytes, sizeof bytes)) > 0) {
		r = buf_add(&text, bytes, (size_t)count);
		if (r == 0)
			r = take_sizes(command, &text);
	}
	if (r < 0) {
		channel_refuse(command->parts[PART_RESIZE]);
		command->parts[PART_RESIZE] = NULL;
	}
}

static int start_pumps(struct command *command)
{
	const struct session *session = &command->session;
	const struct {
		bool wanted;
		fiber_function *function;
	} pumps[] = {
		{true, refuse_more},
		{session->stdout_fd >= 0 && command->parts[PART_STDOUT], pump_stdout},
		{session->stderr_fd >= 0 && command->parts[PART_STDERR], pump_stderr},
		{command->parts[PART_STDIN], pump_stdin},
		{command->parts[PART_RESIZE], pump_resize},
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(pumps); i++)
		if (pumps[i].wanted)
			r = fiber_group_start(&command->pumps, pumps[i].function, command);
	return r;
}

static bool output_flows(const struct command *command)
{
	return fiber_group_runs(&command->pumps, pump_stdout) || fiber_group_runs(&command->pumps, pump_stderr);
}

/* The process has ended: what it wrote gets through. A descendant that holds its output open is not waited for, a client
 * that reads slowly is. */
static int finish_output(struct command *command)
{
	const uint64_t patience = OUTPUT_WAIT_MS * UINT64_C(1000000);
	int r = 0;
	command->output_ns = uv_hrtime();
	while (r == 0 && output_flows(command) && !command->gone) {
		(void)fiber_set_deadline(command->fibers, uv_hrtime() + patience);
		r = fiber_signal_wait(command->fibers, &command->pumps.ended);
		(void)fiber_set_deadline(command->fibers, UINT64_MAX);
		if (r != -ETIMEDOUT)
			continue;
		if (!command->writing && uv_hrtime() >= command->output_ns + patience)
			return 0;
		r = 0;
	}
	return r;
}

/* --- beginning and end --- */

static int begin(struct command *command, struct err *err)
{
	const struct streaming_request *request = command->client->request;
	if (!request->container->running)
		return err_set(err, -EBUSY, "container.state", "container %s does not run", request->container->id);
	session_init(&command->session, container_ref(request->container));
	command->is_running = true;
	if (request->kind == STREAMING_ATTACH) {
		const struct attachment_wish wish = {
			.with_stdin = request->with_stdin,
			.with_stdout = request->with_stdout,
			.with_stderr = request->with_stderr,
		};
		return session_attach(&command->session, &wish, err);
	}
	const struct spec_exec process = {.command = (const char *const *)request->command, .tty = request->tty};
	const struct session_exec wish = {
		.process = &process,
		.with_stdin = request->with_stdin,
		.with_stdout = request->with_stdout,
		.with_stderr = request->with_stderr,
	};
	return session_start_exec(&command->session, &wish, err);
}

/* Runs it; returns 0 where it has come to its end and the client is there to hear how. */
static int run_session(struct command *command, struct err *err)
{
	int r = begin(command, err);
	if (r == 0)
		r = start_pumps(command);
	if (r == 0)
		r = session_wait(&command->session);
	if (r == 0 && !command->gone)
		r = finish_output(command);
	if (command->is_running && (r < 0 || command->gone))
		session_abandon(&command->session);
	return r;
}

static void send_status(struct command *command, const struct err *err, int code)
{
	static const char *const DEEDS[STREAMING_KIND_COUNT] = {
		[STREAMING_EXEC] = "executing command in container",
		[STREAMING_ATTACH] = "attaching to container",
	};
	scoped_done(buf_done) struct buf text = {.max = STATUS_TEXT_MAX};
	enum streaming_kind kind = command->client->request->kind;
	int version = command->client->version;
	int32_t exit_code = command->is_running && command->session.has_exec ? command->session.exec.exit_code : 0;
	int r = code < 0 ? status_of_failure(version, DEEDS[kind], err, code, &text)
			 : status_of_exit(version, exit_code, &text);
	if (r == 0 && text.size)
		(void)channel_write(command->parts[PART_ERROR], text.data, text.size); /* the client may be gone */
	log_debug(&command->client->node->log, "streaming.done", "%s", text.size ? text.data : "success");
}

static void close_all(struct command *command)
{
	for (size_t i = PART_COUNT; i-- > 0;) /* the error channel last: its end is the client's sign that all is there */
		channel_close(command->parts[i]);
	channels_close(command->channels);
}

static void run(struct command *command)
{
	struct err err = {0};
	int r = gather_channels(command);
	if (r < 0) {
		log_debug(&command->client->node->log, "streaming.channels", "a client did not open its streams in time");
		return;
	}
	r = run_session(command, &err);
	fiber_group_join(&command->pumps, true);
	if (!command->gone)
		send_status(command, &err, r);
}

void streaming_run_command(struct streaming_client *client)
{
	struct node *node = client->node;
	struct command command = {
		.client = client,
		.fibers = node->fibers,
		.pumps = {.fibers = node->fibers},
	};
	const struct channels_options options = {
		.fibers = node->fibers,
		.codec = &SPDY_CODEC,
		.channels_max = COMMAND_CHANNELS_MAX,
		.idle_ns = node->config.streaming.idle_timeout_s * UINT64_C(1000000000),
		.early = client->early,
		.early_size = client->early_size,
		.on_gone = on_gone,
		.data = &command,
	};
	if (channels_open(client->socket, &options, &command.channels, NULL) < 0)
		return;
	run(&command);
	close_all(&command);
	if (command.is_running)
		session_done(&command.session);
}

#include "runtime/src/axrun/sync.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/sys/fd.h"

struct packet {
	enum sync_kind kind;
	int numbers[2];
	int code;
	char reason[48];
	char text[ERR_MESSAGE_MAX];
};

#define SHORT_PACKET offsetof(struct packet, code)

/* Reasons are static strings, and the receiver may be another program run: those that matter to callers are kept by
 * name, all others arrive as the one at the end. */
static const char *const REASONS[] = {
	"exec.not-found", "exec.permission", "exec.no-file", "exec.failed", "process.cwd", "hook.failed", "container.init",
};

static const char *intern_reason(const char *reason)
{
	for (size_t i = 0; i < ARRAY_COUNT(REASONS); i++)
		if (strcmp(REASONS[i], reason) == 0)
			return REASONS[i];
	return REASONS[ARRAY_COUNT(REASONS) - 1];
}

int sync_send(int socket, enum sync_kind kind, const int numbers[2], int fd)
{
	struct packet packet = {.kind = kind};
	if (numbers)
		memcpy(packet.numbers, numbers, sizeof packet.numbers);
	return fd_send_message(socket, &packet, SHORT_PACKET, &fd, fd >= 0 ? 1 : 0);
}

int sync_send_error(int socket, const struct err *err, int code)
{
	struct packet packet = {.kind = SYNC_ERROR, .code = code};
	(void)snprintf(packet.reason, sizeof packet.reason, "%s", err->reason ? err->reason : "");
	(void)snprintf(packet.text, sizeof packet.text, "%s", err_text(err, code));
	return fd_send_message(socket, &packet, sizeof packet, NULL, 0);
}

static int take_error(struct packet *packet, struct err *err)
{
	packet->reason[sizeof packet->reason - 1] = '\0';
	packet->text[sizeof packet->text - 1] = '\0';
	int code = packet->code < 0 ? packet->code : -EPROTO;
	return err_set(err, code, intern_reason(packet->reason), "%s", packet->text);
}

int sync_receive(int socket, struct sync_message *ret_message, struct err *err)
{
	struct packet packet = {0};
	int fd = -1;
	size_t count = 0;
	ssize_t length = fd_receive_message(socket, &packet, sizeof packet, &fd, 1, &count);
	/* the other side ended without reading all that we sent (a "go on", mostly): told once, before its own last words */
	if (length == -ECONNRESET)
		length = fd_receive_message(socket, &packet, sizeof packet, &fd, 1, &count);
	if (length < 0 && length != -ECONNRESET)
		return err_sys(err, (int)length, "sync.receive", "wait for the container's first process");
	if (length <= 0)
		return SYNC_END;
	if (packet.kind == SYNC_ERROR && length == (ssize_t)sizeof packet)
		return take_error(&packet, err);
	if ((size_t)length < SHORT_PACKET) {
		if (count > 0)
			(void)close(fd); /* of a malformed message */
		return err_set(err, -EPROTO, "sync.receive", "a message of %zd bytes from the container's first process",
			       length);
	}
	*ret_message = (struct sync_message){.kind = packet.kind, .fd = count > 0 ? fd : -1};
	memcpy(ret_message->numbers, packet.numbers, sizeof packet.numbers);
	return 0;
}

int sync_expect(int socket, enum sync_kind kind, struct err *err)
{
	struct sync_message message = {0};
	int r = sync_receive(socket, &message, err);
	if (r < 0)
		return r;
	if (r == 0 && message.fd >= 0)
		(void)close(message.fd); /* none was expected */
	if (r == SYNC_END || message.kind != kind)
		return err_set(err, -EPROTO, "sync.receive", "the other side ended before it was done");
	return 0;
}

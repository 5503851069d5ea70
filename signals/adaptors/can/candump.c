#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "signals/adaptors/can/frame.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return -1;
}

static const char *skip_blanks(const char *c)
{
	return c + strspn(c, " \t");
}

/* Reads "(SECONDS.FRACTION)", of which nine digits count. */
static int take_time(const char **at, int64_t *ret_time_ns, struct err *err)
{
	const char *c = *at + 1;
	int64_t seconds = 0;
	int64_t fraction = 0;
	int64_t scale = 1000000000;
	for (; *c >= '0' && *c <= '9'; c++) {
		if (seconds > INT64_MAX / 1000000000 / 10 - 1)
			return err_set(err, -EINVAL, "candump.time", "\"%.30s\": expected seconds since 1970", *at);
		seconds = seconds * 10 + (*c - '0');
	}
	if (*c == '.')
		for (c++; *c >= '0' && *c <= '9'; c++)
			if (scale > 1)
				fraction += (*c - '0') * (scale /= 10);
	if (*c != ')')
		return err_set(err, -EINVAL, "candump.time", "\"%.30s\": expected (SECONDS.MICROSECONDS)", *at);
	*ret_time_ns = seconds * 1000000000 + fraction;
	*at = skip_blanks(c + 1);
	return 0;
}

/* An identifier of 3 digits is standard, of 8 extended. */
static int take_id(const char **at, struct can_frame_data *frame, struct err *err)
{
	const char *c = *at;
	uint32_t id = 0;
	size_t digits = 0;
	for (; hex_value(*c) >= 0 && digits < 9; c++, digits++)
		id = id << 4 | (uint32_t)hex_value(*c);
	if (digits != 3 && digits != 8)
		return err_set(err, -EINVAL, "candump.id", "\"%.20s\": expected an identifier of 3 or 8 hexadecimal digits", *at);
	frame->extended = digits == 8;
	frame->error = digits == 8 && (id & 0x20000000u);
	frame->id = id & (digits == 8 ? 0x1fffffffu : 0x7ffu);
	if (digits == 3 && id > 0x7ff)
		return err_set(err, -EINVAL, "candump.id", "\"%.20s\": expected at most 7FF", *at);
	*at = c;
	return 0;
}

/* Pairs of digits, with blanks or dots between them, to the end of the line (or a blank where @compact). */
static int take_bytes(const char **at, struct can_frame_data *frame, bool compact, struct err *err)
{
	const char *c = *at;
	size_t max = frame->fd ? CAN_FRAME_BYTES_MAX : 8;
	size_t length = 0;
	while (hex_value(c[0]) >= 0) {
		if (hex_value(c[1]) < 0)
			return err_set(err, -EINVAL, "candump.data", "\"%.20s\": expected pairs of digits", c);
		if (length == max)
			return err_set(err, -EINVAL, "candump.data", "expected at most %zu bytes", max);
		frame->data[length++] = (uint8_t)(hex_value(c[0]) << 4 | hex_value(c[1]));
		c += 2;
		if (compact)
			c += *c == '.';
		else
			c = skip_blanks(c);
	}
	frame->length = (uint8_t)length;
	*at = c;
	return 0;
}

/* "ID#DATA", "ID##FDATA", "ID#R" */
static int take_compact(const char *c, struct can_frame_data *frame, struct err *err)
{
	int r = take_id(&c, frame, err);
	if (r < 0)
		return r;
	if (*c != '#')
		return err_set(err, -EINVAL, "candump.frame", "\"%.20s\": expected '#'", c);
	c++;
	if (*c == '#') {
		int flags = hex_value(c[1]);
		if (flags < 0)
			return err_set(err, -EINVAL, "candump.frame", "\"%.20s\": expected the flags of an FD frame", c);
		frame->fd = true;
		frame->flags = (uint8_t)flags;
		c += 2;
	}
	if (!frame->fd && (*c | 32) == 'r') {
		frame->remote = true;
		return 0;
	}
	r = take_bytes(&c, frame, true, err);
	if (r == 0 && *c && !strchr(" \t\r\n_", *c)) /* "_9" behind it: the raw length code of a classic frame */
		return err_set(err, -EINVAL, "candump.data", "\"%.20s\": expected pairs of digits", c);
	if (r == 0 && frame->fd && can_fd_length(frame->length) != frame->length)
		return err_set(err, -EINVAL, "candump.data", "%u bytes: not a length of an FD frame", frame->length);
	return r;
}

/* "ID   [LENGTH]  DE AD BE EF" */
static int take_spaced(const char *c, struct can_frame_data *frame, struct err *err)
{
	int r = take_id(&c, frame, err);
	if (r < 0)
		return r;
	c = skip_blanks(c);
	size_t digits = *c == '[' ? strspn(c + 1, "0123456789") : 0;
	if (digits < 1 || digits > 2 || c[1 + digits] != ']')
		return err_set(err, -EINVAL, "candump.frame", "\"%.20s\": expected [LENGTH]", c);
	unsigned length = (unsigned)(c[1] - '0');
	if (digits == 2)
		length = length * 10 + (unsigned)(c[2] - '0');
	frame->fd = length > 8 || digits == 2; /* candump writes [08] for FD */
	c = skip_blanks(c + digits + 2);
	if (strncmp(c, "remote", 6) == 0) {
		if (frame->fd)
			return err_set(err, -EINVAL, "candump.frame", "a remote frame: expected a classic length, as FD has none");
		frame->remote = true;
		return 0;
	}
	r = take_bytes(&c, frame, false, err);
	if (r == 0 && frame->length != length)
		return err_set(err, -EINVAL, "candump.data", "[%u] and %u bytes: expected as many", length, frame->length);
	return r;
}

int candump_parse(const char *line, struct can_frame_data *ret_frame, int64_t *ret_time_ns, char ret_interface[static 16],
		  struct err *err)
{
	const char *c = skip_blanks(line);
	if (!*c || *c == '#' || *c == '\r' || *c == '\n')
		return 0;
	struct can_frame_data frame = {0};
	int64_t time_ns = -1;
	int r = 0;
	if (*c == '(' && (r = take_time(&c, &time_ns, err)) < 0)
		return r;
	size_t word = strcspn(c, " \t\r\n");
	char interface[16] = "";
	if (!memchr(c, '#', word)) { /* a name in front of the frame */
		if (word >= sizeof interface)
			return err_set(err, -EINVAL, "candump.interface", "\"%.20s\": expected an interface or a frame", c);
		memcpy(interface, c, word);
		c = skip_blanks(c + word);
	}
	bool compact = memchr(c, '#', strcspn(c, " \t\r\n")) != NULL;
	r = (compact ? take_compact : take_spaced)(c, &frame, err);
	if (r < 0)
		return r;
	*ret_frame = frame;
	*ret_time_ns = time_ns;
	memcpy(ret_interface, interface, sizeof interface);
	return 1;
}

int candump_add(struct buf *out, const struct can_frame_data *frame, int64_t time_ns, const char *interface)
{
	size_t before = out->size;
	int r = buf_printf(out, "(%lld.%06lld) %s ", (long long)(time_ns / 1000000000), (long long)(time_ns / 1000 % 1000000),
			   interface);
	if (r == 0)
		r = buf_printf(out, frame->extended ? "%08X#" : "%03X#", frame->id);
	if (r == 0 && frame->fd)
		r = buf_printf(out, "#%X", frame->flags & 15u);
	if (r == 0 && frame->remote)
		r = buf_add_char(out, 'R');
	for (size_t i = 0; r == 0 && !frame->remote && i < frame->length; i++)
		r = buf_printf(out, "%02X", frame->data[i]);
	if (r == 0)
		r = buf_add_char(out, '\n');
	if (r < 0)
		out->size = before;
	return r;
}

uint8_t can_fd_length(uint8_t length)
{
	static const uint8_t LENGTHS[] = {12, 16, 20, 24, 32, 48, 64};
	if (length <= 8)
		return length;
	for (size_t i = 0; i < sizeof LENGTHS; i++)
		if (length <= LENGTHS[i])
			return LENGTHS[i];
	return 64;
}

#include "signals/adaptors/can/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "signals/adaptors/adaptor.h"
#include "signals/adaptors/can/mapping.h"

#define READ_BYTES 65536
#define FILTERS_MAX 512 /* of one socket (CAN_RAW_FILTER_MAX); beyond, everything is received */

/* ---- SocketCAN ---- */

static int set_filters(int fd, const struct mapping *mapping)
{
	struct can_filter filters[FILTERS_MAX];
	size_t count = 0;
	const struct dbc_message *last = NULL;
	for (size_t i = 0; i < mapping->from_count; i++) {
		const struct dbc_message *message = mapping->from_can[i].message;
		if (message == last)
			continue;
		last = message;
		if (count == FILTERS_MAX)
			return 0;
		canid_t flag = message->extended ? CAN_EFF_FLAG : 0;
		canid_t mask = message->extended ? CAN_EFF_MASK : CAN_SFF_MASK;
		filters[count++] = (struct can_filter){message->id | flag, mask | CAN_EFF_FLAG | CAN_RTR_FLAG};
	}
	if (setsockopt(fd, SOL_CAN_RAW, CAN_RAW_FILTER, filters, (socklen_t)(count * sizeof *filters)) < 0)
		return -errno;
	return 0;
}

int bus_open_socket(struct bus *bus, const char *name, const struct mapping *mapping, struct err *err)
{
	int on = 1;
	scoped_fd int fd = socket(PF_CAN, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, CAN_RAW);
	if (fd < 0)
		return err_sys(err, -errno, "can.socket", "CAN interface %s", name);
	struct sockaddr_can address = {.can_family = AF_CAN, .can_ifindex = (int)if_nametoindex(name)};
	if (address.can_ifindex == 0)
		return err_sys(err, -errno, "can.interface", "CAN interface %s", name);
	int r = set_filters(fd, mapping);
	if (r < 0)
		return err_sys(err, r, "can.filter", "CAN interface %s: filters", name);
	(void)setsockopt(fd, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof on); /* an old kernel has classic frames alone */
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return err_sys(err, -errno, "can.bind", "CAN interface %s", name);
	bus->kind = BUS_SOCKET;
	bus->name = name;
	bus->fd = TAKE_FD(fd);
	return 0;
}

static int receive(struct bus *bus, struct can_frame_data *ret_frame, struct err *err)
{
	struct canfd_frame frame = {0};
	ssize_t n = read(bus->fd, &frame, sizeof frame);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : err_sys(err, -errno, "can.read", "CAN interface %s", bus->name);
	if (n != CAN_MTU && n != CANFD_MTU)
		return 0;
	bool extended = frame.can_id & CAN_EFF_FLAG;
	*ret_frame = (struct can_frame_data){
		.id = frame.can_id & (extended ? CAN_EFF_MASK : CAN_SFF_MASK),
		.extended = extended,
		.fd = n == CANFD_MTU,
		.remote = frame.can_id & CAN_RTR_FLAG,
		.error = frame.can_id & CAN_ERR_FLAG,
		.length = frame.len > CAN_FRAME_BYTES_MAX ? CAN_FRAME_BYTES_MAX : frame.len,
		.flags = frame.flags & 3,
	};
	memcpy(ret_frame->data, frame.data, ret_frame->length);
	return 1;
}

static int transmit(const struct bus *bus, const struct can_frame_data *data, struct err *err)
{
	struct canfd_frame frame = {.can_id = data->id | (data->extended ? CAN_EFF_FLAG : 0), .len = data->length,
				    .flags = data->flags};
	memcpy(frame.data, data->data, data->length);
	if (write(bus->fd, &frame, data->fd ? CANFD_MTU : CAN_MTU) < 0)
		return err_sys(err, -errno, "can.write", "CAN interface %s", bus->name);
	return 0;
}

/* ---- logs and pipes ---- */

int bus_open_log(struct bus *bus, const char *path, struct err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	scoped_fd int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status = {0};
	if (fd < 0 || fstat(fd, &status) < 0)
		return err_sys(err, -errno, "can.log", "%s", path);
	bus->kind = S_ISREG(status.st_mode) ? BUS_LOG : BUS_PIPE;
	if (bus->kind == BUS_PIPE)
		(void)fd_set_nonblock(fd, true); /* a terminal that refuses is only slower */
	bus->name = is_stdin ? "standard input" : path;
	bus->in = (struct buf){.max = 2 * READ_BYTES};
	bus->fd = TAKE_FD(fd);
	return 0;
}

void bus_close(struct bus *bus)
{
	const int fds[] = {bus->fd, bus->out_fd > STDERR_FILENO ? bus->out_fd : -1, bus->record_fd};
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	bus->fd = bus->out_fd = bus->record_fd = -1;
	buf_done(&bus->in);
}

/* Reads more into @in. Returns 1, or 0: nothing is there now; @end is set at the end. */
static int fill(struct bus *bus, struct err *err)
{
	buf_consume(&bus->in, bus->next);
	bus->next = 0;
	if (bus->in.size >= READ_BYTES) { /* a line without an end */
		bus->bad_lines++;
		buf_clear(&bus->in);
	}
	char *tail = NULL;
	int r = buf_reserve(&bus->in, READ_BYTES, &tail);
	if (r < 0)
		return err_set(err, r, "can.memory", "out of memory");
	ssize_t n = read(bus->fd, tail, READ_BYTES);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : err_sys(err, -errno, "can.read", "%s", bus->name);
	if (n == 0)
		bus->end = true;
	buf_claim(&bus->in, (size_t)n);
	return n > 0;
}

/* The next line, terminated; NULL where none is whole. */
static char *take_line(struct bus *bus)
{
	if (bus->next >= bus->in.size)
		return NULL;
	char *line = bus->in.data + bus->next;
	char *end = memchr(line, '\n', bus->in.size - bus->next);
	if (!end && !bus->end)
		return NULL;
	if (!end)
		end = bus->in.data + bus->in.size; /* where the terminator of the buffer is */
	bus->next = (size_t)(end - bus->in.data) + (*end == '\n');
	*end = '\0';
	return line;
}

/* Reads lines until one has a frame. Returns 1, or 0: none is there. */
static int read_frame(struct bus *bus, struct err *err)
{
	for (;;) {
		char *line = take_line(bus);
		if (!line) {
			int r = bus->end ? 0 : fill(bus, err);
			if (r <= 0 && !(bus->end && bus->next < bus->in.size))
				return r;
			continue;
		}
		char interface[16];
		int r = candump_parse(line, &bus->frame, &bus->frame_ns, interface, NULL);
		bus->bad_lines += r < 0;
		if (r == 1)
			return 1;
	}
}

static int rewind_log(struct bus *bus, struct err *err)
{
	if (lseek(bus->fd, 0, SEEK_SET) < 0)
		return err_sys(err, -errno, "can.loop", "%s", bus->name);
	buf_clear(&bus->in);
	bus->next = 0;
	bus->end = false;
	pace_restart(&bus->pace);
	return 0;
}

/* Of a log: reads ahead to the next frame and says when it is due. */
static int read_ahead(struct bus *bus, int64_t now_ns, struct err *err)
{
	bool was_rewound = false;
	while (!bus->has_frame) {
		int r = read_frame(bus, err);
		if (r < 0)
			return r;
		if (r == 0 && (!bus->loop || was_rewound))
			return 0; /* the end; or a log without any frame, which would loop for ever */
		if (r == 0) {
			r = rewind_log(bus, err);
			was_rewound = true;
			if (r < 0)
				return r;
			continue;
		}
		if (bus->frame_ns < 0)
			bus->frame_ns = bus->pace.begun ? bus->pace.last_ns : 0;
		bus->due_ns = pace_due(&bus->pace, bus->frame_ns, now_ns);
		bus->has_frame = bus->due_ns != INT64_MIN;
	}
	return 0;
}

int bus_fd(const struct bus *bus)
{
	return (bus->kind == BUS_SOCKET || bus->kind == BUS_PIPE) && !bus->end ? bus->fd : -1;
}

int64_t bus_due(struct bus *bus, int64_t now_ns)
{
	if (bus->kind != BUS_LOG)
		return INT64_MAX;
	(void)read_ahead(bus, now_ns, NULL); /* an error comes again, and is told, at the next bus_next() */
	if (bus->has_frame)
		return bus->due_ns;
	return bus->end ? INT64_MAX : now_ns;
}

static void record(struct bus *bus, const struct can_frame_data *frame, int64_t time_ns)
{
	struct buf line = {.max = CANDUMP_LINE_MAX};
	if (candump_add(&line, frame, time_ns, bus->kind == BUS_SOCKET ? bus->name : "can0") == 0)
		(void)fd_write_all(bus->record_fd, line.data, line.size); /* a full disk does not stop the signals */
	buf_done(&line);
}

int bus_next(struct bus *bus, int64_t now_ns, struct can_frame_data *ret_frame, int64_t *ret_time_ns, struct err *err)
{
	int r = 0;
	*ret_time_ns = adaptor_wall();
	if (bus->kind == BUS_SOCKET) {
		r = receive(bus, ret_frame, err);
	} else if (bus->kind == BUS_PIPE) {
		r = read_frame(bus, err);
		*ret_frame = bus->frame;
	} else if (bus->kind == BUS_LOG) {
		r = read_ahead(bus, now_ns, err);
		if (r == 0 && bus->has_frame && bus->due_ns <= now_ns) {
			bus->has_frame = false;
			*ret_frame = bus->frame;
			r = 1;
		}
	}
	if (r == 1 && bus->record_fd >= 0)
		record(bus, ret_frame, *ret_time_ns);
	return r;
}

int bus_send(struct bus *bus, const struct can_frame_data *frame, struct err *err)
{
	if (bus->out_fd < 0)
		return bus->kind == BUS_SOCKET ? transmit(bus, frame, err)
					       : err_set(err, -ENOTCONN, "can.out", "there is no bus to send to");
	struct buf line = {.max = CANDUMP_LINE_MAX};
	int r = candump_add(&line, frame, adaptor_wall(), "can0");
	if (r == 0)
		r = fd_write_all(bus->out_fd, line.data, line.size);
	buf_done(&line);
	return r < 0 ? err_sys(err, r, "can.out", "send a frame") : 0;
}

/* Where frames come from and go to: a CAN interface, a candump log, a pipe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "signals/adaptors/can/frame.h"
#include "signals/adaptors/pace.h"

struct err;
struct mapping;

enum bus_kind {
	BUS_NONE,
	BUS_SOCKET, /* SocketCAN */
	BUS_LOG,    /* a file: replayed at its own pace */
	BUS_PIPE,   /* lines as they come */
};

struct bus {
	enum bus_kind kind;
	const char *name; /* of the interface or file, for messages */
	int fd;		  /* to read; of a log: the file */
	int out_fd;	  /* where sent frames go as log lines; -1: to the interface, or nowhere */
	int record_fd;	  /* where received frames go as log lines; -1: nowhere */
	bool loop;
	struct pace pace;
	struct buf in;
	size_t next;	   /* where the next line begins in @in */
	bool end;	   /* nothing more will come */
	bool has_frame;	   /* of a log: one is read and waits for its time */
	struct can_frame_data frame;
	int64_t frame_ns; /* its time in the log, or of its receipt */
	int64_t due_ns;
	uint64_t bad_lines;
};

/* Opens SocketCAN interface @name, with filters for what @mapping reads. Errors: -EAFNOSUPPORT (the kernel has no
 * CAN), -ENODEV, ...; @err names the interface. */
int bus_open_socket(struct bus *bus, const char *name, const struct mapping *mapping, struct err *err);

/* Opens a candump log, or ("-" or a FIFO) a pipe. */
int bus_open_log(struct bus *bus, const char *path, struct err *err);
void bus_close(struct bus *bus);

/* What to wait for: a descriptor or -1, and a time or INT64_MAX. */
int bus_fd(const struct bus *bus);
int64_t bus_due(struct bus *bus, int64_t now_ns);

/* The next frame that is there now. Returns 1, or 0: none. Errors: of read(2); @err names the source. */
int bus_next(struct bus *bus, int64_t now_ns, struct can_frame_data *ret_frame, int64_t *ret_time_ns, struct err *err);

/* Errors: of write(2); -ENOTCONN: there is nowhere to send to. */
int bus_send(struct bus *bus, const struct can_frame_data *frame, struct err *err);

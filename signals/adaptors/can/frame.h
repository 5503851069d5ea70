/* A CAN frame, classic or FD, and the text form of can-utils' candump logs. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define CAN_FRAME_BYTES_MAX 64
#define CANDUMP_LINE_MAX 256

struct can_frame_data {
	uint32_t id; /* 11 or 29 bits */
	bool extended;
	bool fd;
	bool remote; /* no data; skipped by everybody here */
	bool error;
	uint8_t length;
	uint8_t flags; /* of FD: 1 bit rate switch, 2 error state */
	uint8_t data[CAN_FRAME_BYTES_MAX];
};

/* Reads one line: "(1436509052.249713) can0 123#DEADBEEF" (candump -l, -L), "can0  123   [2]  DE AD" (candump, with
 * or without time), "123#DEADBEEF" (cansend). FD: "123##0DEADBEEF". *ret_time_ns is -1 where the line has no time;
 * @ret_interface (16 bytes) is "" where it names none. Returns 1, or 0: nothing on this line (blank, comment).
 * Errors: -EINVAL (@err: what was expected). */
int candump_parse(const char *line, struct can_frame_data *ret_frame, int64_t *ret_time_ns, char ret_interface[static 16],
		  struct err *err);

/* Appends "(SECONDS.MICROS) INTERFACE ID#DATA\n". Errors: -ENOMEM, -EMSGSIZE. */
int candump_add(struct buf *out, const struct can_frame_data *frame, int64_t time_ns, const char *interface);

/* The length that FD has for at least @length bytes (12 for 9 ... 64 for 49). */
uint8_t can_fd_length(uint8_t length);

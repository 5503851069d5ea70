/* Container logs in CRI's format, one record a line: "TIME STREAM TAG TEXT", as axmon writes them and kubelets read them.
 * Sans-I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cri_log_line {
	int64_t time_ns;
	bool stderr_;
	bool partial; /* the tag is "P": the line goes on in the next record of this stream */
	const char *text; /* in the line that was parsed; not terminated */
	size_t length;
};

/* Parses one line, without its line end. Errors: -EINVAL. */
int cri_log_parse(const char *line, size_t length, struct cri_log_line *ret_line);

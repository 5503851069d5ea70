/* Records of signals as CSV (docs/formats/signal-csv.md): "time,path,value", RFC 4180. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define CSV_LINE_MAX 65536
#define CSV_HEADER "time,path,value"

struct csv_record {
	int64_t time_ns;
	const char *path;  /* points into the line */
	const char *value; /* likewise; NULL: unavailable */
};

/* Parses one line (terminated, changed in place). Returns 1, or 0: no record (blank, comment, the header).
 * Errors: -EINVAL (@err: what was expected). */
int csv_parse(char *line, struct csv_record *ret_record, struct err *err);

/* Appends one line. Errors: -ENOMEM, -EMSGSIZE. */
int csv_add(struct buf *out, const struct csv_record *record);

/* A container's output as records of the CRI log format, without I/O:
 *
 *	2016-10-06T00:17:09.669794202Z stdout F the whole line
 *	2016-10-06T00:17:09.669794203Z stdout P a part of a line that is longer, or not at its end yet
 *
 * (kubernetes: staging/src/k8s.io/cri-api, log format; kubelet joins "P" records with what follows.) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRI_CONTENT_MAX 16384
#define CRI_HEADER_BYTES 40 /* always: time 30, stream 6, tag 1, three blanks */

struct cri_record {
	char header[CRI_HEADER_BYTES + 24]; /* CRI_HEADER_BYTES of it */
	struct {
		const char *bytes;
		size_t size;
	} parts[2]; /* the content; a '\n' ends the record */
};

/* Takes a record; false: no room now, offer it again later. */
typedef bool cri_emit(void *owner, const struct cri_record *record);

struct cri_framer {
	const char *stream; /* "stdout" or "stderr" */
	char *tail;         /* a line whose end has not come: CRI_CONTENT_MAX bytes, allocated when first needed */
	size_t tail_size;
};

void cri_framer_done(struct cri_framer *framer);

/* Cuts @bytes into records stamped @time_ns and emits them. Returns how many bytes are dealt with (emitted or kept as the
 * line's beginning): fewer than @size when @emit had no room. Errors: -ENOMEM. */
ptrdiff_t cri_frame(struct cri_framer *framer, const char *bytes, size_t size, int64_t time_ns, cri_emit *emit,
		    void *owner);

/* Emits the kept beginning of a line as a "P" record. Returns false when @emit had no room. */
bool cri_flush(struct cri_framer *framer, int64_t time_ns, cri_emit *emit, void *owner);

/* A record that the monitor itself adds ("F"). */
void cri_record_make(struct cri_record *ret_record, const char *stream, char tag, int64_t time_ns);

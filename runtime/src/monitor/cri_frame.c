#include "runtime/src/monitor/cri_frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000

void cri_framer_done(struct cri_framer *framer)
{
	free(framer->tail);
	framer->tail = NULL;
	framer->tail_size = 0;
}

void cri_record_make(struct cri_record *ret_record, const char *stream, char tag, int64_t time_ns)
{
	if (time_ns < 0)
		time_ns = 0; /* a clock before 1970: records keep their form */
	time_t seconds = time_ns / NS_PER_S;
	struct tm parts = {0};
	(void)gmtime_r(&seconds, &parts);
	char date[32];
	(void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
	*ret_record = (struct cri_record){0};
	(void)snprintf(ret_record->header, sizeof ret_record->header, "%.19s.%09uZ %.6s %c ", date,
		       (unsigned)(time_ns % NS_PER_S), stream, tag);
}

/* Emits the kept beginning followed by @size bytes. */
static bool emit_line(struct cri_framer *framer, const char *bytes, size_t size, char tag, int64_t time_ns,
		      cri_emit *emit, void *owner)
{
	struct cri_record record;
	cri_record_make(&record, framer->stream, tag, time_ns);
	record.parts[0].bytes = framer->tail;
	record.parts[0].size = framer->tail_size;
	record.parts[1].bytes = bytes;
	record.parts[1].size = size;
	if (!emit(owner, &record))
		return false;
	framer->tail_size = 0;
	return true;
}

static int keep(struct cri_framer *framer, const char *bytes, size_t size)
{
	if (size == 0)
		return 0;
	if (!framer->tail && !(framer->tail = malloc(CRI_CONTENT_MAX)))
		return -ENOMEM;
	memcpy(framer->tail + framer->tail_size, bytes, size);
	framer->tail_size += size;
	return 0;
}

ptrdiff_t cri_frame(struct cri_framer *framer, const char *bytes, size_t size, int64_t time_ns, cri_emit *emit,
		    void *owner)
{
	size_t at = 0;
	while (at < size) {
		const char *newline = memchr(bytes + at, '\n', size - at);
		size_t length = newline ? (size_t)(newline - bytes) - at : size - at;
		size_t room = CRI_CONTENT_MAX - framer->tail_size;
		if (length > room) {
			if (!emit_line(framer, bytes + at, room, 'P', time_ns, emit, owner))
				break;
			at += room;
		} else if (newline) {
			if (!emit_line(framer, bytes + at, length, 'F', time_ns, emit, owner))
				break;
			at += length + 1;
		} else {
			int r = keep(framer, bytes + at, length);
			if (r < 0)
				return r;
			at = size;
		}
	}
	return (ptrdiff_t)at;
}

bool cri_flush(struct cri_framer *framer, int64_t time_ns, cri_emit *emit, void *owner)
{
	return framer->tail_size == 0 || emit_line(framer, NULL, 0, 'P', time_ns, emit, owner);
}

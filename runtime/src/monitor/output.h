/* One output stream of the container (stdout, stderr, or its pty): read in chunks, each of which goes to the log and to every
 * attached reader before the next one is read. So memory is bounded by one chunk, and the log loses nothing by a slow
 * reader. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/src/monitor/cri_frame.h"
#include "runtime/src/monitor/loop.h"

struct log_sink;
struct output;

#define OUTPUT_CHUNK_BYTES 16384
#define OUTPUT_LINE_WAIT_MS 50 /* how long the beginning of a line waits for its end before it is logged as a part */

/* An attached client's pipe for one stream. Made by output_add_reader(); removed by itself when the client goes. */
struct reader {
	struct output *output; /* NULL: not attached */
	int fd;                /* write end, non-blocking; owned */
	struct watch watch;
	struct timer patience;
	uint32_t patience_ms;
	size_t offset;             /* how much of the current chunk it has */
	uint64_t missing;          /* bytes lost and not yet confessed in its stream */
	void (*gone)(void *owner); /* the client closed its end, or the output ended */
	void *owner;
	struct reader *next;
};

struct output {
	struct loop *loop;
	struct log_sink *sink;
	int fd; /* non-blocking; -1: there is none, or it has ended */
	struct watch watch;
	struct timer line_wait;
	struct cri_framer framer;
	char *chunk; /* OUTPUT_CHUNK_BYTES */
	size_t size, logged;
	int64_t chunk_time_ns;
	struct reader *readers;
	void (*changed)(void *owner); /* a chunk was dealt with, or the end was reached */
	void *owner;
};

/* Makes @output stand for nothing; @name: "stdout" or "stderr". */
void output_init(struct output *output, struct loop *loop, struct log_sink *sink, const char *name);
void output_done(struct output *output);

/* Takes over the descriptor on success; reading begins with output_resume(). Errors: -ENOMEM. */
int output_open(struct output *output, int fd);

/* Goes on where it waited (room in the log, or a reader). */
void output_resume(struct output *output);

/* Has everything that the container wrote until now been given to the log? (A pty shows its last bytes late: it is drained
 * at its end only.) */
bool output_is_drained(const struct output *output);

/* Adds a reader: @reader is zeroed but for patience_ms, gone and owner. Takes over the pipe's write end. */
int output_add_reader(struct output *output, struct reader *reader, int fd);
void output_remove_reader(struct reader *reader);

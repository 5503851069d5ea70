#include "core/net/spdy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/net/spdy_dictionary.h"

#define VERSION 3
#define HEADER_SIZE 8 /* of every frame (2.2) */
#define CONTROL_BIT 0x80000000
#define FLAG_FIN 0x01
#define FLAG_UNIDIRECTIONAL 0x02
#define WINDOW_BITS 11 /* the dictionary just fits into 2 KiB; a larger window would only cost memory */
#define MEMORY_LEVEL 1

/* --- big-endian numbers --- */

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* --- reading --- */

struct spdy_reader {
	z_stream inflate;
	uint8_t header[HEADER_SIZE];
	size_t header_size;
	size_t remaining; /* of the frame's content */
	bool in_frame;	  /* the header is complete */
	bool skip;	  /* a type that nobody knows */
	struct buf body;  /* of a control frame */
	struct buf text;  /* a header block, decompressed */
	struct spdy_pair pairs[SPDY_PAIRS_MAX];
	struct spdy_setting settings[SPDY_SETTINGS_MAX];
};

int spdy_reader_new(struct spdy_reader **ret_reader)
{
	struct spdy_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return -ENOMEM;
	if (inflateInit(&reader->inflate) != Z_OK) {
		free(reader);
		return -ENOMEM;
	}
	reader->body.max = SPDY_CONTROL_MAX;
	reader->text.max = SPDY_HEADERS_MAX;
	*ret_reader = reader;
	return 0;
}

void spdy_reader_free(struct spdy_reader *reader)
{
	if (!reader)
		return;
	(void)inflateEnd(&reader->inflate);
	buf_done(&reader->body);
	buf_done(&reader->text);
	free(reader);
}

static int malformed(struct err *err, const char *what)
{
	return err_set(err, -EPROTO, "spdy.malformed", "SPDY: %s", what);
}

static int too_much(struct err *err, const char *what, size_t limit)
{
	return err_set(err, -EMSGSIZE, "spdy.limit", "SPDY: %s, the limit is %zu", what, limit);
}

/* One step of zlib; the dictionary is asked for once, at the beginning of a connection. */
static int inflate_some(z_stream *stream)
{
	int r = inflate(stream, Z_SYNC_FLUSH);
	if (r != Z_NEED_DICT)
		return r;
	if (stream->adler != SPDY_DICTIONARY_ID)
		return Z_DATA_ERROR;
	r = inflateSetDictionary(stream, SPDY_DICTIONARY, SPDY_DICTIONARY_SIZE);
	return r == Z_OK ? inflate(stream, Z_SYNC_FLUSH) : r;
}

/* The whole of a compressed block, into reader->text. */
static int inflate_block(struct spdy_reader *reader, const uint8_t *bytes, size_t size, struct err *err)
{
	z_stream *stream = &reader->inflate;
	stream->next_in = (Bytef *)bytes;
	stream->avail_in = (uInt)size;
	buf_clear(&reader->text);
	for (;;) {
		char *tail = NULL;
		size_t room = SPDY_HEADERS_MAX - reader->text.size;
		size_t step = room < 1024 ? room : 1024;
		if (step && buf_reserve(&reader->text, step, &tail) < 0)
			return -ENOMEM;
		uint8_t beyond[1]; /* shows whether there is more than the limit */
		stream->next_out = step ? (Bytef *)tail : beyond;
		stream->avail_out = step ? (uInt)step : 1;
		uInt before = stream->avail_out;
		int r = inflate_some(stream);
		size_t made = before - stream->avail_out;
		if (r != Z_OK && r != Z_BUF_ERROR)
			return r == Z_MEM_ERROR ? -ENOMEM : malformed(err, "headers cannot be decompressed");
		if (!step && made)
			return too_much(err, "more bytes of headers than allowed", SPDY_HEADERS_MAX);
		if (step)
			buf_claim(&reader->text, made);
		if (stream->avail_out > 0)
			return stream->avail_in ? malformed(err, "bytes behind the headers") : 0;
	}
}

/* A counted string at *@at. The first byte behind it belongs to a length below 16 MiB, or is the buffer's own end: zero. */
static bool take_string(const struct buf *text, size_t *at, const char **ret_string, size_t *ret_size)
{
	if (text->size - *at < 4)
		return false;
	size_t size = get_u32((const uint8_t *)text->data + *at);
	*at += 4;
	if (text->size - *at < size)
		return false;
	*ret_string = text->data + *at;
	*ret_size = size;
	*at += size;
	return true;
}

static bool is_name(const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)name[i];
		if (c <= ' ' || c >= 0x7f || (c >= 'A' && c <= 'Z'))
			return false;
	}
	return size > 0;
}

static bool is_known(const struct spdy_reader *reader, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(reader->pairs[i].name, name) == 0)
			return true;
	return false;
}

static int parse_pairs(struct spdy_reader *reader, struct spdy_frame *frame, struct err *err)
{
	const struct buf *text = &reader->text;
	if (text->size < 4)
		return malformed(err, "headers without their number");
	uint32_t count = get_u32((const uint8_t *)text->data);
	if (count > SPDY_PAIRS_MAX)
		return too_much(err, "too many headers", SPDY_PAIRS_MAX);
	size_t at = 4;
	for (uint32_t i = 0; i < count; i++) {
		struct spdy_pair pair = {0};
		size_t size = 0;
		if (!take_string(text, &at, &pair.name, &size) || !take_string(text, &at, &pair.value, &pair.value_size))
			return malformed(err, "headers are cut short");
		if (!is_name(pair.name, size))
			return malformed(err, "a header's name is empty or holds what no name may");
		reader->pairs[i] = pair;
	}
	if (at != text->size)
		return malformed(err, "bytes behind the last header");
	for (uint32_t i = 1; i < count; i++)
		if (is_known(reader, i, reader->pairs[i].name))
			return malformed(err, "a header comes twice");
	frame->pairs = reader->pairs;
	frame->pairs_count = count;
	return 0;
}

static int read_headers(struct spdy_reader *reader, size_t from, struct spdy_frame *frame, struct err *err)
{
	const uint8_t *body = (const uint8_t *)reader->body.data;
	int r = inflate_block(reader, body + from, reader->body.size - from, err);
	return r < 0 ? r : parse_pairs(reader, frame, err);
}

static int read_syn_stream(struct spdy_reader *reader, struct spdy_frame *frame, struct err *err)
{
	const uint8_t *body = (const uint8_t *)reader->body.data;
	frame->associated = get_u32(body + 4) & SPDY_STREAM_MAX;
	frame->priority = body[8] >> 5;
	return read_headers(reader, 10, frame, err);
}

static int read_pairs(struct spdy_reader *reader, struct spdy_frame *frame, struct err *err)
{
	return read_headers(reader, 4, frame, err);
}

static int read_value(struct spdy_reader *reader, struct spdy_frame *frame, struct err *err)
{
	(void)err;
	frame->value = get_u32((const uint8_t *)reader->body.data + 4);
	return 0;
}

static int read_delta(struct spdy_reader *reader, struct spdy_frame *frame, struct err *err)
{
	frame->value = get_u32((const uint8_t *)reader->body.data + 4) & SPDY_STREAM_MAX;
	return frame->value ? 0 : malformed(err, "a window grows by nothing");
}

static int read_ping(struct spdy_reader *reader, struct spdy_frame *frame, struct err *err)
{
	(void)err;
	frame->stream = 0;
	frame->value = get_u32((const uint8_t *)reader->body.data);
	return 0;
}

static int read_settings(struct spdy_reader *reader, struct spdy_frame *frame, struct err *err)
{
	const uint8_t *body = (const uint8_t *)reader->body.data;
	uint32_t count = get_u32(body);
	if (count > SPDY_SETTINGS_MAX)
		return too_much(err, "too many settings", SPDY_SETTINGS_MAX);
	if (reader->body.size != 4 + 8 * (size_t)count)
		return malformed(err, "settings of a wrong length");
	for (uint32_t i = 0; i < count; i++)
		reader->settings[i] = (struct spdy_setting){.id = get_u32(body + 4 + 8 * i) & 0xffffff,
							    .value = get_u32(body + 8 + 8 * i)};
	frame->stream = 0;
	frame->settings = reader->settings;
	frame->settings_count = count;
	return 0;
}

/* Every control frame that we know: its length, and what it holds behind its first word. */
static const struct control {
	size_t size_min;
	size_t size_max;
	bool of_stream; /* the first word is a stream's number, and not 0 */
	int (*read)(struct spdy_reader *reader, struct spdy_frame *frame, struct err *err);
} CONTROLS[SPDY_TYPE_COUNT] = {
	[SPDY_SYN_STREAM] = {10, SPDY_CONTROL_MAX, true, read_syn_stream},
	[SPDY_SYN_REPLY] = {4, SPDY_CONTROL_MAX, true, read_pairs},
	[SPDY_RST_STREAM] = {8, 8, true, read_value},
	[SPDY_SETTINGS] = {4, 4 + 8 * SPDY_SETTINGS_MAX, false, read_settings},
	[SPDY_PING] = {4, 4, false, read_ping},
	[SPDY_GOAWAY] = {8, 8, false, read_value},
	[SPDY_HEADERS] = {4, SPDY_CONTROL_MAX, true, read_pairs},
	[SPDY_WINDOW_UPDATE] = {8, 8, false, read_delta},
};

static const struct control *find_control(uint32_t type)
{
	return type < SPDY_TYPE_COUNT && CONTROLS[type].read ? &CONTROLS[type] : NULL;
}

/* The header has come: what follows is content of reader->remaining bytes. */
static int begin_frame(struct spdy_reader *reader, struct err *err)
{
	uint32_t word = get_u32(reader->header);
	reader->remaining = get_u32(reader->header + 4) & 0xffffff;
	reader->in_frame = true;
	reader->skip = false;
	buf_clear(&reader->body);
	if (!(word & CONTROL_BIT))
		return word ? 0 : malformed(err, "data of stream 0");
	if ((word >> 16 & 0x7fff) != VERSION)
		return malformed(err, "expected version 3");
	const struct control *control = find_control(word & 0xffff);
	if (!control) {
		reader->skip = true;
		return 0;
	}
	if (reader->remaining > control->size_max)
		return too_much(err, "a control frame is longer than allowed", control->size_max);
	return reader->remaining < control->size_min ? malformed(err, "a control frame is cut short") : 0;
}

static void end_frame(struct spdy_reader *reader)
{
	reader->in_frame = false;
	reader->header_size = 0;
}

static int finish_control(struct spdy_reader *reader, struct spdy_frame *ret_frame, struct err *err)
{
	uint32_t word = get_u32(reader->header);
	uint8_t flags = reader->header[4];
	const struct control *control = find_control(word & 0xffff);
	end_frame(reader);
	*ret_frame = (struct spdy_frame){
		.type = (enum spdy_type)(word & 0xffff),
		.stream = get_u32((const uint8_t *)reader->body.data) & SPDY_STREAM_MAX,
		.fin = flags & FLAG_FIN,
		.unidirectional = (flags & FLAG_UNIDIRECTIONAL) && (word & 0xffff) == SPDY_SYN_STREAM,
	};
	if (control->of_stream && !ret_frame->stream)
		return malformed(err, "a frame of stream 0");
	int r = control->read(reader, ret_frame, err);
	return r < 0 ? r : 1;
}

static int give_data(struct spdy_reader *reader, const uint8_t *bytes, size_t size, struct spdy_frame *ret_frame)
{
	reader->remaining -= size;
	*ret_frame = (struct spdy_frame){
		.type = SPDY_DATA,
		.stream = get_u32(reader->header),
		.fin = reader->remaining == 0 && (reader->header[4] & FLAG_FIN),
		.data = bytes,
		.size = size,
	};
	if (reader->remaining == 0)
		end_frame(reader);
	return 1;
}

/* Takes of the content what is there. Returns 1 with a frame, 0, or an error. */
static int read_content(struct spdy_reader *reader, const uint8_t *bytes, size_t size, size_t *used,
			struct spdy_frame *ret_frame, struct err *err)
{
	size_t taken = size < reader->remaining ? size : reader->remaining;
	*used += taken;
	if (!(reader->header[0] & 0x80))
		return taken || !reader->remaining ? give_data(reader, bytes, taken, ret_frame) : 0;
	if (!reader->skip && taken && buf_add(&reader->body, bytes, taken) < 0)
		return -ENOMEM;
	reader->remaining -= taken;
	if (reader->remaining)
		return 0;
	if (!reader->skip)
		return finish_control(reader, ret_frame, err);
	end_frame(reader);
	return 0;
}

int spdy_read(struct spdy_reader *reader, const uint8_t *bytes, size_t size, size_t *ret_used,
	      struct spdy_frame *ret_frame, struct err *err)
{
	size_t used = 0;
	int r = 0;
	while (r == 0 && used < size) {
		while (!reader->in_frame && used < size && reader->header_size < HEADER_SIZE)
			reader->header[reader->header_size++] = bytes[used++];
		if (!reader->in_frame) {
			if (reader->header_size < HEADER_SIZE)
				break;
			r = begin_frame(reader, err);
		}
		if (r == 0)
			r = read_content(reader, bytes + used, size - used, &used, ret_frame, err);
	}
	*ret_used = used;
	return r;
}

const char *spdy_header(const struct spdy_frame *frame, const char *name)
{
	for (size_t i = 0; i < frame->pairs_count; i++)
		if (strcmp(frame->pairs[i].name, name) == 0)
			return frame->pairs[i].value;
	return NULL;
}

/* --- writing --- */

struct spdy_writer {
	z_stream deflate;
};

int spdy_writer_new(struct spdy_writer **ret_writer)
{
	struct spdy_writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return -ENOMEM;
	if (deflateInit2(&writer->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		free(writer);
		return -ENOMEM;
	}
	(void)deflateSetDictionary(&writer->deflate, SPDY_DICTIONARY, SPDY_DICTIONARY_SIZE); /* fails for a bad state only */
	*ret_writer = writer;
	return 0;
}

void spdy_writer_free(struct spdy_writer *writer)
{
	if (!writer)
		return;
	(void)deflateEnd(&writer->deflate);
	free(writer);
}

static int add_u32(struct buf *bytes, uint32_t value)
{
	uint8_t word[4];
	put_u32(word, value);
	return buf_add(bytes, word, sizeof word);
}

static int make_pairs(const struct spdy_frame *frame, struct buf *text)
{
	int r = add_u32(text, (uint32_t)frame->pairs_count);
	for (size_t i = 0; r == 0 && i < frame->pairs_count; i++) {
		const struct spdy_pair *pair = &frame->pairs[i];
		size_t size = strlen(pair->name);
		r = add_u32(text, (uint32_t)size);
		if (r == 0)
			r = buf_add(text, pair->name, size);
		if (r == 0)
			r = add_u32(text, (uint32_t)pair->value_size);
		if (r == 0)
			r = buf_add(text, pair->value, pair->value_size);
	}
	return r == -EMSGSIZE ? -EINVAL : r;
}

static int deflate_block(struct spdy_writer *writer, const struct buf *text, struct buf *body)
{
	z_stream *stream = &writer->deflate;
	stream->next_in = (Bytef *)text->data;
	stream->avail_in = (uInt)text->size;
	do {
		char *tail = NULL;
		int r = buf_reserve(body, 512, &tail);
		if (r < 0)
			return r == -EMSGSIZE ? -EINVAL : r;
		stream->next_out = (Bytef *)tail;
		stream->avail_out = 512;
		if (deflate(stream, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
			return -EINVAL;
		buf_claim(body, 512 - stream->avail_out);
	} while (stream->avail_out == 0);
	return 0;
}

static int write_pairs(struct spdy_writer *writer, const struct spdy_frame *frame, struct buf *body)
{
	scoped_done(buf_done) struct buf text = {.max = SPDY_HEADERS_MAX};
	if (frame->pairs_count > SPDY_PAIRS_MAX)
		return -EINVAL;
	int r = make_pairs(frame, &text);
	return r < 0 ? r : deflate_block(writer, &text, body);
}

static int write_syn_stream(struct spdy_writer *writer, const struct spdy_frame *frame, struct buf *body)
{
	const uint8_t rest[] = {(uint8_t)(frame->priority << 5), 0};
	int r = add_u32(body, frame->associated);
	if (r == 0)
		r = buf_add(body, rest, sizeof rest);
	return r < 0 ? r : write_pairs(writer, frame, body);
}

static int write_value(struct spdy_writer *writer, const struct spdy_frame *frame, struct buf *body)
{
	(void)writer;
	return add_u32(body, frame->value);
}

static int write_settings(struct spdy_writer *writer, const struct spdy_frame *frame, struct buf *body)
{
	(void)writer;
	if (frame->settings_count > SPDY_SETTINGS_MAX)
		return -EINVAL;
	int r = add_u32(body, (uint32_t)frame->settings_count);
	for (size_t i = 0; r == 0 && i < frame->settings_count; i++) {
		r = add_u32(body, frame->settings[i].id & 0xffffff);
		if (r == 0)
			r = add_u32(body, frame->settings[i].value);
	}
	return r;
}

static const struct {
	bool of_stream; /* the first word is frame->stream */
	int (*write)(struct spdy_writer *writer, const struct spdy_frame *frame, struct buf *body);
} WRITERS[SPDY_TYPE_COUNT] = {
	[SPDY_SYN_STREAM] = {true, write_syn_stream},
	[SPDY_SYN_REPLY] = {true, write_pairs},
	[SPDY_RST_STREAM] = {true, write_value},
	[SPDY_SETTINGS] = {false, write_settings},
	[SPDY_PING] = {false, write_value},
	[SPDY_GOAWAY] = {true, write_value},
	[SPDY_HEADERS] = {true, write_pairs},
	[SPDY_WINDOW_UPDATE] = {true, write_value},
};

/* Both or nothing. */
static int add_frame(struct buf *bytes, uint32_t word, uint8_t flags, const void *content, size_t size)
{
	uint8_t header[HEADER_SIZE];
	char *tail = NULL;
	if (size > 0xffffff)
		return -EINVAL;
	int r = buf_reserve(bytes, HEADER_SIZE + size, &tail);
	if (r < 0)
		return r;
	put_u32(header, word);
	put_u32(header + 4, (uint32_t)flags << 24 | (uint32_t)size);
	memcpy(tail, header, HEADER_SIZE);
	if (size)
		memcpy(tail + HEADER_SIZE, content, size);
	buf_claim(bytes, HEADER_SIZE + size);
	return 0;
}

int spdy_write(struct spdy_writer *writer, const struct spdy_frame *frame, struct buf *ret_bytes)
{
	uint8_t flags = (uint8_t)((frame->fin ? FLAG_FIN : 0) | (frame->unidirectional ? FLAG_UNIDIRECTIONAL : 0));
	if (frame->type == SPDY_DATA)
		return add_frame(ret_bytes, frame->stream & SPDY_STREAM_MAX, flags, frame->data, frame->size);
	if (frame->type >= SPDY_TYPE_COUNT || !WRITERS[frame->type].write)
		return -EINVAL;
	scoped_done(buf_done) struct buf body = {.max = SPDY_CONTROL_MAX};
	int r = WRITERS[frame->type].of_stream ? add_u32(&body, frame->stream) : 0;
	if (r == 0)
		r = WRITERS[frame->type].write(writer, frame, &body);
	if (r < 0)
		return r;
	return add_frame(ret_bytes, CONTROL_BIT | VERSION << 16 | (uint32_t)frame->type, flags, body.data, body.size);
}

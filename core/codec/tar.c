#include "core/codec/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/codec/tar_pax.h"

#define BLOCK 512

/* POSIX.1-2017, pax, "ustar Interchange Format"; GNU keeps the fields up to the device numbers. */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[8]; /* with the version: "ustar\00000", GNU: "ustar  \0" */
	char user[32];
	char group[32];
	char dev_major[8];
	char dev_minor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

enum state {
	HEADER,
	DATA,	   /* of an entry, to the handler */
	EXTENSION, /* of a pax header or long name, to be kept */
	SKIP,	   /* of what nobody wants */
	PADDING,
	ZERO_SEEN, /* one block of zeros: half of the end mark */
	END,
};

struct tar_reader {
	struct tar_handler handler;
	enum state state;
	uint64_t left;	    /* bytes of data still to come */
	size_t padding;	    /* bytes up to the next block */
	bool of_extension;  /* the padding is that of a record about the entry behind it */
	char extension;	    /* type of the extension being read */
	struct buf block;   /* of a header, when it comes in pieces */
	struct buf content; /* of an extension */
	struct tar_pax pax;
	char path[TAR_NAME_MAX + 1];
	char link[TAR_NAME_MAX + 1];
};

int tar_reader_new(const struct tar_handler *handler, struct tar_reader **ret_reader)
{
	struct tar_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return -ENOMEM;
	reader->handler = *handler;
	reader->block.max = BLOCK;
	reader->content.max = TAR_EXTENSION_MAX;
	reader->pax.arena.max = 8 * TAR_EXTENSION_MAX;
	*ret_reader = reader;
	return 0;
}

void tar_reader_free(struct tar_reader *reader)
{
	if (!reader)
		return;
	buf_done(&reader->block);
	buf_done(&reader->content);
	arena_done(&reader->pax.arena);
	free(reader);
}

static int malformed(const struct header *header, const char *what, struct err *err)
{
	return err_set(err, -EBADMSG, "tar.malformed", "tar entry \"%.*s\": %s", (int)sizeof header->name, header->name,
		       what);
}

/* GNU's base-256: the first bit says so, the rest is a big-endian two's complement number. */
static int parse_base256(const char *field, size_t size, int64_t *ret_value)
{
	const unsigned char *bytes = (const unsigned char *)field;
	bool negative = bytes[0] & 0x40;
	uint64_t value = negative ? UINT64_MAX : 0;
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = i ? bytes[i] : (unsigned char)(negative ? bytes[0] : bytes[0] & 0x7f);
		if (value >> 55 != (negative ? 0x1ff : 0))
			return -EBADMSG; /* the next byte would not fit beside the sign */
		value = value << 8 | byte;
	}
	*ret_value = (int64_t)value;
	return 0;
}

/* Octal, with leading blanks, ended by a blank or a zero byte; an empty field is 0 (old archives). */
static int parse_number(const char *field, size_t size, int64_t *ret_value)
{
	if (field[0] & 0x80)
		return parse_base256(field, size, ret_value);
	size_t i = 0;
	while (i < size && (field[i] == ' ' || field[i] == '\0'))
		i++;
	uint64_t value = 0; /* at most 12 digits of 3 bits */
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(field[i] - '0');
	for (; i < size; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return -EBADMSG;
	*ret_value = (int64_t)value;
	return 0;
}

static bool checksum_holds(const struct header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	int64_t as_unsigned = 0;
	int64_t as_signed = 0; /* some old writers summed signed characters */
	for (size_t i = 0; i < BLOCK; i++) {
		bool inside = i >= offsetof(struct header, checksum) && i < offsetof(struct header, type);
		unsigned char byte = inside ? ' ' : bytes[i];
		as_unsigned += byte;
		as_signed += (signed char)byte;
	}
	int64_t stored = 0;
	return parse_number(header->checksum, sizeof header->checksum, &stored) == 0 &&
	       (stored == as_unsigned || stored == as_signed);
}

static bool is_zero(const char *block)
{
	for (size_t i = 0; i < BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

static const struct {
	char letter;
	enum tar_type type;
} TYPES[] = {
	{'0', TAR_FILE},	 {'\0', TAR_FILE},	  {'7', TAR_FILE}, /* contiguous: a file, says POSIX */
	{'1', TAR_HARD_LINK},	 {'2', TAR_SYMLINK},	  {'3', TAR_CHAR_DEVICE},
	{'4', TAR_BLOCK_DEVICE}, {'5', TAR_DIRECTORY},	  {'6', TAR_FIFO},
};

static int type_of(const struct tar_reader *reader, const struct header *header, enum tar_type *ret_type,
		   struct err *err)
{
	if (header->type == 'S' || reader->pax.sparse)
		return err_set(err, -ENOTSUP, "tar.unsupported", "tar entry \"%s\": sparse files are not supported",
			       reader->path);
	for (size_t i = 0; i < ARRAY_COUNT(TYPES); i++) {
		if (TYPES[i].letter != header->type)
			continue;
		*ret_type = TYPES[i].type;
		size_t length = strlen(reader->path);
		if (*ret_type == TAR_FILE && length && reader->path[length - 1] == '/')
			*ret_type = TAR_DIRECTORY; /* v7 had no type for directories */
		return 0;
	}
	return err_set(err, -ENOTSUP, "tar.unsupported", "tar entry \"%s\": type 0x%02x is not supported", reader->path,
		       (unsigned char)header->type);
}

/* Whether the header has the name's beginning in its prefix. In GNU's format a time stands there; Go before 1.8 took it for a
 * prefix all the same, and layers from then are about. */
static bool has_prefix(const struct header *header)
{
	int64_t atime;
	if (!header->prefix[0])
		return false;
	return memcmp(header->magic, "ustar\0", 6) == 0 ||
	       (memcmp(header->magic, "ustar  ", 7) == 0 && parse_number(header->prefix, 12, &atime) < 0);
}

/* The name of the header itself; pax and GNU long names come over it. */
static void join_name(struct tar_reader *reader, const struct header *header)
{
	size_t at = 0;
	if (has_prefix(header)) {
		at = strnlen(header->prefix, sizeof header->prefix);
		memcpy(reader->path, header->prefix, at);
		reader->path[at++] = '/';
	}
	size_t length = strnlen(header->name, sizeof header->name);
	memcpy(reader->path + at, header->name, length);
	reader->path[at + length] = '\0';
	length = strnlen(header->link, sizeof header->link);
	memcpy(reader->link, header->link, length);
	reader->link[length] = '\0';
	/* tar_pax takes no longer names than fit */
	if (reader->pax.path)
		memcpy(reader->path, reader->pax.path, strlen(reader->pax.path) + 1);
	if (reader->pax.link)
		memcpy(reader->link, reader->pax.link, strlen(reader->pax.link) + 1);
}

static int fill_numbers(struct tar_reader *reader, const struct header *header, struct tar_entry *entry,
			struct err *err)
{
	const struct tar_pax *pax = &reader->pax;
	int64_t mode, uid, gid, mtime, major = 0, minor = 0;
	if (parse_number(header->mode, sizeof header->mode, &mode) < 0 ||
	    parse_number(header->uid, sizeof header->uid, &uid) < 0 ||
	    parse_number(header->gid, sizeof header->gid, &gid) < 0 ||
	    parse_number(header->mtime, sizeof header->mtime, &mtime) < 0)
		return malformed(header, "a field is no number", err);
	bool device = entry->type == TAR_CHAR_DEVICE || entry->type == TAR_BLOCK_DEVICE;
	if (device && (parse_number(header->dev_major, sizeof header->dev_major, &major) < 0 ||
		       parse_number(header->dev_minor, sizeof header->dev_minor, &minor) < 0))
		return malformed(header, "a device number is no number", err);
	uid = pax->has_uid ? (int64_t)pax->uid : uid;
	gid = pax->has_gid ? (int64_t)pax->gid : gid;
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return malformed(header, "the owner is out of range", err);
	if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff)
		return malformed(header, "the device number is out of range", err);
	entry->mode = (uint32_t)mode & 07777;
	entry->uid = (uint32_t)uid;
	entry->gid = (uint32_t)gid;
	entry->mtime_s = pax->has_mtime ? pax->mtime_s : mtime;
	entry->mtime_ns = pax->has_mtime ? pax->mtime_ns : 0;
	entry->dev_major = (uint32_t)major;
	entry->dev_minor = (uint32_t)minor;
	return 0;
}

/* Where the data of @size bytes goes. */
static void expect(struct tar_reader *reader, enum state state, uint64_t size)
{
	reader->left = size;
	reader->padding = (size_t)(-size & (BLOCK - 1));
	reader->state = size ? state : HEADER;
}

static int read_entry(struct tar_reader *reader, const struct header *header, uint64_t size, struct err *err)
{
	struct tar_entry entry = {0};
	join_name(reader, header);
	int r = type_of(reader, header, &entry.type, err);
	if (r == 0)
		r = fill_numbers(reader, header, &entry, err);
	if (r < 0)
		return r;
	bool link = entry.type == TAR_HARD_LINK || entry.type == TAR_SYMLINK;
	if (link && !reader->link[0])
		return malformed(header, "a link without a target", err);

	size = reader->pax.has_size ? reader->pax.size : size;
	entry.path = reader->path;
	entry.link = link ? reader->link : "";
	entry.size = entry.type == TAR_FILE ? size : 0;
	entry.xattrs = reader->pax.xattrs;
	entry.xattrs_count = reader->pax.xattrs_count;
	r = reader->handler.entry(reader->handler.user, &entry, err);
	/* A size on anything else: directories of old GNU tars have none behind it, but hard links of pax may (POSIX);
	 * as Go and GNU do, only files carry data. */
	expect(reader, DATA, entry.size);
	tar_pax_clear(&reader->pax);
	return r;
}

static int read_header(struct tar_reader *reader, const char *block, struct err *err)
{
	if (is_zero(block)) {
		reader->state = reader->state == ZERO_SEEN ? END : ZERO_SEEN;
		return 0;
	}
	struct header header;
	memcpy(&header, block, sizeof header);
	if (reader->state == ZERO_SEEN)
		return malformed(&header, "it stands behind the end mark", err);
	int64_t size;
	if (!checksum_holds(&header))
		return malformed(&header, "the header's checksum is wrong", err);
	if (parse_number(header.size, sizeof header.size, &size) < 0 || size < 0)
		return malformed(&header, "the size is no number", err);
	if (header.type == 'g' || header.type == 'V') {
		expect(reader, SKIP, header.type == 'g' ? (uint64_t)size : 0);
		return 0;
	}
	if (header.type != 'x' && header.type != 'L' && header.type != 'K')
		return read_entry(reader, &header, (uint64_t)size, err);
	if (size > TAR_EXTENSION_MAX)
		return err_set(err, -EMSGSIZE, "tar.too-large", "extended header of %lld bytes, at most %d are taken",
			       (long long)size, TAR_EXTENSION_MAX);
	reader->extension = header.type;
	expect(reader, EXTENSION, (uint64_t)size);
	return 0;
}

static int end_extension(struct tar_reader *reader, struct err *err)
{
	int r = reader->extension == 'x'
			? tar_pax_parse(&reader->pax, reader->content.data, reader->content.size, err)
			: tar_pax_long_name(&reader->pax, reader->extension == 'K', reader->content.data,
					    reader->content.size, err);
	buf_clear(&reader->content);
	return r;
}

/* Takes bytes of data, an extension or padding; returns how many, or an error. */
static ssize_t take_bytes(struct tar_reader *reader, const char *bytes, size_t size, struct err *err)
{
	if (reader->state == PADDING) {
		size_t take = size < reader->padding ? size : reader->padding;
		reader->padding -= take;
		reader->state = reader->padding ? PADDING : HEADER;
		return (ssize_t)take;
	}
	size_t take = size < reader->left ? size : (size_t)reader->left;
	int r = 0;
	if (reader->state == DATA)
		r = reader->handler.data(reader->handler.user, bytes, take, err);
	else if (reader->state == EXTENSION)
		r = buf_add(&reader->content, bytes, take);
	reader->left -= take;
	if (r == 0 && reader->left == 0) {
		reader->of_extension = reader->state == EXTENSION;
		if (reader->state == EXTENSION)
			r = end_extension(reader, err);
		reader->state = reader->padding ? PADDING : HEADER;
	}
	return r < 0 ? r : (ssize_t)take;
}

/* Takes bytes of a header block; returns how many, or an error. */
static ssize_t take_header(struct tar_reader *reader, const char *bytes, size_t size, struct err *err)
{
	if (reader->block.size == 0 && size >= BLOCK) {
		int r = read_header(reader, bytes, err);
		return r < 0 ? r : BLOCK;
	}
	size_t take = BLOCK - reader->block.size;
	take = size < take ? size : take;
	int r = buf_add(&reader->block, bytes, take);
	if (r == 0 && reader->block.size == BLOCK) {
		r = read_header(reader, reader->block.data, err);
		buf_clear(&reader->block);
	}
	return r < 0 ? r : (ssize_t)take;
}

int tar_reader_push(struct tar_reader *reader, const void *bytes, size_t size, struct err *err)
{
	const char *at = bytes;
	while (size && reader->state != END) {
		bool header = reader->state == HEADER || reader->state == ZERO_SEEN;
		ssize_t n = header ? take_header(reader, at, size, err) : take_bytes(reader, at, size, err);
		if (n < 0)
			return (int)n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int tar_reader_finish(struct tar_reader *reader, struct err *err)
{
	/* umoci writes archives that end with the last byte of data, without padding; Go's reader takes them, so do we */
	bool unpadded = reader->state == PADDING && !reader->of_extension;
	bool between = unpadded || reader->state == HEADER || reader->state == ZERO_SEEN || reader->state == END;
	if (!between || reader->block.size || reader->pax.path || reader->pax.xattrs_count)
		return err_set(err, -EBADMSG, "tar.truncated", "the tar archive ends in the middle of an entry");
	return 0;
}

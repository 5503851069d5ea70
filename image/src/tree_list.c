#include "image/src/tree_list.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"

static const char MAGIC[8] = {'A', 'X', 'T', 'R', 'E', 'E', TREE_LIST_VERSION, 0};

#define END_TYPE 0xff
#define FLAG_OPAQUE 1

/* All numbers are little-endian. Behind the fixed part: path, target, then for each attribute its head, name and value. */
struct __attribute__((packed)) disk_record {
	uint32_t length; /* of all that follows this member */
	uint8_t type;	 /* enum tree_type, or END_TYPE */
	uint8_t flags;
	uint16_t xattrs_count;
	uint32_t source;
	uint64_t size;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint16_t path_length;
	uint16_t target_length;
};

struct __attribute__((packed)) disk_xattr {
	uint16_t name_length;
	uint32_t value_length;
};

struct __attribute__((packed)) disk_end {
	uint32_t length;
	uint8_t type;
	uint8_t pad[3];
	uint64_t records;
	uint64_t bytes;
	uint64_t inodes;
};

int tree_list_begin(struct buf *ret_bytes)
{
	return buf_add(ret_bytes, MAGIC, sizeof MAGIC);
}

static int add_xattr(struct buf *ret_bytes, const struct tar_xattr *xattr)
{
	struct disk_xattr head = {htole16((uint16_t)strlen(xattr->name)), htole32((uint32_t)xattr->size)};
	int r = buf_add(ret_bytes, &head, sizeof head);
	if (r == 0)
		r = buf_add(ret_bytes, xattr->name, strlen(xattr->name));
	if (r == 0)
		r = buf_add(ret_bytes, xattr->value, xattr->size);
	return r;
}

static uint16_t flags_of(const struct tree_record *record)
{
	return record->opaque ? FLAG_OPAQUE : 0;
}

static size_t length_of(const struct tree_record *record)
{
	size_t length = sizeof(struct disk_record) - sizeof(uint32_t) + strlen(record->path) + strlen(record->target);
	for (size_t i = 0; i < record->xattrs_count; i++)
		length += sizeof(struct disk_xattr) + strlen(record->xattrs[i].name) + record->xattrs[i].size;
	return length;
}

static void count(struct tree_totals *totals, const struct tree_record *record)
{
	totals->records++;
	if (record->type == TREE_HARD_LINK)
		return;
	totals->inodes++;
	if (record->type == TREE_FILE || record->type == TREE_COPY)
		totals->bytes += record->size;
}

int tree_list_add(struct buf *ret_bytes, const struct tree_record *record, struct tree_totals *totals)
{
	struct disk_record head = {
		.length = htole32((uint32_t)length_of(record)),
		.type = (uint8_t)record->type,
		.flags = (uint8_t)flags_of(record),
		.xattrs_count = htole16((uint16_t)record->xattrs_count),
		.source = htole32(record->source),
		.size = htole64(record->size),
		.mode = htole32(record->mode),
		.uid = htole32(record->uid),
		.gid = htole32(record->gid),
		.mtime_s = htole64((uint64_t)record->mtime_s),
		.mtime_ns = htole32(record->mtime_ns),
		.dev_major = htole32(record->dev_major),
		.dev_minor = htole32(record->dev_minor),
		.path_length = htole16((uint16_t)strlen(record->path)),
		.target_length = htole16((uint16_t)strlen(record->target)),
	};
	int r = buf_add(ret_bytes, &head, sizeof head);
	if (r == 0)
		r = buf_add_text(ret_bytes, record->path);
	if (r == 0)
		r = buf_add_text(ret_bytes, record->target);
	for (size_t i = 0; r == 0 && i < record->xattrs_count; i++)
		r = add_xattr(ret_bytes, &record->xattrs[i]);
	if (r == 0)
		count(totals, record);
	return r;
}

int tree_list_end(struct buf *ret_bytes, const struct tree_totals *totals)
{
	struct disk_end end = {
		.length = htole32(sizeof end - sizeof end.length),
		.type = END_TYPE,
		.records = htole64(totals->records),
		.bytes = htole64(totals->bytes),
		.inodes = htole64(totals->inodes),
	};
	return buf_add(ret_bytes, &end, sizeof end);
}

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

static int damaged(struct err *err, const char *what)
{
	return err_set(err, -EUCLEAN, "store.damaged", "layer list: %s", what);
}

/* A record being read: terminated copies of its strings. */
struct reading {
	char path[TREE_PATH_MAX + 1];
	char target[TAR_NAME_MAX + 1];
	char names[TAR_XATTRS_MAX][256];
	struct tar_xattr xattrs[TAR_XATTRS_MAX];
};

/* Relative, without empty parts, "." and ".."; "." alone is the root. */
static bool is_clean(const char *path)
{
	if (str_equal(path, "."))
		return true;
	for (;;) {
		size_t length = strcspn(path, "/");
		if (length == 0 || length > 255 || (length == 1 && *path == '.') ||
		    (length == 2 && memcmp(path, "..", 2) == 0))
			return false;
		if (!path[length])
			return true;
		path += length + 1;
	}
}

static int take_string(const uint8_t **at, const uint8_t *end, size_t length, size_t max, char *ret_text)
{
	if (length > max || (size_t)(end - *at) < length || memchr(*at, '\0', length))
		return -EUCLEAN;
	memcpy(ret_text, *at, length);
	ret_text[length] = '\0';
	*at += length;
	return 0;
}

static int take_xattrs(const uint8_t **at, const uint8_t *end, size_t count_, struct reading *reading)
{
	if (count_ > TAR_XATTRS_MAX)
		return -EUCLEAN;
	for (size_t i = 0; i < count_; i++) {
		struct disk_xattr head;
		if ((size_t)(end - *at) < sizeof head)
			return -EUCLEAN;
		memcpy(&head, *at, sizeof head);
		*at += sizeof head;
		size_t value = le32toh(head.value_length);
		if (take_string(at, end, le16toh(head.name_length), sizeof reading->names[i] - 1, reading->names[i]) < 0 ||
		    value > TREE_XATTR_VALUE_MAX || (size_t)(end - *at) < value)
			return -EUCLEAN;
		reading->xattrs[i] = (struct tar_xattr){reading->names[i], *at, value};
		*at += value;
	}
	return 0;
}

static void fill_record(const struct disk_record *head, struct reading *reading, struct tree_record *ret_record)
{
	*ret_record = (struct tree_record){
		.type = (enum tree_type)head->type,
		.path = reading->path,
		.target = reading->target,
		.source = le32toh(head->source),
		.opaque = head->flags & FLAG_OPAQUE,
		.data = TREE_NO_DATA,
		.size = le64toh(head->size),
		.mode = le32toh(head->mode) & 07777,
		.uid = le32toh(head->uid),
		.gid = le32toh(head->gid),
		.mtime_s = (int64_t)le64toh(head->mtime_s),
		.mtime_ns = le32toh(head->mtime_ns),
		.dev_major = le32toh(head->dev_major),
		.dev_minor = le32toh(head->dev_minor),
		.xattrs = reading->xattrs,
		.xattrs_count = le16toh(head->xattrs_count),
	};
}

static int read_record(const uint8_t *at, const uint8_t *end, struct reading *reading, struct tree_record *ret_record,
		       struct err *err)
{
	struct disk_record head;
	if ((size_t)(end - at) < sizeof head)
		return damaged(err, "a record is too short");
	memcpy(&head, at, sizeof head);
	at += sizeof head;
	if (head.type >= TREE_TYPES)
		return damaged(err, "a record of no known type");
	if (take_string(&at, end, le16toh(head.path_length), TREE_PATH_MAX, reading->path) < 0 ||
	    take_string(&at, end, le16toh(head.target_length), TAR_NAME_MAX, reading->target) < 0 ||
	    take_xattrs(&at, end, le16toh(head.xattrs_count), reading) < 0 || at != end)
		return damaged(err, "a record's strings do not fit it");
	bool path_in_target = head.type == TREE_HARD_LINK || head.type == TREE_COPY;
	if (!is_clean(reading->path) || (path_in_target && !is_clean(reading->target)))
		return damaged(err, "a name that is not clean");
	if (le32toh(head.mtime_ns) >= 1000000000 || le64toh(head.size) > INT64_MAX)
		return damaged(err, "a number is out of range");
	fill_record(&head, reading, ret_record);
	return 0;
}

int tree_list_read_totals(const void *bytes, size_t size, struct tree_totals *ret_totals, struct err *err)
{
	struct disk_end end;
	if (size < sizeof MAGIC || memcmp(bytes, MAGIC, 6) != 0)
		return damaged(err, "it is none");
	if (((const char *)bytes)[6] > TREE_LIST_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "store.version", "layer list: version %d, at most %d is understood",
			       ((const char *)bytes)[6], TREE_LIST_VERSION);
	if (size < sizeof MAGIC + sizeof end)
		return damaged(err, "it was cut");
	memcpy(&end, (const uint8_t *)bytes + size - sizeof end, sizeof end);
	if (le32toh(end.length) != sizeof end - sizeof end.length || end.type != END_TYPE)
		return damaged(err, "it was cut");
	*ret_totals = (struct tree_totals){le64toh(end.records), le64toh(end.bytes), le64toh(end.inodes)};
	return 0;
}

int tree_list_read(const void *bytes, size_t size, tree_sink *sink, void *user, struct tree_totals *ret_totals,
		   struct err *err)
{
	struct tree_totals totals;
	int r = tree_list_read_totals(bytes, size, &totals, err);
	if (r < 0)
		return r;
	struct reading reading;
	const uint8_t *at = (const uint8_t *)bytes + sizeof MAGIC;
	const uint8_t *end = (const uint8_t *)bytes + size - sizeof(struct disk_end);
	uint64_t records = 0;
	for (; at < end; records++) {
		uint32_t length;
		if ((size_t)(end - at) < sizeof length)
			return damaged(err, "a record is too short");
		memcpy(&length, at, sizeof length);
		length = le32toh(length);
		if ((size_t)(end - at) - sizeof length < length)
			return damaged(err, "a record is longer than the list");
		struct tree_record record;
		r = read_record(at, at + sizeof length + length, &reading, &record, err);
		if (r == 0)
			r = sink(user, &record, err);
		if (r < 0)
			return r;
		at += sizeof length + length;
	}
	if (records != totals.records)
		return damaged(err, "its count of records is wrong");
	if (ret_totals)
		*ret_totals = totals;
	return 0;
}

#include "core/codec/tar_pax.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"

struct record {
	const char *key;   /* terminated, in the arena */
	const char *value; /* likewise; may hold zero bytes */
	size_t size;	   /* of the value */
};

void tar_pax_clear(struct tar_pax *pax)
{
	size_t max = pax->arena.max;
	arena_done(&pax->arena);
	*pax = (struct tar_pax){.arena.max = max};
}

static int malformed(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "tar.malformed", "pax header: %s", what);
}

static int take_text(const struct record *record, const char **ret_text, struct err *err)
{
	if (memchr(record->value, '\0', record->size))
		return malformed(err, "a name with a zero byte");
	if (record->size > TAR_NAME_MAX)
		return err_set(err, -EMSGSIZE, "tar.too-large", "pax header: %s of %zu bytes, at most %d are taken",
			       record->key, record->size, TAR_NAME_MAX);
	*ret_text = record->size ? record->value : NULL; /* an empty value deletes the record: POSIX */
	return 0;
}

static int take_path(struct tar_pax *pax, const struct record *record, struct err *err)
{
	return take_text(record, &pax->path, err);
}

static int take_link(struct tar_pax *pax, const struct record *record, struct err *err)
{
	return take_text(record, &pax->link, err);
}

static int take_number(const struct record *record, uint64_t max, bool *ret_has, uint64_t *ret_value, struct err *err)
{
	*ret_has = false;
	if (!record->size)
		return 0;
	if (parse_u64(record->value, 0, max, ret_value) < 0)
		return err_set(err, -EBADMSG, "tar.malformed", "pax header: %s \"%.40s\" is no number in range",
			       record->key, record->value);
	*ret_has = true;
	return 0;
}

static int take_size(struct tar_pax *pax, const struct record *record, struct err *err)
{
	return take_number(record, INT64_MAX, &pax->has_size, &pax->size, err);
}

static int take_uid(struct tar_pax *pax, const struct record *record, struct err *err)
{
	return take_number(record, UINT32_MAX - 1, &pax->has_uid, &pax->uid, err);
}

static int take_gid(struct tar_pax *pax, const struct record *record, struct err *err)
{
	return take_number(record, UINT32_MAX - 1, &pax->has_gid, &pax->gid, err);
}

/* The digits behind the point as nanoseconds; more than nine are cut. Returns -EINVAL for anything but digits. */
static int parse_fraction(const char *digits, uint32_t *ret_ns)
{
	uint32_t ns = 0;
	int count = 0;
	for (; *digits; digits++) {
		if (*digits < '0' || *digits > '9')
			return -EINVAL;
		if (count < 9) {
			ns = ns * 10 + (uint32_t)(*digits - '0');
			count++;
		}
	}
	for (; count < 9; count++)
		ns *= 10;
	*ret_ns = ns;
	return 0;
}

static int take_mtime(struct tar_pax *pax, const struct record *record, struct err *err)
{
	pax->has_mtime = false;
	if (!record->size)
		return 0;
	char whole[24];
	const char *point = strchr(record->value, '.');
	size_t length = point ? (size_t)(point - record->value) : strlen(record->value);
	if (length == 0 || length >= sizeof whole)
		return malformed(err, "mtime is no number");
	memcpy(whole, record->value, length);
	whole[length] = '\0';
	int64_t seconds = 0;
	uint32_t ns = 0;
	if (parse_i64(whole, INT64_MIN / 2, INT64_MAX / 2, &seconds) < 0 ||
	    (point && parse_fraction(point + 1, &ns) < 0))
		return malformed(err, "mtime is no number");
	if (whole[0] == '-' && ns) { /* -1.25 is 0.75 s after second -2 */
		seconds--;
		ns = 1000000000 - ns;
	}
	pax->mtime_s = seconds;
	pax->mtime_ns = ns;
	pax->has_mtime = true;
	return 0;
}

static int take_xattr(struct tar_pax *pax, const struct record *record, struct err *err)
{
	const char *name = str_after_prefix(record->key, "SCHILY.xattr.");
	if (!*name)
		return malformed(err, "an extended attribute without a name");
	size_t at = 0;
	while (at < pax->xattrs_count && strcmp(pax->xattrs[at].name, name) != 0)
		at++;
	if (at == TAR_XATTRS_MAX)
		return err_set(err, -EMSGSIZE, "tar.too-large", "pax header: more than %d extended attributes",
			       TAR_XATTRS_MAX);
	pax->xattrs[at] = (struct tar_xattr){name, record->value, record->size};
	if (at == pax->xattrs_count)
		pax->xattrs_count++;
	return 0;
}

static int take_sparse(struct tar_pax *pax, const struct record *record, struct err *err)
{
	(void)record;
	(void)err; /* refused with the entry's name, once that is known */
	pax->sparse = true;
	return 0;
}

static const struct {
	const char *key;
	bool prefix;
	int (*take)(struct tar_pax *pax, const struct record *record, struct err *err);
} KEYS[] = {
	{"path", false, take_path},	     {"linkpath", false, take_link},	 {"size", false, take_size},
	{"uid", false, take_uid},	     {"gid", false, take_gid},		 {"mtime", false, take_mtime},
	{"SCHILY.xattr.", true, take_xattr}, {"GNU.sparse.", true, take_sparse},
};

static int take_record(struct tar_pax *pax, const struct record *record, struct err *err)
{
	for (size_t i = 0; i < ARRAY_COUNT(KEYS); i++)
		if (KEYS[i].prefix ? str_after_prefix(record->key, KEYS[i].key) != NULL
				   : strcmp(record->key, KEYS[i].key) == 0)
			return KEYS[i].take(pax, record, err);
	return 0; /* comment, atime, ctime, uname ...: nothing that a layer keeps */
}

/* Splits "LENGTH KEY=VALUE\n" at *at, which moves behind it. */
static int next_record(struct tar_pax *pax, const char *records, size_t size, size_t *at, struct record *ret_record,
		       struct err *err)
{
	const char *start = records + *at;
	size_t left = size - *at;
	size_t length = 0;
	size_t digits = 0;
	while (digits < left && digits < 8 && start[digits] >= '0' && start[digits] <= '9')
		length = length * 10 + (size_t)(start[digits++] - '0');
	if (digits == 0 || digits >= left || start[digits] != ' ')
		return malformed(err, "a record without its length");
	if (length > left || length < digits + 3 || start[length - 1] != '\n')
		return malformed(err, "a record longer than its header");
	const char *key = start + digits + 1;
	const char *equal = memchr(key, '=', length - digits - 2);
	if (!equal || equal == key || memchr(key, '\0', (size_t)(equal - key)))
		return malformed(err, "a record without a key");

	ret_record->size = (size_t)(start + length - 1 - (equal + 1));
	ret_record->key = arena_strndup(&pax->arena, key, (size_t)(equal - key));
	char *value = arena_alloc(&pax->arena, ret_record->size + 1);
	if (!ret_record->key || !value)
		return err_memory(err, "pax header");
	memcpy(value, equal + 1, ret_record->size);
	ret_record->value = value;
	*at += length;
	return 0;
}

int tar_pax_parse(struct tar_pax *pax, const char *records, size_t size, struct err *err)
{
	size_t at = 0;
	while (at < size) {
		struct record record = {0};
		int r = next_record(pax, records, size, &at, &record, err);
		if (r == 0)
			r = take_record(pax, &record, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tar_pax_long_name(struct tar_pax *pax, bool link, const char *name, size_t size, struct err *err)
{
	size_t length = strnlen(name, size);
	if (length > TAR_NAME_MAX)
		return err_set(err, -EMSGSIZE, "tar.too-large", "long name of %zu bytes, at most %d are taken", length,
			       TAR_NAME_MAX);
	const char *copy = arena_strndup(&pax->arena, name, length);
	if (!copy)
		return err_memory(err, "long name");
	*(link ? &pax->link : &pax->path) = copy;
	return 0;
}

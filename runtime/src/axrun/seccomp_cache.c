#include "runtime/src/axrun/seccomp_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "runtime/src/axrun/seccomp_program.h"

#define CACHE_VERSION 1
#define NAME_MAX_BYTES 64

struct header {
	char magic[8];
	uint32_t profile_bytes;
	uint32_t instructions;
	uint32_t notifies;
	uint32_t reserved;
};
static const char MAGIC[8] = {'a', 'x', 's', 'e', 'c', 'c', '0' + CACHE_VERSION, '\n'};

static int add_text(struct buf *profile, const char *text)
{
	return buf_add(profile, text ? text : "", text ? strlen(text) + 1 : 1);
}

static int add_list(struct buf *profile, const char *const *list)
{
	int r = 0;
	for (size_t i = 0; list && list[i] && r == 0; i++)
		r = add_text(profile, list[i]);
	return r < 0 ? r : buf_add(profile, "\1", 1); /* no name is this byte: lists cannot run into each other */
}

static int add_number(struct buf *profile, const uint32_t *number)
{
	uint64_t value = number ? (uint64_t)*number + 1 : 0;
	return buf_add(profile, &value, sizeof value);
}

static int add_args(struct buf *profile, const struct oci_seccomp_rule *rule)
{
	int r = buf_add(profile, &rule->args_count, sizeof rule->args_count);
	for (size_t i = 0; i < rule->args_count && r == 0; i++) {
		const struct oci_seccomp_arg *arg = &rule->args[i];
		const uint64_t numbers[] = {arg->index, arg->value, arg->value_two};
		r = buf_add(profile, numbers, sizeof numbers);
		if (r == 0)
			r = add_text(profile, arg->op);
	}
	return r;
}

int seccomp_profile_bytes(const struct oci_seccomp *seccomp, struct buf *ret_profile)
{
	const struct scmp_version *library = seccomp_version();
	const uint32_t maker[] = {seccomp_arch_native(), library ? library->major : 0, library ? library->minor : 0,
				  library ? library->micro : 0};
	int r = buf_add(ret_profile, maker, sizeof maker);
	if (r == 0)
		r = add_text(ret_profile, seccomp->default_action);
	if (r == 0)
		r = add_number(ret_profile, seccomp->default_errno_ret);
	if (r == 0)
		r = add_list(ret_profile, seccomp->architectures);
	for (size_t i = 0; i < seccomp->syscalls_count && r == 0; i++) {
		const struct oci_seccomp_rule *rule = &seccomp->syscalls[i];
		r = add_text(ret_profile, rule->action);
		if (r == 0)
			r = add_number(ret_profile, rule->errno_ret);
		if (r == 0)
			r = add_list(ret_profile, rule->names);
		if (r == 0)
			r = add_args(ret_profile, rule);
	}
	return r;
}

/* FNV-1a names the file; equality of the profile decides. */
static void entry_name(const struct buf *profile, char ret_name[static NAME_MAX_BYTES])
{
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < profile->size; i++)
		hash = (hash ^ (unsigned char)profile->data[i]) * 0x100000001b3;
	(void)snprintf(ret_name, NAME_MAX_BYTES, "seccomp-%016" PRIx64, hash);
}

static bool is_entry(const struct buf *file, const struct buf *profile, struct header *ret_header)
{
	if (!file->data || file->size < sizeof *ret_header)
		return false;
	memcpy(ret_header, file->data, sizeof *ret_header);
	return memcmp(ret_header->magic, MAGIC, sizeof MAGIC) == 0 && ret_header->profile_bytes == profile->size &&
	       ret_header->instructions > 0 && ret_header->instructions <= BPF_MAXINSNS &&
	       file->size == sizeof *ret_header + profile->size + ret_header->instructions * sizeof(struct sock_filter) &&
	       memcmp(file->data + sizeof *ret_header, profile->data, profile->size) == 0;
}

int seccomp_cache_get(int dir_fd, const struct buf *profile, struct seccomp_program *program)
{
	char name[NAME_MAX_BYTES];
	entry_name(profile, name);
	scoped_done(buf_done) struct buf file = {.max = SECCOMP_PROFILE_MAX * 2};
	struct header header = {0};
	if (file_read_at(dir_fd, name, &file, NULL) < 0 || !is_entry(&file, profile, &header))
		return -ENOENT;
	size_t bytes = header.instructions * sizeof *program->filter;
	program->filter = malloc(bytes);
	if (!program->filter)
		return -ENOENT;
	memcpy(program->filter, file.data + sizeof header + profile->size, bytes);
	program->length = (unsigned short)header.instructions;
	program->notifies = header.notifies;
	return 0;
}

/* Profiles are few; where they are not, the cache starts anew rather than grow for ever. */
static void make_room(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return;
	size_t count = 0;
	while (readdir(dir))
		count++;
	rewinddir(dir);
	for (struct dirent *entry = readdir(dir); entry && count > SECCOMP_CACHE_ENTRIES_MAX; entry = readdir(dir))
		(void)unlinkat(dir_fd, entry->d_name, 0); /* "." and ".." stay; another axrun may be faster */
	(void)closedir(dir);
}

void seccomp_cache_put(int dir_fd, const struct buf *profile, const struct seccomp_program *program)
{
	char name[NAME_MAX_BYTES], temporary[NAME_MAX_BYTES + 16];
	entry_name(profile, name);
	(void)snprintf(temporary, sizeof temporary, "%s.%d", name, getpid());
	struct header header = {
		.profile_bytes = (uint32_t)profile->size, .instructions = program->length, .notifies = program->notifies};
	memcpy(header.magic, MAGIC, sizeof MAGIC);
	scoped_done(buf_done) struct buf file = {.max = SECCOMP_PROFILE_MAX * 2};
	make_room(dir_fd);
	scoped_fd int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	bool whole = buf_add(&file, &header, sizeof header) == 0 && buf_add(&file, profile->data, profile->size) == 0 &&
		     buf_add(&file, program->filter, program->length * sizeof *program->filter) == 0 &&
		     fd_write_all(fd, file.data, file.size) == 0 && renameat(dir_fd, temporary, dir_fd, name) == 0;
	if (!whole)
		(void)unlinkat(dir_fd, temporary, 0); /* the next start compiles again */
}

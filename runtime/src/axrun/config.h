/* config.json: read, decoded, and checked for what would otherwise fail half way. */
#pragma once

#include <stdbool.h>

struct arena;
struct err;
struct oci_process;
struct oci_spec;
struct buf;

#define CONFIG_ARENA_MAX (16 << 20)

/* Reads @name below @dir_fd. @ret_text (optional): the document as it was. Strings live in @arena.
 * Errors: -ENOENT, -EINVAL (@err: the member, what was found and what expected). */
int config_load(int dir_fd, const char *name, struct arena *arena, struct oci_spec *ret_spec, struct buf *ret_text,
		struct err *err);

/* The same from bytes. */
int config_decode(const char *source, const char *text, unsigned long length, struct arena *arena,
		  struct oci_spec *ret_spec, struct err *err);

/* Reads a process.json, as `exec --process` takes it. */
int config_load_process(const char *path, struct arena *arena, struct oci_process *ret_process, struct err *err);

/* Checks a process: args, cwd, rlimits. */
int config_check_process(const char *source, const struct oci_process *process, struct err *err);

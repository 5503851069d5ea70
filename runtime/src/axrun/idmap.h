/* Identity maps of user namespaces. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct oci_id_mapping;

/* Writes uid_map and gid_map of a process in a new user namespace. @proc_fd: the host's /proc. */
int idmap_write(int proc_fd, pid_t pid, const struct oci_id_mapping *uids, size_t uid_count,
		const struct oci_id_mapping *gids, size_t gid_count, struct err *err);

/* A user namespace with these maps, for an idmapped mount; it lives as long as the descriptor. */
int idmap_make_namespace(int proc_fd, const struct oci_id_mapping *uids, size_t uid_count,
			 const struct oci_id_mapping *gids, size_t gid_count, int *ret_fd, struct err *err);

/* Is @id one of the container's ids? */
bool idmap_has(const struct oci_id_mapping *maps, size_t count, uint32_t id);

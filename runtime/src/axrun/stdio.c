#include "runtime/src/axrun/stdio.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/codec/oci_runtime.h"
#include "runtime/src/axrun/launch.h"

static bool find_host_id(const struct oci_id_mapping *maps, size_t count, uint32_t id, uint32_t *ret_id)
{
	for (size_t i = 0; i < count; i++)
		if (id >= maps[i].container_id && id - maps[i].container_id < maps[i].size) {
			*ret_id = maps[i].host_id + (id - maps[i].container_id);
			return true;
		}
	return false;
}

void stdio_give_to_user(const struct launch *launch)
{
	const struct oci_linux *config = launch->spec->linux_;
	uint32_t uid = 0;
	uint32_t gid = 0;
	if (!launch->any_user || !config || !launch->process ||
	    !find_host_id(config->uid_mappings, config->uid_mappings_count, launch->process->user.uid, &uid) ||
	    !find_host_id(config->gid_mappings, config->gid_mappings_count, launch->process->user.gid, &gid))
		return;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		struct stat st = {0};
		if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
			(void)!fchown(fd, uid, gid); /* without the right to it, it stays the caller's */
	}
}

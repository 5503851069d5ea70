#include "signals/src/container_place.h"

#include "core/sys/pidfd.h"

static const struct json_field PLACE_FIELDS[] = {
	JSON_FIELD(struct container_place, pid, "pid", JSON_I64, JSON_REQUIRED),
	JSON_FIELD(struct container_place, started, "started", JSON_U64, JSON_REQUIRED),
	JSON_FIELD(struct container_place, root, "root", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct container_place, device, "device", JSON_U64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct container_place, inode, "inode", JSON_U64, JSON_REQUIRED | JSON_KEEP),
};
const struct json_table CONTAINER_PLACE_TABLE = JSON_TABLE(struct container_place, PLACE_FIELDS);

bool container_is_alive(const struct container_place *place)
{
	uint64_t started = 0;
	char state = 0;
	int r = process_start_time((pid_t)place->pid, &started, &state);
	return r == 0 && started == place->started && state != 'Z' && state != 'X';
}

#include "manager/src/axle.h"

#include "core/base/array.h"

static const struct rpc_method CONTAINERS[] = {
	{"Attach", .stream = axle_attach, .shape = GRPC_STREAM},
	{"Exec", .stream = axle_exec, .shape = GRPC_STREAM},
	{"List", axle_list_containers},
	{"Inspect", axle_inspect_container},
	{"Wait", axle_wait_container},
	{"Logs", .stream = axle_logs, .shape = GRPC_SERVER_STREAM},
	{"Signal", axle_signal_container},
	{"SetPolicy", axle_set_policy},
};

static const struct rpc_method IMAGES[] = {
	{"Pull", .stream = axle_pull, .shape = GRPC_SERVER_STREAM},
	{"Load", .stream = axle_load, .shape = GRPC_STREAM},
	{"List", axle_list_images},
	{"Inspect", axle_inspect_image},
	{"Remove", axle_remove_image},
	{"Unpack", axle_unpack_image},
};

static const struct rpc_method NODE[] = {
	{"Info", axle_info},
	{"Events", .stream = axle_events, .shape = GRPC_SERVER_STREAM},
};

int axle_register(struct grpc_server *server, struct face *face, struct err *err)
{
	int r = rpc_register(server, &axle__containers__descriptor, CONTAINERS, ARRAY_COUNT(CONTAINERS), face, err);
	if (r == 0)
		r = rpc_register(server, &axle__images__descriptor, IMAGES, ARRAY_COUNT(IMAGES), face, err);
	return r < 0 ? r : rpc_register(server, &axle__node__descriptor, NODE, ARRAY_COUNT(NODE), face, err);
}

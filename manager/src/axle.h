/* The services of axle.v1: what a person at the command line needs and CRI has no call for. */
#pragma once

#include "manager/src/rpc.h"
#include "proto/axle.h"

struct container;

int axle_register(struct grpc_server *server, struct face *face, struct err *err);

/* axle_container.c */
rpc_handler axle_list_containers, axle_inspect_container, axle_wait_container, axle_signal_container, axle_set_policy;
/* axle_image.c */
rpc_handler axle_list_images, axle_inspect_image, axle_remove_image, axle_unpack_image;
/* axle_node.c */
rpc_handler axle_info;
/* axle_pull.c, axle_events.c, axle_logs.c, axle_session.c: streams */
grpc_handler axle_pull, axle_load, axle_events, axle_logs, axle_attach, axle_exec;

/* How a container ended. NULL: out of memory. */
Axle__ExitStatus *axle_make_exit_status(struct rpc *rpc, const struct container *container);

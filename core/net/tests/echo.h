/* The handlers of axle.test.Echo, for the unit test and for the program that tests/grpc/ drives. */
#pragma once

#include <stdint.h>

#include "core/net/grpc.h"

struct echo {
	uv_loop_t *loop;
	uint64_t cancelled;
};

int echo_add(struct grpc_server *server, struct echo *echo, struct err *err);

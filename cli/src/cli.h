/* What every verb of `axle` works with: the connection to the daemon, and memory for what it says. */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "core/base/arena.h"
#include "core/net/grpc.h"
#include "proto/axle.h"

struct err;

struct cli {
	uv_loop_t loop;
	const char *socket; /* the path of axle.sock */
	struct grpc_client *client;
	struct arena arena; /* lives as long as the command */
};

/* @socket: of --socket, or NULL: then AXLE_SOCKET, else the default. Errors: -ENOMEM. */
int cli_init(struct cli *cli, const char *socket, struct err *err);
void cli_done(struct cli *cli);

/* Connects, where that has not happened yet. Errors: those of connect(2), with what to do about it in @err. */
int cli_connect(struct cli *cli, struct err *err);

/* One unary call. Returns the reply, which lives as long as @cli; NULL: failed, and @err (never NULL here) says why. */
const void *cli_call(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
		     const ProtobufCMessage *request, struct err *err);

/* A call whose reply says nothing. Errors: the status as -errno. */
int cli_do(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	   const ProtobufCMessage *request, struct err *err);

/* One server stream, to its end: @on_message is called for each message. Errors: the status as -errno. */
int cli_stream(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	       const ProtobufCMessage *request, void (*on_message)(const ProtobufCMessage *message, void *data),
	       void *data, struct err *err);

/* What axle.v1 knows of a container, of any owner. NULL: as cli_call(). */
const Axle__InspectContainerResponse *cli_container(struct cli *cli, const char *reference, struct err *err);

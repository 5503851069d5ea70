/* One CRI server under measurement, and the calls that make and unmake a pod with one container in it. Blocking, each call with
 * one reply, except where burst says otherwise. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/arena.h"
#include "core/net/grpc.h"
#include "proto/cri.h"

struct err;

#define CRI_NAME_MAX 64

struct cri_peer {
	const char *label;
	const char *socket;
	const char *handler; /* "" for its own default */
	const char *image;
	uv_loop_t loop;
	struct grpc_client *client;
	struct arena arena; /* of the last replies; emptied by cri_peer_forget() */
	bool host_network;
};

/* A pod with its container, by their ids. */
struct cri_pod {
	char name[CRI_NAME_MAX];
	char pod[CRI_NAME_MAX * 2];
	char container[CRI_NAME_MAX * 2];
};

/* The steps of a pod's life, in order. */
enum cri_step {
	CRI_RUN_POD,
	CRI_CREATE,
	CRI_START,
	CRI_STOP,
	CRI_REMOVE,
	CRI_STOP_POD,
	CRI_REMOVE_POD,
	CRI_STEPS,
};

/* Errors: of connect(2). */
int cri_peer_connect(struct cri_peer *peer, struct err *err);
void cri_peer_done(struct cri_peer *peer);

/* Frees what the replies so far took. */
void cri_peer_forget(struct cri_peer *peer);

/* One call; NULL where it fails. The reply lives until cri_peer_forget(). */
const void *cri_peer_call(struct cri_peer *peer, const char *method, const ProtobufCMessage *request, struct err *err);

/* Takes one step of the life of @pod, whose name is set; ids are filled as they come. Errors: the call's. */
int cri_peer_step(struct cri_peer *peer, enum cri_step step, struct cri_pod *pod, struct err *err);

/* The first three steps of all @pods at once: every RunPodSandbox, then as each ends its CreateContainer and StartContainer.
 * Returns when the last has started. Errors: the first failure. */
int cri_peer_start_all(struct cri_peer *peer, struct cri_pod *pods, size_t count, struct err *err);

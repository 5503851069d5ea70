/* What is written down of pods and containers, so that it outlives axled and the machine's restart (docs/formats/records.md).
 *
 * One JSON file for each below ROOT/pods and ROOT/containers, replaced atomically and synced. A record is written before
 * the first side effect of what it speaks of: the phases "creating" and "removing" are intents, and who finds one at the
 * start undoes what may have been done. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/codec/json.h"

struct arena;
struct err;
struct fibers;
struct log;

#define RECORD_VERSION 1
#define RECORD_BYTES_MAX (4 << 20)

/* A pod's membership in a network, written before its first plugin is run. */
struct network_record {
	const char *name;
	const char *interface; /* in the pod: "eth0" */
	const char *args;      /* CNI_ARGS */
	json_t *list;	       /* the configuration as it was then (cni_list.h) */
	json_t *capabilities;
	json_t *result; /* of ADD; NULL: it did not come to its end */
};

struct pod_record {
	uint32_t version;
	const char *id;
	const char *owner; /* "axle", "cri" */
	const char *phase; /* "creating", "ready", "stopped", "removing" */
	int64_t created_ns;
	const char *runtime_handler; /* as asked for: may be "" */
	const char *cgroup;	     /* parent of its containers' groups */
	bool cgroup_is_ours;	     /* else someone else made it */
	const struct network_record *network; /* NULL: none, or none any more */
	json_t *config;		     /* runtime.v1.PodSandboxConfig (core/codec/proto_json.h) */
};

struct exit_record {
	int32_t code;
	int32_t signal;
	bool oom_killed;
	const char *reason;
	const char *message;
};

struct error_record {
	const char *step;
	const char *path;
	int32_t code; /* -errno */
	const char *reason;
	const char *message;
	const char *runtime_message;
	int64_t at_ns;
};

struct container_record {
	uint32_t version;
	const char *id;
	const char *pod_id;
	const char *owner;
	const char *phase; /* "creating", "created", "started", "exited", "removing" */
	int64_t created_ns;
	int64_t started_ns;
	int64_t finished_ns;
	const char *image;    /* as it was asked for */
	const char *image_id;
	const char *runtime_handler;
	const char *cgroup;
	const char *log_path; /* absolute; "" for none */
	bool log_is_ours;
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups;
	size_t groups_count;
	const char *home;
	int32_t stop_signal;
	bool auto_remove;
	const char *const *volume_images; /* ids of the images that are mounted, in the order of the mounts; NULL: none */
	const struct exit_record *exit;	       /* once it has ended */
	const struct error_record *last_error; /* of the last thing that failed */
	json_t *cdi;			       /* what its CDI devices ask for (containerEdits); NULL: nothing */
	json_t *config;			       /* runtime.v1.ContainerConfig */
};

extern const struct json_table POD_RECORD;
extern const struct json_table CONTAINER_RECORD;

/* Replaces ID.json below @dir_fd by @record. Parks; always to its end. Errors: of file_replace_at(), -ENOMEM. */
int record_write(struct fibers *fibers, int dir_fd, const char *id, const struct json_table *table, const void *record,
		 struct err *err);

/* Removes ID.json; a missing one is success. Parks; always to its end. */
int record_remove(struct fibers *fibers, int dir_fd, const char *id, struct err *err);

/* What a failed note of an end means: on a full disk the end goes on without it, for it makes room, and a start that finds the
 * older record ends what is left. That is logged, and 0 returned; any other @result is returned as it is. */
int record_end_noted(const struct log *log, const char *id, int result);

/* Reads the record @name ("ID.json") into @arena; *ret_document (the caller's) is what JSON_RAW members point into.
 * Blocks: for the start. Errors: -ENOTSUP (record.version: a newer Axle wrote it), -EINVAL (damaged), of open(2). */
int record_read(int dir_fd, const char *name, const struct json_table *table, struct arena *arena, void *ret_record,
		json_t **ret_document, struct err *err);

/* Checks and decodes the text of a record. @ret_record's first member is its version. */
int record_parse(const char *name, const char *text, size_t length, const struct json_table *table,
		 struct arena *arena, void *ret_record, json_t **ret_document, struct err *err);

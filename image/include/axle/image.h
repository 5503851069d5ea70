/* libaximage: images out of registries and archives, in a store on disk, ready to be run.
 *
 *	image reference   "busybox", "localhost:5000/a/b:tag", "quay.io/x/y@sha256:..."   struct image_reference
 *	store             OCI image layout plus unpacked layers below one directory       struct image_store
 *	image             one manifest of the store and the names that lead to it         struct image
 *	job               a pull or a load: a process of its own (aximage-worker)         struct image_job
 *	bundle            config.json (and a root file system) made from an image         image_bundle_*
 *
 * No event loop and no threads inside. A call blocks for a few small files unless it says otherwise; a job gives its caller
 * two descriptors to watch. Nothing here parses bytes of a registry or an archive: the worker does, unprivileged, and its
 * privileged half applies owners and devices from a checked list (docs/formats/image-store.md, pull-progress.md).
 *
 * Stable reasons in struct err (the codes are in parentheses):
 *	reference.malformed (-EINVAL)      image.not-found (-ENOENT)         image.ambiguous (-EEXIST: an id prefix)
 *	image.in-use (-EBUSY)              image.pinned (-EPERM)             image.no-platform (-ENOEXEC)
 *	image.digest-mismatch (-EBADMSG)   image.size-mismatch (-EBADMSG)    image.unsupported (-ENOTSUP)
 *	image.malformed (-EBADMSG)         image.layer-malformed (-EBADMSG)  image.too-large (-EFBIG)
 *	registry.unreachable (-EHOSTUNREACH)  registry.unauthorized (-EACCES)  registry.protocol (-EPROTO)
 *	store.full (-ENOSPC)               store.version (-EPROTONOSUPPORT)  store.damaged (-EUCLEAN)   store.io
 *	user.not-found (-ENOENT)           job.cancelled (-ECANCELED)        job.worker (-EIO: it died) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/scoped.h"

struct buf;
struct err;

/* ---- References ------------------------------------------------------------------------------------------------- */

#define IMAGE_REFERENCE_MAX 832 /* the longest canonical reference, with its terminator */

/* A parsed reference. A value: copied freely. @tag or @digest may be empty, not both (the tag "latest" is filled in). */
struct image_reference {
	char registry[280];   /* host, optionally ":port": "docker.io", "localhost:5000", "[::1]:5000" */
	char repository[256]; /* path below it: "library/busybox" */
	char tag[129];
	char digest[144]; /* "sha256:..." */
};

/* Parses what a user types, with docker's defaults: no registry is docker.io, one path component there is library/X, neither
 * tag nor digest is "latest". The first component is a registry where it holds '.' or ':' or is "localhost".
 * Errors: -EINVAL (reference.malformed; names what is wrong, such as upper case in the repository). */
int image_reference_parse(const char *text, struct image_reference *ret_reference, struct err *err);

/* The canonical text: "docker.io/library/busybox:latest"; with a digest "...@sha256:..." (the tag, if any, is kept before
 * it). */
void image_reference_format(const struct image_reference *reference, char ret_text[static IMAGE_REFERENCE_MAX]);

/* ---- Images ----------------------------------------------------------------------------------------------------- */

struct image_pair {
	const char *key;
	const char *value;
};

/* The "config" member of the image configuration (image-spec 1.1, config.md). Vectors are NULL-terminated, never NULL. */
struct image_config {
	const char *const *env;
	const char *const *entrypoint;
	const char *const *cmd;
	const char *working_dir; /* "" where absent */
	const char *user;	 /* as written: "1000", "app:staff", "" */
	const char *stop_signal; /* as written: "SIGTERM", "15", "" */
	const char *const *exposed_ports; /* "8080/tcp" */
	const char *const *volumes;
	const struct image_pair *labels;
	size_t labels_count;
};

/* Borrowed from the store: valid until the next call that may change its list (image_store_refresh, _remove, _tag,
 * _set_pinned, image_job_finish). */
struct image {
	const char *id;		     /* digest of the configuration: "sha256:..."; the one image id everywhere */
	const char *manifest_digest; /* of the manifest for this platform */
	const char *const *tags;     /* canonical references with a tag: "docker.io/library/busybox:1.36"; may be empty */
	const char *const *digests;  /* canonical references by digest, as pulled: "docker.io/library/busybox@sha256:..." */
	uint64_t size_bytes;	     /* unpacked layers plus blobs */
	bool pinned;
	const char *os;
	const char *architecture;
	const char *variant; /* "" where absent */
	const char *created; /* RFC 3339 text from the configuration, "" where absent */
	const char *author;
	struct image_config config;
	const char *const *layers; /* lowest first: paths below the store's directory, "layers/<hex>/fs" */
	size_t layers_count;
};

/* ---- The store -------------------------------------------------------------------------------------------------- */

struct image_store;

enum image_store_flags {
	IMAGE_STORE_READ_ONLY = 1, /* never writes; the store must exist */
};

/* Opens the store in the directory @dir_fd (kept by the caller; the store holds a duplicate), makes it where the directory
 * is empty, and removes what dead jobs left behind. Any number of processes may have it open.
 * Errors: store.version (made by a newer Axle: nothing is touched), store.damaged, store.io. */
int image_store_open(int dir_fd, unsigned flags, struct image_store **ret_store, struct err *err);
void image_store_free(struct image_store *store);
SCOPED_DEFINE(struct image_store, image_store_free)

/* The store's directory, to resolve struct image's layers against (borrowed). */
int image_store_dir(const struct image_store *store);

/* Reads the records again if another process changed them. Returns 1 when the list changed, 0 when not. */
int image_store_refresh(struct image_store *store, struct err *err);

/* All images, each once, in the order of their ids. */
size_t image_store_count(const struct image_store *store);
const struct image *image_store_at(const struct image_store *store, size_t index);

/* Finds an image by reference, digest (manifest or as pulled), id ("sha256:<hex>" or bare hex) or an id prefix of at least
 * 3 hex digits; an exact reference wins over an id prefix.
 * Errors: image.not-found, image.ambiguous, reference.malformed. */
int image_store_resolve(const struct image_store *store, const char *text, const struct image **ret_image,
			struct err *err);

/* Adds the name @reference (canonicalised, must have a tag) to the image @id; it moves there from another image. */
int image_store_tag(struct image_store *store, const char *id, const char *reference, struct err *err);

/* Sets the mark that keeps an image from being removed (CRI: pinned). Recorded. */
int image_store_set_pinned(struct image_store *store, const char *id, bool pinned, struct err *err);

/* Counts users of an image in this process (containers, mounts): a held image is not removed. Not recorded: after a
 * restart hold again before the first image_store_remove() or image_store_collect(). Errors: image.not-found (also where
 * its removal has begun). */
int image_store_hold(struct image_store *store, const char *id, struct err *err);
void image_store_release(struct image_store *store, const char *id);

enum image_remove_flags {
	IMAGE_REMOVE_REFERENCE = 1, /* only the name given in @text; the image goes with its last name */
	IMAGE_REMOVE_PINNED = 2,    /* even if pinned */
};

/* Removes what @text names (as image_store_resolve()), then the blobs and layers no image needs any more (blocks: large
 * trees). Without IMAGE_REMOVE_REFERENCE all names go at once.
 * *ret_untagged, *ret_id may be NULL: a strv of the names removed, and the id if the image itself went (else NULL); both
 * freed by the caller. Errors: image.not-found, image.in-use, image.pinned, store.io. */
int image_store_remove(struct image_store *store, const char *text, unsigned flags, char ***ret_untagged, char **ret_id,
		       struct err *err);

/* Checks that @text may be removed with these flags, and says what goes with it: as image_store_remove(), without doing it.
 * Where the whole image goes (*ret_id is not NULL), nobody may hold it from now on until image_store_end_removal().
 * Errors: those of image_store_remove(), -EALREADY (image.in-use: it is being removed). */
int image_store_begin_removal(struct image_store *store, const char *text, unsigned flags, char ***ret_untagged,
			      char **ret_id, struct err *err);
void image_store_end_removal(struct image_store *store, const char *id);

/* Removes blobs and layers that no image needs and that no running job may be about to need (blocks). */
int image_store_collect(struct image_store *store, struct err *err);

struct image_usage {
	uint64_t bytes;
	uint64_t inodes;
};

/* What the store uses on disk, from memory (figures of the records, not a walk). */
void image_store_usage(const struct image_store *store, struct image_usage *ret_usage);

/* Reads a blob (manifest, configuration) of at most ret_bytes->max bytes and checks its digest. Errors: image.not-found,
 * image.digest-mismatch, image.too-large, store.io. */
int image_store_read_blob(const struct image_store *store, const char *digest, struct buf *ret_bytes, struct err *err);

/* ---- Jobs: pull and load ---------------------------------------------------------------------------------------- */

struct image_platform {
	const char *os; /* each NULL: this machine's */
	const char *architecture;
	const char *variant;
};

struct image_credentials {
	const char *username; /* NULL: none */
	const char *password;
	const char *identity_token; /* OAuth2 refresh token */
	const char *registry_token; /* sent as it is: "Authorization: Bearer ..." */
};

enum image_job_kind {
	IMAGE_JOB_PULL, /* @reference from its registry */
	IMAGE_JOB_LOAD, /* @input_fd: a directory (OCI layout), or a file, pipe or socket with a tar stream (oci-archive or
			   docker-archive, plain, gzip or zstd) */
	IMAGE_JOB_REMOVE, /* @reference as image_store_remove() does, in a process of its own: large trees take long. Begun
			     with image_store_begin_removal() */
};

struct image_job_options {
	enum image_job_kind kind;
	const char *reference; /* pull: what; load: a name for an image that has none (NULL: none) */
	int input_fd;	       /* load; borrowed until image_job_start() returns */
	struct image_platform platform;
	struct image_credentials credentials;
	bool plain_http;       /* HTTP instead of HTTPS (always tried for loopback registries after HTTPS fails to connect) */
	bool skip_tls_verify;
	const char *ca_file;	 /* more certificate authorities, PEM; NULL: the system's only */
	const char *endpoint;	 /* "https://mirror:5000" asked instead of the reference's registry; NULL: none */
	const char *hosts_dir;	 /* folder of containerd's "HOST/hosts.toml" (docs/formats/hosts.md), read by the job with
				    every pull unless an endpoint is given; NULL: none */
	unsigned remove_flags;	 /* remove: enum image_remove_flags */
	const char *worker_path; /* NULL: aximage-worker beside the running program */
	uid_t worker_uid;	 /* of the unprivileged half; 0: 65534. Without effect when not root */
	gid_t worker_gid;
	unsigned connect_timeout_s; /* 0: 15 */
	unsigned stall_timeout_s;   /* 0: 60: less than one byte a second for this long */
	uint64_t max_unpacked_bytes; /* of one image; 0: 64 GiB */
};

struct image_job;

/* Starts a job. The process ends by itself; kill -9 of it, or of the caller, leaves only garbage that the next
 * image_store_open() or job removes. Errors: reference.malformed, store.io, job.worker (it cannot be started). */
int image_job_start(struct image_store *store, const struct image_job_options *options, struct image_job **ret_job,
		    struct err *err);

pid_t image_job_pid(const struct image_job *job);
int image_job_pidfd(const struct image_job *job);	/* readable when the process has ended (borrowed) */
int image_job_progress_fd(const struct image_job *job); /* readable when there is progress; non-blocking (borrowed) */

enum image_progress_event {
	IMAGE_PROGRESS_RESOLVED, /* the manifest is known: @digest, @total bytes to download, @layers */
	IMAGE_PROGRESS_LAYER,	 /* a layer changed state: @digest, @state, @done of @total bytes */
	IMAGE_PROGRESS_APPLYING, /* all is there and checked; owners are applied, data is synced */
	IMAGE_PROGRESS_DONE,	 /* recorded: @digest is the image's id, @name its canonical reference; once per image */
	IMAGE_PROGRESS_ERROR,	 /* the last line of a failed job: @reason, @message */
};

enum image_layer_state {
	IMAGE_LAYER_WAITING,
	IMAGE_LAYER_EXISTS,
	IMAGE_LAYER_DOWNLOADING,
	IMAGE_LAYER_UNPACKING,
	IMAGE_LAYER_DONE,
};

/* One line of the progress descriptor (docs/formats/pull-progress.md). Strings are valid until the next read. */
struct image_progress {
	enum image_progress_event event;
	enum image_layer_state state;
	const char *digest;
	const char *name;
	const char *reason;
	const char *message;
	int32_t code; /* of an error, -errno */
	uint64_t done;
	uint64_t total;
	uint64_t layers;
};

/* Takes the next piece of progress. Returns 1 when *ret_progress was filled, 0 when there is none now, -EPIPE at the end of
 * the stream, -EPROTO for a line that is none of ours. */
int image_job_read(struct image_job *job, struct image_progress *ret_progress);

/* Asks the job to stop; what it made goes with it. It still ends by itself and is finished as usual. */
void image_job_cancel(struct image_job *job);

/* Waits for the end of the process (at once if its pidfd is readable), reads the rest of the progress, refreshes the store
 * and gives the image (for a load with several images: the last; for a removal: NULL). Errors: what the worker reported, with its reason;
 * job.cancelled, job.worker. */
int image_job_finish(struct image_job *job, const struct image **ret_image, struct err *err);

/* Kills a job that still runs. */
void image_job_free(struct image_job *job);
SCOPED_DEFINE(struct image_job, image_job_free)

/* ---- Users ------------------------------------------------------------------------------------------------------ */

#define IMAGE_GROUPS_MAX 64

struct image_user {
	uint32_t uid;
	uint32_t gid;
	uint32_t groups[IMAGE_GROUPS_MAX]; /* supplementary, from /etc/group */
	size_t groups_count;
	char home[256]; /* from /etc/passwd; "/" where unknown */
	char name[64];	/* likewise; "" where unknown */
};

/* Resolves "user", "uid", "user:group", "uid:gid" (NULL or "": root) by etc/passwd and etc/group of the tree at @root_fd,
 * read as chroot would. A number without an entry is itself, with group 0. Errors: user.not-found (names it and the file),
 * -EINVAL. */
int image_user_resolve(int root_fd, const char *user, struct image_user *ret_user, struct err *err);

/* ---- Bundles ---------------------------------------------------------------------------------------------------- */

/* Writes an OCI bundle: @name below @dir_fd gets config.json and rootfs/, a flat tree copied from the layers (blocks; needs
 * no mount). The directory must not exist or be empty; what was written is removed on failure.
 * Not root: everything belongs to the caller, and device nodes are left out.
 * Errors: -ENOTEMPTY, store.io, store.full, user.not-found. */
int image_bundle_unpack(const struct image_store *store, const struct image *image, int dir_fd, const char *name,
			struct err *err);

/* The OCI runtime configuration (runtime-spec 1.2) that runs @image by its own entrypoint, environment and user, with a
 * private set of namespaces, docker's default capabilities, mounts, masked paths and device rules.
 * @root_path: root.path; @user: resolved by the caller. Errors: -ENOMEM, -EMSGSIZE, image.malformed (no command). */
int image_bundle_config(const struct image *image, const char *root_path, const struct image_user *user,
			struct buf *ret_json, struct err *err);

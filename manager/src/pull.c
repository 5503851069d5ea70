#include "manager/src/pull.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/idtable.h"

#define IMAGE_ID_MAX 160

struct pull {
	struct node *node;
	char *key; /* what makes two requests the same; NULL: never shared */
	struct image_job *job;
	struct fiber *fiber;
	struct fiber_signal done_signal;
	struct pull_listener *listeners;
	unsigned waiting; /* callers */
	bool done;
	int result;
	struct err err;
	char image_id[IMAGE_ID_MAX];
	struct pull *next;
};

struct pull_table {
	struct pull *pulls;
};

int pull_table_new(struct pull_table **ret_table)
{
	*ret_table = calloc(1, sizeof **ret_table);
	return *ret_table ? 0 : -ENOMEM;
}

void pull_table_free(struct pull_table *table)
{
	free(table);
}

static void leave_table(struct pull *pull)
{
	for (struct pull **place = &pull->node->pulls->pulls; *place; place = &(*place)->next)
		if (*place == pull) {
			*place = pull->next;
			return;
		}
}

static void pull_free(struct pull *pull)
{
	leave_table(pull);
	image_job_free(pull->job);
	free(pull->key);
	free(pull);
}

/* --- the job's own fiber --- */

/* Returns 0 while there is more to come. */
static int read_progress(struct pull *pull)
{
	struct image_progress progress;
	int r = 1;
	while (r == 1) {
		r = image_job_read(pull->job, &progress);
		for (struct pull_listener *listener = pull->listeners; r == 1 && listener; listener = listener->next)
			listener->on_progress(&progress, listener->data);
	}
	return r;
}

static void finish(struct pull *pull)
{
	const struct image *image = NULL;
	pull->result = image_job_finish(pull->job, &image, &pull->err);
	if (pull->result == 0)
		(void)snprintf(pull->image_id, sizeof pull->image_id, "%s", image->id);
	pull->done = true;
	leave_table(pull);
	fiber_signal_all(&pull->done_signal);
}

static void run_pull(void *data)
{
	struct pull *pull = data;
	struct fibers *fibers = pull->node->fibers;
	int r = 0;
	while (r == 0) {
		r = fiber_await_fd(fibers, image_job_progress_fd(pull->job), UV_READABLE);
		if (r == 0)
			r = read_progress(pull);
	}
	if (r == -ECANCELED)
		image_job_cancel(pull->job);
	fiber_shield(fibers);
	(void)fiber_await_fd(fibers, image_job_pidfd(pull->job), UV_READABLE);
	fiber_unshield(fibers);
	finish(pull);
	if (!pull->waiting)
		pull_free(pull);
}

/* --- callers --- */

static char *make_key(const struct pull_request *request)
{
	const struct image_credentials *credentials = &request->credentials;
	const struct image_platform *platform = &request->platform;
	const char *const parts[] = {request->reference,       platform->os,		platform->architecture,
				     platform->variant,	       credentials->username,	credentials->password,
				     credentials->identity_token, credentials->registry_token};
	scoped_free char *key = strdup(request->plain_http ? "http" : "https");
	for (size_t i = 0; key && i < sizeof parts / sizeof *parts; i++) {
		char *longer = str_printf("%s\n%s", key, parts[i] ? parts[i] : "");
		free(key);
		key = longer;
	}
	return TAKE(key);
}

static void fill_options(const struct node *node, const struct pull_request *request, const char *host,
			 struct image_job_options *options)
{
	const struct config_registry *registry = config_find_registry(&node->config, host);
	*options = (struct image_job_options){
		.kind = request->load_fd >= 0 ? IMAGE_JOB_LOAD : IMAGE_JOB_PULL,
		.reference = request->load_fd >= 0 ? request->load_name : request->reference,
		.input_fd = request->load_fd,
		.platform = request->platform,
		.credentials = request->credentials,
		.plain_http = request->plain_http || (registry && registry->plain_http),
		.skip_tls_verify = registry && registry->skip_tls_verify,
		.ca_file = registry ? registry->ca_file : NULL,
		.endpoint = registry ? registry->endpoint : NULL,
		.hosts_dir = node->config.images.hosts_dir,
		.worker_uid = node->config.images.worker_uid,
		.worker_gid = node->config.images.worker_gid,
		.connect_timeout_s = node->config.images.connect_timeout_s,
		.stall_timeout_s = node->config.images.stall_timeout_s,
	};
}

static int start_job(struct pull *pull, const struct pull_request *request, struct err *err)
{
	struct image_reference reference = {0};
	struct image_job_options options = {0};
	int r = request->load_fd >= 0 ? 0 : image_reference_parse(request->reference, &reference, err);
	if (r < 0)
		return r;
	fill_options(pull->node, request, reference.registry, &options);
	r = image_job_start(pull->node->images, &options, &pull->job, err);
	return r < 0 ? r : fiber_start(pull->node->fibers, run_pull, pull, &pull->fiber);
}

static struct pull *find_running(const struct node *node, const char *key)
{
	struct pull *pull = node->pulls->pulls;
	while (pull && !str_equal(pull->key, key))
		pull = pull->next;
	return pull;
}

static int find_or_start(struct node *node, const struct pull_request *request, struct pull **ret_pull, struct err *err)
{
	scoped_free char *key = request->load_fd >= 0 ? NULL : make_key(request);
	if (request->load_fd < 0 && !key)
		return -ENOMEM;
	*ret_pull = key ? find_running(node, key) : NULL;
	if (*ret_pull)
		return 0;
	struct pull *pull = calloc(1, sizeof *pull);
	if (!pull)
		return -ENOMEM;
	pull->node = node;
	pull->key = TAKE(key);
	int r = start_job(pull, request, err);
	if (r < 0) {
		pull_free(pull);
		return r;
	}
	pull->next = node->pulls->pulls;
	node->pulls->pulls = pull;
	*ret_pull = pull;
	return 0;
}

static void stop_listening(struct pull *pull, const struct pull_listener *listener)
{
	for (struct pull_listener **place = &pull->listeners; listener && *place; place = &(*place)->next)
		if (*place == listener) {
			*place = listener->next;
			return;
		}
}

static int wait_for(struct pull *pull, struct pull_listener *listener, struct err *err)
{
	if (listener) {
		listener->next = pull->listeners;
		pull->listeners = listener;
	}
	pull->waiting++;
	int r = 0;
	while (r == 0 && !pull->done)
		r = fiber_signal_wait(pull->node->fibers, &pull->done_signal);
	pull->waiting--;
	stop_listening(pull, listener);
	if (pull->done) {
		if (pull->result < 0 && err)
			*err = pull->err;
		return pull->result;
	}
	if (!pull->waiting) {
		leave_table(pull); /* nobody shall join what is ending */
		fiber_cancel(pull->fiber); /* it frees the pull */
	}
	return err_set(err, r, "pull.cancelled", "the pull was not done in time");
}

int pull_image(struct node *node, const struct pull_request *request, struct pull_listener *listener,
	       const struct image **ret_image, struct err *err)
{
	struct pull *pull = NULL;
	int r = find_or_start(node, request, &pull, err);
	if (r < 0)
		return r;
	r = wait_for(pull, listener, err);
	if (r < 0 && request->reference && err && !strstr(err->message, request->reference))
		(void)err_add(err, r, "%s", request->reference);
	if (r == 0)
		r = image_store_resolve(node->images, pull->image_id, ret_image, err);
	if (pull->done && !pull->waiting)
		pull_free(pull);
	return r;
}

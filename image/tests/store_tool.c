/* The image library on a command line, for the tests: what axled and axle do with it, without them. Not installed.
 *
 *	store_tool ROOT pull REFERENCE      store_tool ROOT load FILE-OR-DIRECTORY   (a "-" reads standard input)
 *	store_tool ROOT list                store_tool ROOT rm NAME
 *	store_tool ROOT layers NAME         store_tool ROOT unpack NAME DIRECTORY
 *	store_tool ROOT usage               store_tool ROOT collect
 *	store_tool ROOT tag NAME REFERENCE  store_tool ROOT pin NAME
 *
 * Progress lines go to standard error. A failure prints "REASON: MESSAGE" there and exits with 1. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/opt.h"
#include "core/base/str.h"
#include "core/sys/path.h"
#include "image/include/axle/image.h"

struct tool {
	struct image_store *store;
	const char *user;
	const char *password;
	const char *token;
	const char *ca_file;
	const char *architecture;
	const char *variant;
	const char *name;
	const char *worker;
	const char *endpoint;
	bool plain_http;
	bool quiet;
	bool reference_only;
	uint64_t max_bytes;
	uint64_t stall;
};

static const struct opt OPTIONS[] = {
	{'u', "user", "NAME", OPT_STRING, offsetof(struct tool, user), "user"},
	{'p', "password", "TEXT", OPT_STRING, offsetof(struct tool, password), "password"},
	{0, "token", "TEXT", OPT_STRING, offsetof(struct tool, token), "registry token"},
	{0, "ca", "FILE", OPT_STRING, offsetof(struct tool, ca_file), "certificate authorities"},
	{0, "arch", "NAME", OPT_STRING, offsetof(struct tool, architecture), "architecture"},
	{0, "variant", "NAME", OPT_STRING, offsetof(struct tool, variant), "variant"},
	{0, "name", "REFERENCE", OPT_STRING, offsetof(struct tool, name), "name for a loaded image"},
	{0, "worker", "PATH", OPT_STRING, offsetof(struct tool, worker), "aximage-worker"},
	{0, "endpoint", "URL", OPT_STRING, offsetof(struct tool, endpoint), "ask this place instead"},
	{0, "plain-http", NULL, OPT_FLAG, offsetof(struct tool, plain_http), "HTTP"},
	{'q', "quiet", NULL, OPT_FLAG, offsetof(struct tool, quiet), "no progress"},
	{0, "reference-only", NULL, OPT_FLAG, offsetof(struct tool, reference_only), "rm: only the name"},
	{0, "max-bytes", "N", OPT_BYTES, offsetof(struct tool, max_bytes), "most bytes unpacked"},
	{0, "stall", "SECONDS", OPT_U64, offsetof(struct tool, stall), "stall timeout"},
	{0},
};

static void show(const struct image_progress *progress)
{
	static const char *const EVENTS[] = {"resolved", "layer", "applying", "done", "error"};
	static const char *const STATES[] = {"waiting", "exists", "downloading", "unpacking", "done"};
	(void)fprintf(stderr, "%s %s %s %" PRIu64 "/%" PRIu64 "\n", EVENTS[progress->event],
		      progress->event == IMAGE_PROGRESS_LAYER ? STATES[progress->state] : "-",
		      progress->digest ? progress->digest : "-", progress->done, progress->total);
}

static int watch(const struct tool *tool, struct image_job *job)
{
	for (;;) {
		struct image_progress progress;
		int r = image_job_read(job, &progress);
		if (r == -EPIPE)
			return 0;
		if (r < 0)
			return r;
		if (r == 1 && !tool->quiet)
			show(&progress);
		struct pollfd wait = {image_job_progress_fd(job), POLLIN, 0};
		if (r == 0 && poll(&wait, 1, -1) < 0 && errno != EINTR)
			return -errno;
	}
}

static int run_job(struct tool *tool, struct image_job_options *options, struct err *err)
{
	options->worker_path = tool->worker;
	options->platform.architecture = tool->architecture;
	options->platform.variant = tool->variant;
	options->credentials =
		(struct image_credentials){.username = tool->user, .password = tool->password, .registry_token = tool->token};
	options->plain_http = tool->plain_http;
	options->ca_file = tool->ca_file;
	options->endpoint = tool->endpoint;
	options->max_unpacked_bytes = tool->max_bytes;
	options->stall_timeout_s = (unsigned)tool->stall;
	scoped(image_job_free) struct image_job *job = NULL;
	int r = image_job_start(tool->store, options, &job, err);
	if (r < 0)
		return r;
	r = watch(tool, job);
	if (r < 0)
		return err_sys(err, r, "job.worker", "read its progress");
	const struct image *image = NULL;
	r = image_job_finish(job, &image, err);
	if (r == 0)
		(void)printf("%s\n", image->id);
	return r;
}

static int do_pull(struct tool *tool, char **args, struct err *err)
{
	struct image_job_options options = {.kind = IMAGE_JOB_PULL, .reference = args[0]};
	return run_job(tool, &options, err);
}

static int do_load(struct tool *tool, char **args, struct err *err)
{
	scoped_fd int fd = str_equal(args[0], "-") ? dup(STDIN_FILENO) : open(args[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "open", "%s", args[0]);
	struct image_job_options options = {.kind = IMAGE_JOB_LOAD, .reference = tool->name, .input_fd = fd};
	return run_job(tool, &options, err);
}

static void print_strings(const char *what, const char *const *strings)
{
	for (; *strings; strings++)
		(void)printf("  %s %s\n", what, *strings);
}

static int do_list(struct tool *tool, char **args, struct err *err)
{
	(void)args;
	(void)err;
	for (size_t i = 0; i < image_store_count(tool->store); i++) {
		const struct image *image = image_store_at(tool->store, i);
		(void)printf("%s %s/%s size=%" PRIu64 " layers=%zu%s\n", image->id, image->os, image->architecture,
			     image->size_bytes, image->layers_count, image->pinned ? " pinned" : "");
		(void)printf("  manifest %s\n", image->manifest_digest);
		print_strings("tag", image->tags);
		print_strings("digest", image->digests);
		print_strings("env", image->config.env);
		print_strings("entrypoint", image->config.entrypoint);
		print_strings("cmd", image->config.cmd);
		print_strings("port", image->config.exposed_ports);
		print_strings("volume", image->config.volumes);
	}
	return 0;
}

static int find(const struct tool *tool, const char *name, const struct image **ret_image, struct err *err)
{
	return image_store_resolve(tool->store, name, ret_image, err);
}

static int do_layers(struct tool *tool, char **args, struct err *err)
{
	const struct image *image = NULL;
	int r = find(tool, args[0], &image, err);
	for (size_t i = 0; r == 0 && i < image->layers_count; i++)
		(void)printf("%s\n", image->layers[i]);
	return r;
}

static int do_remove(struct tool *tool, char **args, struct err *err)
{
	scoped(strv_free) char **untagged = NULL;
	scoped_free char *id = NULL;
	int r = image_store_remove(tool->store, args[0], tool->reference_only ? IMAGE_REMOVE_REFERENCE : 0, &untagged, &id,
				   err);
	for (char **name = untagged; r == 0 && name && *name; name++)
		(void)printf("untagged %s\n", *name);
	if (r == 0 && id)
		(void)printf("deleted %s\n", id);
	return r;
}

static int do_unpack(struct tool *tool, char **args, struct err *err)
{
	const struct image *image = NULL;
	int r = find(tool, args[0], &image, err);
	return r < 0 ? r : image_bundle_unpack(tool->store, image, AT_FDCWD, args[1], err);
}

static int do_usage(struct tool *tool, char **args, struct err *err)
{
	(void)args;
	(void)err;
	struct image_usage usage;
	image_store_usage(tool->store, &usage);
	return printf("bytes=%" PRIu64 " inodes=%" PRIu64 "\n", usage.bytes, usage.inodes) < 0 ? -EIO : 0;
}

static int do_collect(struct tool *tool, char **args, struct err *err)
{
	(void)args;
	return image_store_collect(tool->store, err);
}

static int do_tag(struct tool *tool, char **args, struct err *err)
{
	const struct image *image = NULL;
	int r = find(tool, args[0], &image, err);
	return r < 0 ? r : image_store_tag(tool->store, image->id, args[1], err);
}

static int do_pin(struct tool *tool, char **args, struct err *err)
{
	const struct image *image = NULL;
	int r = find(tool, args[0], &image, err);
	return r < 0 ? r : image_store_set_pinned(tool->store, image->id, true, err);
}

static const struct {
	const char *name;
	int args;
	int (*run)(struct tool *tool, char **args, struct err *err);
} COMMANDS[] = {
	{"pull", 1, do_pull},	  {"load", 1, do_load},	  {"list", 0, do_list},	      {"layers", 1, do_layers},
	{"rm", 1, do_remove},	  {"unpack", 2, do_unpack}, {"usage", 0, do_usage}, {"collect", 0, do_collect},
	{"tag", 2, do_tag},	  {"pin", 1, do_pin},
};

static int run(struct tool *tool, char **args, int count, struct err *err)
{
	if (count < 2)
		return err_set(err, -EINVAL, "usage", "store_tool ROOT COMMAND ...");
	int r = path_make_directories(args[0], 0700, err);
	if (r < 0)
		return r;
	scoped_fd int dir = open(args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, -errno, "open", "%s", args[0]);
	r = image_store_open(dir, 0, &tool->store, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_COUNT(COMMANDS); i++)
		if (str_equal(COMMANDS[i].name, args[1]) && COMMANDS[i].args == count - 2)
			return COMMANDS[i].run(tool, args + 2, err);
	return err_set(err, -EINVAL, "usage", "no such command: %s", args[1]);
}

int main(int argc, char **argv)
{
	struct tool tool = {0};
	struct err err = {0};
	int first = argc;
	int r = opt_parse(OPTIONS, argv, true, &tool, &first, &err);
	if (r == OPT_HELP)
		return opt_print_help(stdout, OPTIONS), EXIT_SUCCESS;
	if (r == 0)
		r = run(&tool, argv + first, argc - first, &err);
	image_store_free(tool.store);
	if (r < 0)
		(void)fprintf(stderr, "%s: %s\n", err.reason ? err.reason : "error", err_text(&err, r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

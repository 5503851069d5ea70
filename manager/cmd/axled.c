/* axled: the node's manager. Order of start-up, top to bottom. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <uv.h>

#include "core/base/err.h"
#include "core/base/opt.h"
#include "core/base/str.h"
#include "image/include/axle/image.h"
#include "manager/src/container.h"
#include "manager/src/cri_events.h"
#include "manager/src/layer_usage.h"
#include "manager/src/monitors.h"
#include "manager/src/networks.h"
#include "manager/src/node.h"
#include "manager/src/pod.h"
#include "manager/src/pull.h"
#include "manager/src/restore.h"
#include "manager/src/server.h"
#include "manager/src/streaming.h"

#define CALLS_END_MS 5000
#define LEAVE_POLL_MS 5

struct options {
	struct node_options node;
	bool version;
};

#define NODE_OPTION(member) offsetof(struct options, node.member)

static const struct opt OPTIONS[] = {
	{0, "root", "DIR", OPT_STRING, NODE_OPTION(root), "what outlives a reboot (/var/lib/axle; AXLE_ROOT)"},
	{0, "state", "DIR", OPT_STRING, NODE_OPTION(state), "sockets and what a reboot ends (/run/axle; AXLE_STATE)"},
	{0, "config", "FILE", OPT_STRING, NODE_OPTION(config), "configuration (/etc/axle/axled.toml; AXLE_CONFIG)"},
	{0, "name", "NAME", OPT_STRING, NODE_OPTION(name), "the node's name (made of --root)"},
	{0, "log-level", "LEVEL", OPT_STRING, NODE_OPTION(log_level), "error, warning, info or debug"},
	{0, "version", NULL, OPT_FLAG, offsetof(struct options, version), "print the version"},
	{0},
};

struct daemon {
	struct node node;
	struct server server;
	uv_signal_t interrupt;
	uv_signal_t terminate;
	const char *boot_id_file;
	int exit_code;
};

/* --- end --- */

static void release_objects(struct node *node)
{
	node->stopping = true;
	while (node->containers.count)
		container_forget(node->containers.objects[node->containers.count - 1]);
	while (node->pods.count)
		pod_forget(node->pods.objects[node->pods.count - 1]);
}

/* Containers run on: their monitors look after them, and the next start finds them. */
static void leave(void *data)
{
	struct daemon *daemon = data;
	while (fibers_count(daemon->node.fibers) > 1) /* the others have been cancelled, and undo what they began */
		(void)fiber_sleep(daemon->node.fibers, LEAVE_POLL_MS);
	node_leave(&daemon->node);
	uv_close((uv_handle_t *)&daemon->interrupt, NULL);
	uv_close((uv_handle_t *)&daemon->terminate, NULL);
	release_objects(&daemon->node);
	monitors_free(daemon->node.monitors);
	daemon->node.monitors = NULL;
}

static void on_server_closed(void *data)
{
	struct daemon *daemon = data;
	if (fiber_start(daemon->node.fibers, leave, daemon, NULL) < 0)
		exit(EXIT_FAILURE); /* out of memory at the very end */
}

static void stop(struct daemon *daemon)
{
	if (daemon->node.stopping)
		return;
	daemon->node.stopping = true;
	streaming_close(daemon->node.streaming);
	fibers_cancel_all(daemon->node.fibers);
	server_close(&daemon->server, CALLS_END_MS, on_server_closed, daemon);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct daemon *daemon = handle->data;
	log_info(&daemon->node.log, "node.ending", "signal %d", signum);
	stop(daemon);
}

/* --- start --- */

static void start(void *data)
{
	struct daemon *daemon = data;
	struct node *node = &daemon->node;
	struct err err = {0};
	int r = node_restore(node, daemon->boot_id_file, &err);
	if (r == 0 && !node->stopping)
		r = streaming_open(node, &node->streaming, &err);
	if (r == 0 && !node->stopping)
		r = server_open(&daemon->server, node, &err);
	if (r < 0) {
		log_err(&node->log, &err, r, "start");
		daemon->exit_code = EXIT_FAILURE;
		stop(daemon);
		return;
	}
	log_info(&node->log, "node.ready", "node %s serves %s/" AXLE_SOCKET_NAME " and " CRI_SOCKET_NAME, node->name,
		 node->places.state);
}

static int watch_signal(struct daemon *daemon, uv_signal_t *handle, int signum)
{
	int r = uv_signal_init(daemon->node.loop, handle);
	handle->data = daemon;
	return r < 0 ? r : uv_signal_start(handle, on_signal, signum);
}

static int open_daemon(struct daemon *daemon, const struct options *options, struct err *err)
{
	struct node *node = &daemon->node;
	int r = node_open(node, &options->node, err);
	if (r == 0)
		r = image_store_open(node->places.images_fd, 0, &node->images, err);
	if (r == 0)
		r = pull_table_new(&node->pulls);
	if (r == 0)
		r = cri_listeners_new(node, &node->cri_listeners);
	if (r == 0)
		r = layer_walker_new(node, &node->layers);
	if (r == 0)
		r = networks_new(&node->networks);
	if (r == 0)
		r = monitors_new(node, &node->monitors);
	if (r == 0)
		r = watch_signal(daemon, &daemon->interrupt, SIGINT);
	if (r == 0)
		r = watch_signal(daemon, &daemon->terminate, SIGTERM);
	return r < 0 ? r : fiber_start(node->fibers, start, daemon, NULL);
}

static int run(const struct options *options)
{
	struct daemon daemon = {.boot_id_file = getenv("AXLE_BOOT_ID_FILE")}; /* of tests: a reboot without one */
	struct err err = {0};
	uv_loop_t loop;
	if (uv_loop_init(&loop) < 0)
		return EXIT_FAILURE;
	daemon.node.log = log_to_stderr("axled");
	daemon.node.loop = &loop;
	int r = open_daemon(&daemon, options, &err);
	if (r < 0) {
		(void)fprintf(stderr, "axled: %s\n", err_text(&err, r));
		return EXIT_FAILURE; /* the loop may hold open handles: the process ends here */
	}
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	networks_free(daemon.node.networks);
	layer_walker_free(daemon.node.layers);
	cri_listeners_free(daemon.node.cri_listeners);
	streaming_free(daemon.node.streaming);
	pull_table_free(daemon.node.pulls);
	image_store_free(daemon.node.images);
	node_close(&daemon.node);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
	return daemon.exit_code;
}

static const char *or_environment(const char *option, const char *variable)
{
	const char *value = getenv(variable);
	return option ? option : str_empty(value) ? NULL : value;
}

/* Blocks from this size on are mappings of their own, which go back to the kernel when they are freed. Left to itself the C
 * library raises the bound with the first large block it frees, and a burst of large answers then stays in the heap. */
#define OWN_MAPPING_BYTES (128 << 10)

int main(int argc, char **argv)
{
	(void)argc;
	struct options options = {0};
	struct err err = {0};
	int first = 0;
	int r = opt_parse(OPTIONS, argv, false, &options, &first, &err);
	if (r == OPT_HELP) {
		(void)puts("usage: axled [options]\n\n"
			   "The manager of an Axle node: pods, containers and images, over CRI and axle.v1.\n");
		opt_print_help(stdout, OPTIONS);
		return EXIT_SUCCESS;
	}
	if (r < 0 || argv[first]) {
		(void)fprintf(stderr, "axled: %s\n", r < 0 ? err_text(&err, r) : "expected no arguments besides options");
		return 2;
	}
	if (options.version)
		return puts("axled " AXLE_VERSION) < 0;
	options.node.root = or_environment(options.node.root, "AXLE_ROOT");
	options.node.state = or_environment(options.node.state, "AXLE_STATE");
	options.node.config = or_environment(options.node.config, "AXLE_CONFIG");
	(void)mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
	(void)umask(022);
	(void)signal(SIGPIPE, SIG_IGN);
	return run(&options);
}

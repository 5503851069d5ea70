/* axle version */
#include <stdio.h>

#include "cli/src/cli.h"
#include "cli/src/exit.h"
#include "cli/src/output.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

#include <jansson.h>

struct options {
	bool client_only;
	const char *format;
};

static const struct opt OPTIONS[] = {
	{0, "client", NULL, OPT_FLAG, offsetof(struct options, client_only), "of this program alone"},
	{'f', "format", "FORMAT", OPT_STRING, offsetof(struct options, format), "table (default) or json"},
	{0},
};

static void print_text(const Cri__VersionResponse *server, const Axle__InfoResponse *node)
{
	(void)puts("Client:\n  Version:      " AXLE_VERSION);
	if (!server)
		return;
	(void)printf("Server:\n  Name:         %s\n  Version:      %s\n  CRI:          %s\n", server->runtime_name,
		     server->runtime_version, server->runtime_api_version);
	if (node)
		(void)printf("  Node:         %s\n  Kernel:       %s (%s)\n", node->node, node->kernel,
			     node->architecture);
}

static int print_json(const Cri__VersionResponse *server, const Axle__InfoResponse *node)
{
	json_t *root = json_pack("{s:{s:s}}", "client", "version", AXLE_VERSION);
	if (root && server)
		(void)json_object_set_new(root, "server",
					  json_pack("{s:s, s:s, s:s, s:s}", "name", server->runtime_name, "version",
						    server->runtime_version, "api_version",
						    server->runtime_api_version, "node", node ? node->node : ""));
	if (root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0)
		(void)putchar('\n');
	json_decref(root);
	return 0;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	(void)words;
	bool json = false;
	int r = output_parse(options->format, &json, err);
	if (r < 0)
		return r;
	Cri__VersionRequest request = CRI__VERSION_REQUEST__INIT;
	Axle__InfoRequest info = AXLE__INFO_REQUEST__INIT;
	const Cri__VersionResponse *server = NULL;
	const Axle__InfoResponse *node = NULL;
	if (!options->client_only)
		server = cli_call(cli, &cri__runtime_service__descriptor, "Version", &request.base, err);
	if (server)
		node = cli_call(cli, &axle__node__descriptor, "Info", &info.base, err);
	if (json)
		(void)print_json(server, node);
	else
		print_text(server, node);
	return options->client_only || node ? 0 : err->code;
}

const struct verb verb_version = {
	.name = "version",
	.arguments = "",
	.summary = "print the versions of this program and of the daemon",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.run = run,
};

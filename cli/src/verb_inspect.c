/* axle inspect NAME...: containers and images, as JSON */
#include <errno.h>
#include <string.h>

#include "cli/src/cli.h"
#include "cli/src/exit.h"
#include "cli/src/output.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

struct options {
	const char *type, *format;
};

static const struct opt OPTIONS[] = {
	{'f', "format", "FORMAT", OPT_STRING, offsetof(struct options, format), "json (the only one)"},
	{0, "type", "TYPE", OPT_STRING, offsetof(struct options, type), "container or image; else the first that there is"},
	{0},
};

static const ProtobufCMessage *inspect_image(struct cli *cli, const char *name, struct err *err)
{
	Axle__InspectImageRequest request = AXLE__INSPECT_IMAGE_REQUEST__INIT;
	request.image = name;
	return cli_call(cli, &axle__images__descriptor, "Inspect", &request.base, err);
}

static const ProtobufCMessage *inspect(struct cli *cli, const char *name, const char *type, struct err *err)
{
	if (str_equal(type, "image"))
		return inspect_image(cli, name, err);
	const Axle__InspectContainerResponse *container = cli_container(cli, name, err);
	if (container)
		return &container->base;
	if (type || err->code != -ENOENT || str_equal(err->reason, "daemon.absent"))
		return NULL;
	const ProtobufCMessage *image = inspect_image(cli, name, err);
	if (!image && err->code == -ENOENT)
		(void)err_set(err, -ENOENT, "cli.not-found", "no container and no image is called %s", name);
	return image;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	if (options->type && !str_equal(options->type, "container") && !str_equal(options->type, "image"))
		return err_set(err, -EINVAL, "cli.usage", "option --type: \"%s\": expected container or image",
			       options->type);
	if (options->format && !str_equal(options->format, "json"))
		return err_set(err, -EINVAL, "cli.usage", "option --format: \"%s\": expected json", options->format);
	size_t count = strv_count((const char *const *)words), found = 0;
	const ProtobufCMessage **messages = arena_array(&cli->arena, count + 1, sizeof *messages);
	if (!messages)
		return err_memory(err, "axle");
	int exit_code = 0;
	for (size_t i = 0; i < count; i++) {
		messages[found] = inspect(cli, words[i], options->type, err);
		if (messages[found]) {
			found++;
			continue;
		}
		print_error(err, err->code);
		exit_code = exit_code_of_error(err);
	}
	int r = output_json_list(messages, found, err);
	return r < 0 ? r : exit_code;
}

const struct verb verb_inspect = {
	.name = "inspect",
	.arguments = "NAME...",
	.summary = "print all that is known of containers or images, as JSON",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.least = 1,
	.most = -1,
	.run = run,
};

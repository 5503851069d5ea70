/* axle rmi IMAGE... */
#include <errno.h>
#include <stdio.h>

#include "cli/src/cli.h"
#include "cli/src/exit.h"
#include "cli/src/targets.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

struct options {
	bool force, all, ignore;
};

static const struct opt OPTIONS[] = {
	{'a', "all", NULL, OPT_FLAG, offsetof(struct options, all), "every image of this owner that no container uses"},
	{'f', "force", NULL, OPT_FLAG, offsetof(struct options, force), "with all its names"},
	{'i', "ignore", NULL, OPT_FLAG, offsetof(struct options, ignore), "no error for what is not there"},
	{0},
};

static int remove_one(struct cli *cli, const char *word, const void *data, struct err *err)
{
	const struct options *options = data;
	Axle__RemoveImageRequest request = AXLE__REMOVE_IMAGE_REQUEST__INIT;
	request.image = word;
	request.force = options->force || options->all;
	const Axle__RemoveImageResponse *response =
		cli_call(cli, &axle__images__descriptor, "Remove", &request.base, err);
	if (!response)
		return err->code == -ENOENT && options->ignore ? 0 : err->code;
	for (size_t i = 0; i < response->n_untagged; i++)
		(void)printf("Untagged: %s\n", response->untagged[i]);
	for (size_t i = 0; i < response->n_deleted; i++)
		(void)printf("Deleted: %s\n", response->deleted[i]);
	return 0;
}

/* As podman: 1 what was not there, 2 what is in use. */
static int exit_code(const struct err *err)
{
	if (err->code == -ENOENT && !str_equal(err->reason, "daemon.absent"))
		return 1;
	return err->code == -EBUSY ? 2 : exit_code_of_error(err);
}

/* The ids of images that no container uses. NULL: failed. */
static char **unused_images(struct cli *cli, struct err *err)
{
	Axle__ListImagesRequest request = AXLE__LIST_IMAGES_REQUEST__INIT;
	const Axle__ListImagesResponse *list = cli_call(cli, &axle__images__descriptor, "List", &request.base, err);
	char **ids = list ? arena_array(&cli->arena, list->n_images + 1, sizeof *ids) : NULL;
	if (!ids) {
		(void)(list ? err_memory(err, "axle") : 0);
		return NULL;
	}
	size_t count = 0;
	for (size_t i = 0; i < list->n_images; i++)
		if (list->images[i]->containers == 0)
			ids[count++] = arena_strdup(&cli->arena, list->images[i]->id);
	return ids;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	if (options->all == (*words != NULL))
		return err_set(err, -EINVAL, "cli.usage", "axle rmi: expected images, or --all");
	char **chosen = options->all ? unused_images(cli, err) : words;
	if (!chosen)
		return err->code;
	return targets_each(cli, chosen, &(struct targets){.act = remove_one, .data = values, .exit_code = exit_code});
}

const struct verb verb_rmi = {
	.name = "rmi",
	.arguments = "IMAGE...",
	.summary = "remove images, or names of them",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.most = -1,
	.run = run,
};

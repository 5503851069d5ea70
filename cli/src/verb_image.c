/* axle image ...: what can be done to images, most of it also as a verb of its own; axle image unpack IMAGE FOLDER */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/src/cli.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* The daemon has another current folder. The folder itself need not exist. */
static char *absolute(const char *path)
{
	char here[PATH_MAX];
	if (*path == '/')
		return strdup(path);
	return getcwd(here, sizeof here) ? str_printf("%s/%s", here, path) : NULL;
}

static int unpack(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)values;
	scoped_free char *folder = absolute(words[1]);
	if (!folder)
		return err_sys(err, -errno, "cli.folder", "%s", words[1]);
	Axle__UnpackRequest request = AXLE__UNPACK_REQUEST__INIT;
	request.image = words[0];
	request.directory = folder;
	return cli_do(cli, &axle__images__descriptor, "Unpack", &request.base, err);
}

static const struct verb verb_unpack = {
	.name = "unpack",
	.arguments = "IMAGE FOLDER",
	.summary = "write an image as an OCI bundle that a runtime runs",
	.least = 2,
	.most = 2,
	.run = unpack,
};

extern const struct verb verb_images, verb_inspect, verb_load, verb_pull, verb_rmi;

static const struct verb *const BELOW[] = {&verb_images, &verb_inspect, &verb_load, &verb_pull,
					   &verb_rmi,	 &verb_unpack,	NULL};

const struct verb verb_image = {
	.name = "image",
	.arguments = "COMMAND",
	.summary = "work with images",
	.below = BELOW,
};

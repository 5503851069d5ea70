/* axle pull IMAGE... */
#include <stdio.h>

#include "cli/src/pull.h"
#include "cli/src/targets.h"
#include "cli/src/verb.h"
#include "core/base/err.h"

struct options {
	const char *platform, *credentials;
	bool quiet, plain_http;
};

static const struct opt OPTIONS[] = {
	{0, "creds", "USER:PASSWORD", OPT_STRING, offsetof(struct options, credentials), "for the registry"},
	{0, "plain-http", NULL, OPT_FLAG, offsetof(struct options, plain_http), "allow a registry without TLS"},
	{0, "platform", "OS/ARCH", OPT_STRING, offsetof(struct options, platform), "in place of the node's"},
	{'q', "quiet", NULL, OPT_FLAG, offsetof(struct options, quiet), "no progress, only the image's id"},
	{0},
};

static int pull_one(struct cli *cli, const char *image, const void *data, struct err *err)
{
	const struct options *options = data;
	const struct pull_options pull = {.image = image,
					  .platform = options->platform,
					  .policy = AXLE__PULL_POLICY__PULL_ALWAYS,
					  .credentials = options->credentials,
					  .plain_http = options->plain_http,
					  .quiet = options->quiet};
	const char *id = NULL;
	int r = pull_image(cli, &pull, &id, err);
	if (r == 0)
		(void)puts(id);
	return r;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)err; /* each failure is printed */
	return targets_each(cli, words, &(struct targets){.act = pull_one, .data = values});
}

const struct verb verb_pull = {
	.name = "pull",
	.arguments = "IMAGE...",
	.summary = "fetch images from their registries",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.least = 1,
	.most = -1,
	.run = run,
};

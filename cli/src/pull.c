#include "cli/src/pull.h"

#include <errno.h>
#include <string.h>

#include "cli/src/progress.h"
#include "core/base/err.h"
#include "core/base/str.h"

struct pull {
	struct cli *cli;
	struct progress *progress;
	const char *id; /* NULL: not done */
};

static void on_message(const ProtobufCMessage *message, void *data)
{
	struct pull *pull = data;
	const Axle__PullResponse *response = (const void *)message;
	progress_take(pull->progress, response);
	if (response->what_case == AXLE__PULL_RESPONSE__WHAT_DONE && response->done->n_images > 0)
		pull->id = arena_strdup(&pull->cli->arena, response->done->images[0]->id);
}

static int set_credentials(const char *text, struct arena *arena, Cri__AuthConfig *auth, struct err *err)
{
	char *user = arena_strdup(arena, text);
	if (!user)
		return err_memory(err, "axle");
	char *colon = strchr(user, ':');
	if (!colon || colon == user)
		return err_set(err, -EINVAL, "cli.usage", "option --creds: expected USER:PASSWORD");
	*colon = '\0';
	auth->username = user;
	auth->password = colon + 1;
	return 0;
}

int pull_image(struct cli *cli, const struct pull_options *options, const char **ret_id, struct err *err)
{
	Cri__AuthConfig auth = CRI__AUTH_CONFIG__INIT;
	Axle__PullRequest request = AXLE__PULL_REQUEST__INIT;
	request.image = options->image;
	request.platform = options->platform ? options->platform : "";
	request.policy = options->policy;
	request.plain_http = options->plain_http;
	int r = 0;
	if (options->credentials) {
		request.auth = &auth;
		r = set_credentials(options->credentials, &cli->arena, &auth, err);
	}
	struct pull pull = {.cli = cli, .progress = progress_new(&cli->arena, options->image, options->quiet)};
	if (r == 0 && !pull.progress)
		r = err_memory(err, "axle");
	if (r < 0)
		return r;
	r = cli_stream(cli, &axle__images__descriptor, "Pull", &request.base, on_message, &pull, err);
	progress_end(pull.progress);
	if (r < 0)
		return r;
	if (!pull.id)
		return err_set(err, -EPROTO, "cli.pull", "%s: the daemon ended the pull without a result", options->image);
	*ret_id = pull.id;
	return 0;
}

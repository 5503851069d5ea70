#include "cli/src/select.h"

#include <errno.h>

#include "cli/src/cli.h"
#include "core/base/err.h"

int select_containers(struct cli *cli, bool all, bool all_states, char ***words, struct err *err)
{
	if (!all && **words)
		return 0;
	if (!all)
		return err_set(err, -EINVAL, "cli.usage", "an argument is missing: expected containers, or --all");
	if (**words)
		return err_set(err, -EINVAL, "cli.usage", "expected containers or --all, not both");
	Axle__ListContainersRequest request = AXLE__LIST_CONTAINERS_REQUEST__INIT;
	request.all_states = all_states;
	const Axle__ListContainersResponse *list =
		cli_call(cli, &axle__containers__descriptor, "List", &request.base, err);
	char **ids = list ? arena_array(&cli->arena, list->n_containers + 1, sizeof *ids) : NULL;
	if (!ids)
		return list ? err_memory(err, "axle") : err->code;
	for (size_t i = 0; i < list->n_containers; i++)
		ids[i] = arena_strdup(&cli->arena, list->containers[i]->id);
	*words = ids;
	return 0;
}

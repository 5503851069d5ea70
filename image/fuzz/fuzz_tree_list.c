/* A layer's list, which the privileged half reads after the unprivileged one wrote it. */
#include "core/fuzz/target.h"
#include "image/src/tree.h"
#include "image/src/tree_list.h"

static int replay(void *user, const struct tree_record *record, struct err *err)
{
	return tree_replay(user, record, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(tree_free) struct tree *tree = NULL;
	if (tree_new(&tree) < 0)
		return 0;
	tree_begin_layer(tree);
	(void)tree_list_read(data, size, replay, tree, NULL, NULL);
	return 0;
}

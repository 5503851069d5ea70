/* Catalogue layers from outside: two documents, split at the first zero byte. What loads must hold together. */
#include <assert.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/fuzz/target.h"
#include "signals/src/catalogue.h"

static void check_leaf(const struct catalogue *catalogue, uint32_t index)
{
	const struct node *node = catalogue_node(catalogue, index);
	char path[CATALOGUE_PATH_MAX];
	catalogue_path(catalogue, index, path);
	assert(catalogue_find(catalogue, path) == index);
	if (!node->leaf || !node->leaf->default_text)
		return;
	struct buf text = {.max = 8 * VALUE_TEXT_MAX};
	double number = 0;
	const char *standard = node->leaf->default_text;
	assert(value_parse(&node->leaf->rule, standard, strlen(standard), &text, &number, NULL) == 0);
	assert(strcmp(text.data, standard) == 0);
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *split = memchr(text, '\0', size);
	size_t first = split ? (size_t)(split - text) : size;
	struct catalogue_source sources[2] = {{"one", text, first}, {"two", text + first + 1, split ? size - first - 1 : 0}};
	struct catalogue *catalogue = NULL;
	struct err err = {0};
	if (catalogue_load(sources, split ? 2 : 1, &catalogue, &err) < 0) {
		assert(err.message[0]);
		return 0;
	}
	for (uint32_t i = catalogue_next(catalogue, NODE_ROOT, NODE_ROOT); i != NODE_NONE;
	     i = catalogue_next(catalogue, NODE_ROOT, i))
		check_leaf(catalogue, i);
	catalogue_free(catalogue);
	return 0;
}

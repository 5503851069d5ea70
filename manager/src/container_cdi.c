#include "manager/src/container_cdi.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "manager/src/cdi.h"
#include "manager/src/container.h"

#define ANNOTATION_PREFIX "cdi.k8s.io/"
#define LIBRARY_BYTES_MAX (32 << 20)

struct names {
	char **texts; /* strv */
	size_t count;
};

static int add(struct names *names, const char *name)
{
	if (names->texts && strv_contains((const char *const *)names->texts, name))
		return 0;
	int r = strv_add(&names->texts, name);
	names->count += r == 0;
	return r;
}

/* "vendor/class=one,vendor/class=two" */
static int add_list(struct names *names, const char *text)
{
	scoped(strv_free) char **words = str_split(text, ',');
	int r = words ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && words[i]; i++)
		r = add(names, words[i]);
	return r;
}

static int collect(const Cri__ContainerConfig *config, struct names *names)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < config->n_cdi_devices; i++)
		r = add(names, config->cdi_devices[i]->name);
	for (size_t i = 0; r == 0 && i < config->n_annotations; i++)
		if (str_after_prefix(config->annotations[i]->key, ANNOTATION_PREFIX))
			r = add_list(names, config->annotations[i]->value);
	return r;
}

int container_cdi_take(struct container *container, struct err *err)
{
	struct names names = {0};
	int r = collect(container->config, &names);
	scoped(strv_free) char **texts = names.texts;
	if (r < 0)
		return err_memory(err, "CDI devices");
	if (!names.count)
		return 0;
	scoped_done(arena_done) struct arena arena = {.max = LIBRARY_BYTES_MAX};
	struct cdi_edits edits = {0};
	r = cdi_find(container->node->config.cdi.directories, (const char *const *)texts, names.count, &arena, &edits, err);
	if (r < 0)
		return r;
	container->cdi = json_encode_value(&CDI_EDITS, &edits);
	container->record.cdi = container->cdi;
	return container->cdi ? 0 : err_memory(err, "CDI devices");
}

int container_cdi_edits(const struct container *container, struct arena *arena, const struct cdi_edits **ret_edits,
			struct err *err)
{
	*ret_edits = NULL;
	if (!container->record.cdi)
		return 0;
	struct cdi_edits *edits = arena_alloc(arena, sizeof *edits);
	if (!edits)
		return err_memory(err, "CDI devices");
	*ret_edits = edits;
	return json_decode_value(container->id, container->record.cdi, &CDI_EDITS, arena, edits, err);
}

#include "signals/src/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "signals/src/catalogue.h"

static int read_files(const char *const *names, struct buf *texts, struct catalogue_source *sources, struct err *err)
{
	for (size_t i = 0; names[i]; i++) {
		texts[i].max = CATALOGUE_BYTES_MAX;
		int r = file_read_at(AT_FDCWD, names[i], &texts[i], err);
		if (r < 0)
			return r;
		sources[i] = (struct catalogue_source){names[i], texts[i].data ? texts[i].data : "", texts[i].size};
	}
	return 0;
}

static int read_catalogue(const char *const *names, struct catalogue **ret_catalogue, struct err *err)
{
	size_t count = strv_count(names);
	if (count == 0 || count > CATALOGUE_LAYERS_MAX)
		return err_set(err, -EINVAL, "catalogue.layers", "expected 1 to %d catalogue files", CATALOGUE_LAYERS_MAX);
	scoped_free struct buf *texts = calloc(count, sizeof *texts);
	scoped_free struct catalogue_source *sources = calloc(count, sizeof *sources);
	int r = texts && sources ? read_files(names, texts, sources, err) : -ENOMEM;
	if (r == 0)
		r = catalogue_load(sources, count, ret_catalogue, err);
	for (size_t i = 0; texts && i < count; i++)
		buf_done(&texts[i]);
	return r;
}

static int read_config(const char *name, struct config *ret_config, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = CONFIG_BYTES_MAX};
	if (!name)
		return 0;
	int r = file_read_at(AT_FDCWD, name, &text, err);
	return r < 0 ? r : config_read(name, text.data ? text.data : "", text.size, ret_config, err);
}

int setup_read(const char *const *catalogue_files, const char *config_file, struct setup *ret_setup, struct err *err)
{
	struct setup setup = {.catalogue_files = catalogue_files, .config_file = config_file};
	config_init(&setup.config);
	int r = read_catalogue(catalogue_files, &setup.catalogue, err);
	if (r == 0)
		r = read_config(config_file, &setup.config, err);
	if (r < 0) {
		setup_done(&setup);
		return r;
	}
	*ret_setup = setup;
	return 0;
}

void setup_done(struct setup *setup)
{
	catalogue_free(setup->catalogue);
	setup->catalogue = NULL;
	config_done(&setup->config);
}

/* axle images [NAME] */
#include <errno.h>
#include <stdio.h>

#include "cli/src/cli.h"
#include "cli/src/format.h"
#include "cli/src/output.h"
#include "cli/src/table.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/str.h"

struct options {
	bool all_owners, digests, no_heading, no_trunc, quiet;
	const char *format;
	char **filters;
};

static const struct opt OPTIONS[] = {
	{'a', "all", NULL, OPT_FLAG, offsetof(struct options, all_owners), "also those that only CRI uses"},
	{0, "all-owners", NULL, OPT_FLAG, offsetof(struct options, all_owners), NULL},
	{0, "digests", NULL, OPT_FLAG, offsetof(struct options, digests), "a column with the digests"},
	{'f', "filter", "KEY=VALUE", OPT_STRINGS, offsetof(struct options, filters),
	 "only where reference, label or dangling is so"},
	{0, "format", "FORMAT", OPT_STRING, offsetof(struct options, format), "table (default) or json"},
	{0, "no-trunc", NULL, OPT_FLAG, offsetof(struct options, no_trunc), "ids in full"},
	{'n', "noheading", NULL, OPT_FLAG, offsetof(struct options, no_heading), "no first line"},
	{'q', "quiet", NULL, OPT_FLAG, offsetof(struct options, quiet), "only the ids"},
	{0},
};

static const char *const TITLES[] = {"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", NULL};
static const char *const TITLES_WITH_DIGESTS[] = {"REPOSITORY", "TAG",	   "DIGEST", "IMAGE ID",
						  "CREATED",	"SIZE", NULL};

/* "repository@sha256:..." of the same repository, or of any where the image has no name. */
static const char *digest_of(const Axle__ImageSummary *image, const char *repository)
{
	for (size_t i = 0; i < image->n_digests; i++) {
		const char *rest = str_after_prefix(image->digests[i], repository);
		if (rest && *rest == '@')
			return rest + 1;
	}
	return "<none>";
}

static int add_row(struct table *table, const Axle__ImageSummary *image, const char *name,
		   const struct options *options)
{
	struct arena *arena = table->arena;
	const char *repository = "<none>", *tag = "<none>";
	if (name)
		format_reference(arena, name, &repository, &tag);
	const char *age = image->created_at > 0 ? format_duration(arena, image->created_at, now_ns()) : NULL;
	const char *created = age ? arena_printf(arena, "%s ago", age) : "N/A";
	const char *cells[6] = {repository, tag};
	size_t count = 2;
	if (options->digests)
		cells[count++] = digest_of(image, repository);
	cells[count++] = format_id(arena, image->id, options->no_trunc);
	cells[count++] = created ? created : "";
	cells[count++] = format_size(arena, image->size_bytes);
	return table_add(table, cells);
}

static int add_image(struct table *table, const Axle__ImageSummary *image, const struct options *options)
{
	if (image->n_names == 0)
		return add_row(table, image, image->n_digests > 0 ? image->digests[0] : NULL, options);
	int r = 0;
	for (size_t i = 0; r == 0 && i < image->n_names; i++)
		r = add_row(table, image, image->names[i], options);
	return r;
}

static int print_table(struct cli *cli, const Axle__ListImagesResponse *list, const struct options *options,
		       struct err *err)
{
	struct table table = table_begin(&cli->arena, options->digests ? TITLES_WITH_DIGESTS : TITLES);
	for (size_t i = 0; i < list->n_images; i++)
		if (add_image(&table, list->images[i], options) < 0)
			return err_memory(err, "axle");
	table_print(&table, !options->no_heading);
	return 0;
}

/* The filters as typed and, for `axle images NAME`, one more. NULL when out of memory. */
static const char **all_filters(struct cli *cli, const struct options *options, const char *name, size_t *ret_count)
{
	size_t count = strv_count((const char *const *)options->filters);
	const char **filters = arena_array(&cli->arena, count + 1, sizeof *filters);
	for (size_t i = 0; filters && i < count; i++)
		filters[i] = options->filters[i];
	if (filters && name) {
		filters[count++] = arena_printf(&cli->arena, "reference=%s", name);
		if (!filters[count - 1])
			return NULL;
	}
	*ret_count = count;
	return filters;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	bool json = false;
	int r = output_parse(options->format, &json, err);
	if (r < 0)
		return r;
	Axle__ListImagesRequest request = AXLE__LIST_IMAGES_REQUEST__INIT;
	request.all_owners = options->all_owners;
	request.filters = all_filters(cli, options, words[0], &request.n_filters);
	if (!request.filters)
		return err_memory(err, "axle");
	const Axle__ListImagesResponse *list = cli_call(cli, &axle__images__descriptor, "List", &request.base, err);
	if (!list)
		return err->code;
	for (size_t i = 0; options->quiet && i < list->n_images; i++)
		(void)puts(format_id(&cli->arena, list->images[i]->id, options->no_trunc));
	if (options->quiet)
		return 0;
	if (json)
		return output_json_list((const ProtobufCMessage *const *)list->images, list->n_images, err);
	return print_table(cli, list, options, err);
}

const struct verb verb_images = {
	.name = "images",
	.arguments = "[NAME]",
	.summary = "list images",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.most = 1,
	.run = run,
};

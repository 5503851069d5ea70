/* A container's view of the vehicle's signals: its annotations ask for it, an OCI hook sets it up (axsignal-hook(8)), and we
 * vouch for who it is. docs/formats/signal-views.md */
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/str.h"
#include "manager/src/spec_internal.h"

#include <errno.h>
#include <string.h>

/* More than the service may take to answer (axsignal-hook gives up after 10 s). */
static const int32_t HOOK_TIMEOUT_S = 20;

static const char *const REQUESTS[] = {"axle.signals.read", "axle.signals.actuate", "axle.signals.publish"};

/* NULL: it is not there. */
static const char *find(Cri__MapEntry *const *entries, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (str_equal(entries[i]->key, key))
			return entries[i]->value;
	return NULL;
}

/* A kubelet hands a pod's annotations to the sandbox only; axle run's are the container's, which win. */
static const char *find_request(const struct spec_input *input, const char *name)
{
	const char *own = find(input->container->annotations, input->container->n_annotations, name);
	return own ? own : find(input->pod->annotations, input->pod->n_annotations, name);
}

/* The pod's service account, which CRI has no field for: under the label or annotation that the configuration names. */
static const char *find_service_account(const struct spec_input *input)
{
	const char *key = input->signals->service_account;
	if (!key)
		return NULL;
	const char *label = find(input->pod->labels, input->pod->n_labels, key);
	return label ? label : find(input->pod->annotations, input->pod->n_annotations, key);
}

static int add_argument(struct spec_builder *builder, struct spec_strings *arguments, const char *name, const char *value)
{
	if (str_empty(value))
		return 0;
	return spec_strings_add(builder, arguments, arena_printf(builder->arena, "--%s=%s", name, value));
}

static int make_arguments(struct spec_builder *builder, struct spec_strings *arguments)
{
	const struct spec_input *input = builder->input;
	const Cri__PodSandboxMetadata *pod = input->pod->metadata;
	const struct {
		const char *name;
		const char *value;
	} options[] = {
		{"control", input->signals->socket},
		{"manager", "axled"},
		{"namespace", pod ? pod->namespace_ : NULL},
		{"pod", pod ? pod->name : NULL},
		{"service-account", find_service_account(input)},
		{"image", input->signals->image_digests},
	};
	int r = spec_strings_add(builder, arguments, "axsignal-hook");
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(options); i++)
		r = add_argument(builder, arguments, options[i].name, options[i].value);
	return r;
}

static int add_hook(struct spec_builder *builder, struct oci_spec *spec)
{
	struct spec_strings arguments = {0};
	size_t count = spec->hooks ? spec->hooks->create_runtime_count : 0;
	struct oci_hooks *hooks = arena_alloc(builder->arena, sizeof *hooks);
	struct oci_hook *all = arena_array(builder->arena, count + 1, sizeof *all);
	int r = hooks && all ? make_arguments(builder, &arguments) : -ENOMEM;
	if (r < 0)
		return r;
	if (spec->hooks)
		*hooks = *spec->hooks;
	if (count)
		memcpy(all, hooks->create_runtime, count * sizeof *all);
	all[count] = (struct oci_hook){.path = builder->input->signals->hook, .args = arguments.items, .timeout = &HOOK_TIMEOUT_S};
	hooks->create_runtime = all;
	hooks->create_runtime_count = count + 1;
	spec->hooks = hooks;
	return 0;
}

/* Under which the hook finds what is asked for. One that is there already has the same value, or the pod's. */
static void put_annotation(struct json_pair *pairs, size_t *count, const char *name, const char *value)
{
	for (size_t i = 0; i < *count; i++)
		if (str_equal(pairs[i].key, name)) {
			pairs[i].value = value;
			return;
		}
	pairs[(*count)++] = (struct json_pair){name, value};
}

int spec_make_signals(struct spec_builder *builder, struct oci_spec *spec)
{
	size_t count = spec->annotations_count;
	size_t asked = 0;
	struct json_pair *pairs = arena_array(builder->arena, count + ARRAY_COUNT(REQUESTS), sizeof *pairs);
	if (!pairs)
		return -ENOMEM;
	if (count)
		memcpy(pairs, spec->annotations, count * sizeof *pairs);
	for (size_t i = 0; i < ARRAY_COUNT(REQUESTS); i++) {
		const char *request = find_request(builder->input, REQUESTS[i]);
		if (!request)
			continue;
		put_annotation(pairs, &count, REQUESTS[i], request);
		asked++;
	}
	if (asked && !builder->input->signals) {
		spec_cut(builder, "signals: this node has no signal service (axled.toml: [signals])");
		return 0;
	}
	if (!asked)
		return 0;
	spec->annotations = pairs;
	spec->annotations_count = count;
	return add_hook(builder, spec);
}

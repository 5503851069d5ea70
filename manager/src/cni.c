#include "manager/src/cni.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "manager/src/cni_plugin.h"
#include "manager/src/cni_result.h"
#include "manager/src/node.h"

#define ARENA_MAX (8 << 20)
#define INPUT_BYTES_MAX (4 << 20)
#define CHECK_SINCE "0.4.0"	/* and the result at DEL */
#define STATUS_GC_SINCE "1.1.0"

static void json_done(json_t **value)
{
	json_decref(*value);
}

#define scoped_json __attribute__((cleanup(json_done)))

/* --- what a plugin is given (section 3, "Deriving execution configuration from plugin configuration") --- */

/* Of the capabilities those that the plugin's configuration asks for; NULL with *@failed unset: none. */
static json_t *choose_capabilities(const struct cni_plugin *plugin, const json_t *capabilities, bool *failed)
{
	scoped_json json_t *chosen = json_object();
	const char *name = NULL;
	const json_t *wanted = NULL;
	*failed = !chosen;
	/* jansson iterates over what it may not change by a pointer that it could */
	json_object_foreach((json_t *)(uintptr_t)plugin->capabilities, name, wanted)
	{
		json_t *value = json_object_get(capabilities, name);
		if (json_is_true(wanted) && value && json_object_set(chosen, name, value) < 0)
			*failed = true;
	}
	return *failed || json_object_size(chosen) == 0 ? NULL : json_incref(chosen);
}

struct request {
	const json_t *capabilities;
	const json_t *result;
	const json_t *valid_attachments;
};

static int set(json_t *object, const char *key, const json_t *value)
{
	return value ? json_object_set(object, key, (json_t *)(uintptr_t)value) : 0; /* a reference: nobody changes it */
}

static int make_input(const struct cni_list *list, const struct cni_plugin *plugin, const struct request *request,
		      struct buf *ret_input)
{
	bool failed = false;
	scoped_json json_t *capabilities = choose_capabilities(plugin, request->capabilities, &failed);
	scoped_json json_t *input = json_copy((json_t *)(uintptr_t)plugin->config);
	if (failed || !input || json_object_set_new(input, "name", json_string(list->name)) < 0 ||
	    json_object_set_new(input, "cniVersion", json_string(list->version)) < 0 ||
	    set(input, "runtimeConfig", capabilities) < 0 || set(input, "prevResult", request->result) < 0 ||
	    set(input, "cni.dev/valid-attachments", request->valid_attachments) < 0)
		return -ENOMEM;
	scoped_free char *text = json_dumps(input, JSON_COMPACT);
	return text ? buf_add_text(ret_input, text) : -ENOMEM;
}

/* --- one plugin --- */

static int run(struct node *node, const struct cni_list *list, const struct cni_plugin *plugin, const char *command,
	       const struct cni_attachment *attachment, const struct request *request, struct buf *ret_output,
	       struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	scoped_done(buf_done) struct buf input = {.max = INPUT_BYTES_MAX};
	struct cni_invocation invocation = {
		.command = command,
		.type = plugin->type,
		.network = list->name,
		.container_id = attachment ? attachment->container_id : NULL,
		.netns = attachment ? attachment->netns : NULL,
		.interface = attachment ? attachment->interface : NULL,
		.args = attachment ? attachment->args : NULL,
		.input = &input,
	};
	int r = cni_plugin_find(node, plugin->type, &arena, &invocation.path, err);
	if (r < 0)
		return err_add(err, r, "network \"%s\"", list->name);
	r = make_input(list, plugin, request, &input);
	return r < 0 ? r : cni_plugin_run(node, &invocation, ret_output, err);
}

static int add_one(struct node *node, const struct cni_list *list, const struct cni_plugin *plugin,
		   const struct cni_attachment *attachment, json_t **result, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = ARENA_MAX};
	scoped_done(buf_done) struct buf output = {.max = CNI_OUTPUT_BYTES_MAX};
	const struct request request = {.capabilities = attachment->capabilities, .result = *result};
	int r = run(node, list, plugin, "ADD", attachment, &request, &output, err);
	if (r < 0)
		return r;
	struct cni_result decoded = {0};
	json_t *document = NULL;
	const char *source = arena_printf(&arena, "network \"%s\": result of plugin %s", list->name, plugin->type);
	if (!source)
		return -ENOMEM;
	r = cni_result_parse(source, output.data ? output.data : "", output.size, list->version, &arena, &decoded, &document,
			     err);
	if (r < 0)
		return r;
	json_decref(*result);
	*result = document;
	return 0;
}

int cni_add(struct node *node, const struct cni_list *list, const struct cni_attachment *attachment,
	    const struct cni_listener *listener, struct err *err)
{
	scoped_json json_t *result = NULL;
	int r = 0;
	for (size_t i = 0; r == 0 && i < list->plugins_count; i++) {
		r = add_one(node, list, &list->plugins[i], attachment, &result, err);
		if (r == 0)
			r = listener->on_result(result, listener->data, err);
	}
	return r;
}

/* CHECK and DEL: their answers hold nothing. */
static int run_quietly(struct node *node, const struct cni_list *list, const struct cni_plugin *plugin, const char *command,
		       const struct cni_attachment *attachment, struct err *err)
{
	scoped_done(buf_done) struct buf output = {.max = CNI_OUTPUT_BYTES_MAX};
	const struct request request = {
		.capabilities = attachment->capabilities,
		.result = cni_list_speaks(list, CHECK_SINCE) ? attachment->result : NULL,
	};
	return run(node, list, plugin, command, attachment, &request, &output, err);
}

int cni_delete(struct node *node, const struct cni_list *list, const struct cni_attachment *attachment, struct err *err)
{
	int r = 0;
	fiber_shield(node->fibers); /* cut off in its middle, a DEL may leave what the next one does not find */
	for (size_t i = list->plugins_count; r == 0 && i-- > 0;)
		r = run_quietly(node, list, &list->plugins[i], "DEL", attachment, err);
	fiber_unshield(node->fibers);
	return r;
}

int cni_check(struct node *node, const struct cni_list *list, const struct cni_attachment *attachment, struct err *err)
{
	if (!list->may_check || !cni_list_speaks(list, CHECK_SINCE) || !attachment->result)
		return CNI_UNCHECKED;
	int r = 0;
	for (size_t i = 0; r == 0 && i < list->plugins_count; i++)
		r = run_quietly(node, list, &list->plugins[i], "CHECK", attachment, err);
	return r;
}

/* --- the verbs of 1.1 --- */

/* Asked each time: a plugin is replaced without a word to us, and these verbs are rare. Returns 1 where it knows them. */
static int knows_1_1(struct node *node, const struct cni_list *list, const struct cni_plugin *plugin, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	scoped_done(buf_done) struct buf input = {.max = 256};
	scoped_done(buf_done) struct buf output = {.max = CNI_OUTPUT_BYTES_MAX};
	struct cni_invocation invocation = {.command = "VERSION", .type = plugin->type, .network = list->name, .input = &input};
	int r = cni_plugin_find(node, plugin->type, &arena, &invocation.path, err);
	if (r < 0)
		return err_add(err, r, "network \"%s\"", list->name);
	r = buf_printf(&input, "{\"cniVersion\":\"%s\"}", list->version);
	if (r == 0)
		r = cni_plugin_run(node, &invocation, &output, err);
	return r < 0 ? r : cni_versions_have(output.data ? output.data : "", output.size, STATUS_GC_SINCE);
}

static int run_1_1(struct node *node, const struct cni_list *list, const char *command, const struct request *request,
		   struct err *err)
{
	if (!cni_list_speaks(list, STATUS_GC_SINCE))
		return 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < list->plugins_count; i++) {
		scoped_done(buf_done) struct buf output = {.max = CNI_OUTPUT_BYTES_MAX};
		r = knows_1_1(node, list, &list->plugins[i], err);
		if (r > 0)
			r = run(node, list, &list->plugins[i], command, NULL, request, &output, err);
	}
	return r;
}

int cni_status(struct node *node, const struct cni_list *list, struct err *err)
{
	return run_1_1(node, list, "STATUS", &(struct request){0}, err);
}

int cni_collect(struct node *node, const struct cni_list *list, const json_t *attachments, struct err *err)
{
	return list->may_gc ? run_1_1(node, list, "GC", &(struct request){.valid_attachments = attachments}, err) : 0;
}

int cni_find_plugins(const struct node *node, const struct cni_list *list, struct err *err)
{
	for (size_t i = 0; i < list->plugins_count; i++) {
		scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
		const char *path = NULL;
		int r = cni_plugin_find(node, list->plugins[i].type, &arena, &path, err);
		if (r < 0)
			return err_add(err, r, "network \"%s\"", list->name);
	}
	return 0;
}

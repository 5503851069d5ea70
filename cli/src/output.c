#include "cli/src/output.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/proto_json.h"

int output_parse(const char *format, bool *ret_json, struct err *err)
{
	*ret_json = str_equal(format, "json");
	if (!format || *ret_json || str_equal(format, "table"))
		return 0;
	return err_set(err, -EINVAL, "cli.usage", "option --format: \"%s\": expected table or json", format);
}

static int print(json_t *value, struct err *err)
{
	int r = value ? json_dumpf(value, stdout, JSON_INDENT(2)) : -1;
	json_decref(value);
	if (r < 0)
		return err_memory(err, "axle");
	(void)putchar('\n');
	return 0;
}

int output_json_list(const ProtobufCMessage *const *messages, size_t count, struct err *err)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < count; i++)
		if (json_array_append_new(list, proto_json_encode_whole(messages[i])) < 0) {
			json_decref(list);
			list = NULL;
		}
	return print(list, err);
}

int output_json(const ProtobufCMessage *message, struct err *err)
{
	return print(proto_json_encode_whole(message), err);
}

#include "manager/src/streaming_status.h"

#include <stdio.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/codec/json.h"

/* k8s.io/apimachinery/pkg/apis/meta/v1: Status, as far as it is used here. */
struct cause {
	const char *reason;
	const char *message;
};
static const struct json_field CAUSE_FIELDS[] = {
	JSON_FIELD(struct cause, reason, "reason", JSON_STRING_T, 0),
	JSON_FIELD(struct cause, message, "message", JSON_STRING_T, 0),
};
static const struct json_table CAUSE = JSON_TABLE(struct cause, CAUSE_FIELDS);

struct details {
	const struct cause *causes;
	size_t causes_count;
};
static const struct json_field DETAILS_FIELDS[] = {
	JSON_NESTED_COUNTED(struct details, causes, "causes", JSON_STRUCTS, &CAUSE, 0),
};
static const struct json_table DETAILS = JSON_TABLE(struct details, DETAILS_FIELDS);

struct metadata {
	const char *name; /* of nothing, ever */
};
static const struct json_field METADATA_FIELDS[] = {
	JSON_FIELD(struct metadata, name, "name", JSON_STRING_T, 0),
};
static const struct json_table METADATA = JSON_TABLE(struct metadata, METADATA_FIELDS);

struct status {
	const struct metadata *metadata;
	const char *status;
	const char *message;
	const char *reason;
	const struct details *details;
	int32_t code;
};
static const struct json_field STATUS_FIELDS[] = {
	JSON_NESTED(struct status, metadata, "metadata", JSON_STRUCT_OPT, &METADATA, 0),
	JSON_FIELD(struct status, status, "status", JSON_STRING_T, 0),
	JSON_FIELD(struct status, message, "message", JSON_STRING_T, 0),
	JSON_FIELD(struct status, reason, "reason", JSON_STRING_T, 0),
	JSON_NESTED(struct status, details, "details", JSON_STRUCT_OPT, &DETAILS, 0),
	JSON_FIELD(struct status, code, "code", JSON_I32, 0),
};
static const struct json_table STATUS = JSON_TABLE(struct status, STATUS_FIELDS);

static int add_status(int version, const struct status *status, struct buf *text)
{
	if (version >= STATUS_PROTOCOL_JSON)
		return json_encode(&STATUS, status, text);
	return status->message ? buf_add_text(text, status->message) : 0;
}

int status_of_exit(int version, int32_t exit_code, struct buf *ret_text)
{
	static const struct metadata NO_METADATA = {0};
	char number[16];
	char message[80];
	(void)snprintf(number, sizeof number, "%d", exit_code);
	(void)snprintf(message, sizeof message, "command terminated with non-zero exit code: exit status %d", exit_code);
	const struct cause cause = {"ExitCode", number};
	const struct details details = {&cause, 1};
	const struct status success = {.metadata = &NO_METADATA, .status = "Success"};
	const struct status failure = {
		.metadata = &NO_METADATA,
		.status = "Failure",
		.message = message,
		.reason = "NonZeroExitCode",
		.details = &details,
	};
	return add_status(version, exit_code == 0 ? &success : &failure, ret_text);
}

int status_of_failure(int version, const char *what, const struct err *err, int code, struct buf *ret_text)
{
	static const struct metadata NO_METADATA = {0};
	char why[ERR_MESSAGE_MAX + 64];
	char message[ERR_MESSAGE_MAX + 128];
	(void)snprintf(why, sizeof why, "error %s: %s", what, err_text(err, code));
	(void)snprintf(message, sizeof message, "Internal error occurred: %s", why);
	const struct cause cause = {NULL, why};
	const struct details details = {&cause, 1};
	const struct status status = {
		.metadata = &NO_METADATA,
		.status = "Failure",
		.message = message,
		.reason = "InternalError",
		.details = &details,
		.code = 500,
	};
	return add_status(version, &status, ret_text);
}

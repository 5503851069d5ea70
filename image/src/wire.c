#include "image/src/wire.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/str.h"

static const struct json_field PLATFORM_FIELDS[] = {
	JSON_FIELD(struct wire_platform, os, "os", JSON_STRING_T, 0),
	JSON_FIELD(struct wire_platform, architecture, "architecture", JSON_STRING_T, 0),
	JSON_FIELD(struct wire_platform, variant, "variant", JSON_STRING_T, 0),
};
static const struct json_table PLATFORM = JSON_TABLE_STRICT(struct wire_platform, PLATFORM_FIELDS);

static const struct json_field CREDENTIALS_FIELDS[] = {
	JSON_FIELD(struct wire_credentials, username, "username", JSON_STRING_T, 0),
	JSON_FIELD(struct wire_credentials, password, "password", JSON_STRING_T, 0),
	JSON_FIELD(struct wire_credentials, identity_token, "identityToken", JSON_STRING_T, 0),
	JSON_FIELD(struct wire_credentials, registry_token, "registryToken", JSON_STRING_T, 0),
};
static const struct json_table CREDENTIALS = JSON_TABLE_STRICT(struct wire_credentials, CREDENTIALS_FIELDS);

static const struct json_field REQUEST_FIELDS[] = {
	JSON_FIELD(struct wire_request, version, "version", JSON_I64, JSON_REQUIRED),
	JSON_FIELD(struct wire_request, kind, "kind", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct wire_request, reference, "reference", JSON_STRING_T, 0),
	JSON_NESTED(struct wire_request, platform, "platform", JSON_STRUCT, &PLATFORM, 0),
	JSON_NESTED(struct wire_request, credentials, "credentials", JSON_STRUCT, &CREDENTIALS, 0),
	JSON_FIELD(struct wire_request, plain_http, "plainHttp", JSON_BOOL_T, 0),
	JSON_FIELD(struct wire_request, skip_tls_verify, "skipTlsVerify", JSON_BOOL_T, 0),
	JSON_FIELD(struct wire_request, ca_file, "caFile", JSON_STRING_T, 0),
	JSON_FIELD(struct wire_request, endpoint, "endpoint", JSON_STRING_T, 0),
	JSON_FIELD(struct wire_request, hosts_dir, "hostsDirectory", JSON_STRING_T, 0),
	JSON_FIELD(struct wire_request, remove_flags, "removeFlags", JSON_U32, 0),
	JSON_FIELD(struct wire_request, uid, "uid", JSON_U32, 0),
	JSON_FIELD(struct wire_request, gid, "gid", JSON_U32, 0),
	JSON_FIELD(struct wire_request, connect_timeout_s, "connectTimeoutSeconds", JSON_U32, 0),
	JSON_FIELD(struct wire_request, stall_timeout_s, "stallTimeoutSeconds", JSON_U32, 0),
	JSON_FIELD(struct wire_request, max_unpacked_bytes, "maxUnpackedBytes", JSON_U64, 0),
};
const struct json_table WIRE_REQUEST = JSON_TABLE_STRICT(struct wire_request, REQUEST_FIELDS);

static const struct json_field IMAGE_FIELDS[] = {
	JSON_FIELD(struct wire_image, manifest, "manifest", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct wire_image, media_type, "mediaType", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct wire_image, size, "size", JSON_U64, JSON_REQUIRED | JSON_KEEP),
	JSON_FIELD(struct wire_image, source, "source", JSON_STRING_T, 0),
	JSON_FIELD(struct wire_image, id, "id", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct wire_image, names, "names", JSON_STRINGS, JSON_KEEP),
	JSON_FIELD(struct wire_image, blobs, "blobs", JSON_STRINGS, JSON_KEEP),
	JSON_FIELD(struct wire_image, chains, "chains", JSON_STRINGS, JSON_KEEP),
};
static const struct json_table IMAGE = JSON_TABLE_STRICT(struct wire_image, IMAGE_FIELDS);

static const struct json_field RESULT_FIELDS[] = {
	JSON_FIELD(struct wire_result, version, "version", JSON_I64, JSON_REQUIRED),
	JSON_NESTED_COUNTED(struct wire_result, images, "images", JSON_STRUCTS, &IMAGE, JSON_KEEP),
};
const struct json_table WIRE_RESULT_TABLE = JSON_TABLE_STRICT(struct wire_result, RESULT_FIELDS);

/* ---- Progress --------------------------------------------------------------------------------------------------- */

struct line {
	int64_t version;
	const char *event;
	const char *state;
	const char *digest;
	const char *name;
	const char *reason;
	const char *message;
	int32_t code;
	uint64_t done;
	uint64_t total;
	uint64_t layers;
};

static const struct json_field LINE_FIELDS[] = {
	JSON_FIELD(struct line, version, "v", JSON_I64, JSON_REQUIRED),
	JSON_FIELD(struct line, event, "event", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct line, state, "state", JSON_STRING_T, 0),
	JSON_FIELD(struct line, digest, "digest", JSON_STRING_T, 0),
	JSON_FIELD(struct line, name, "name", JSON_STRING_T, 0),
	JSON_FIELD(struct line, reason, "reason", JSON_STRING_T, 0),
	JSON_FIELD(struct line, message, "message", JSON_STRING_T, 0),
	JSON_FIELD(struct line, code, "code", JSON_I32, 0),
	JSON_FIELD(struct line, done, "done", JSON_U64, 0),
	JSON_FIELD(struct line, total, "total", JSON_U64, 0),
	JSON_FIELD(struct line, layers, "layers", JSON_U64, 0),
};
static const struct json_table LINE = JSON_TABLE(struct line, LINE_FIELDS);

static const char *const EVENTS[] = {
	[IMAGE_PROGRESS_RESOLVED] = "resolved", [IMAGE_PROGRESS_LAYER] = "layer", [IMAGE_PROGRESS_APPLYING] = "applying",
	[IMAGE_PROGRESS_DONE] = "done",		[IMAGE_PROGRESS_ERROR] = "error",
};

static const char *const STATES[] = {
	[IMAGE_LAYER_WAITING] = "waiting",	   [IMAGE_LAYER_EXISTS] = "exists",
	[IMAGE_LAYER_DOWNLOADING] = "downloading", [IMAGE_LAYER_UNPACKING] = "unpacking",
	[IMAGE_LAYER_DONE] = "done",
};

int wire_progress_encode(const struct image_progress *progress, struct buf *ret_line)
{
	bool layer = progress->event == IMAGE_PROGRESS_LAYER;
	struct line line = {
		.version = WIRE_VERSION,
		.event = EVENTS[progress->event],
		.state = layer ? STATES[progress->state] : NULL,
		.digest = progress->digest,
		.name = progress->name,
		.reason = progress->reason,
		.message = progress->message,
		.code = progress->code,
		.done = progress->done,
		.total = progress->total,
		.layers = progress->layers,
	};
	if (line.message && !str_is_utf8(line.message, strlen(line.message)))
		line.message = "the message is no UTF-8";
	int r = json_encode(&LINE, &line, ret_line);
	return r < 0 ? r : buf_add_char(ret_line, '\n');
}

static int find(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (str_equal(names[i], name))
			return (int)i;
	return -EPROTO;
}

int wire_progress_decode(const char *text, size_t length, struct arena *arena, struct image_progress *ret_progress)
{
	struct line line = {0};
	if (json_decode("progress", text, length, &LINE, arena, &line, NULL) < 0 || line.version != WIRE_VERSION)
		return -EPROTO;
	int event = find(EVENTS, ARRAY_COUNT(EVENTS), line.event);
	int state = line.state ? find(STATES, ARRAY_COUNT(STATES), line.state) : 0;
	if (event < 0 || state < 0)
		return -EPROTO;
	*ret_progress = (struct image_progress){
		.event = (enum image_progress_event)event,
		.state = (enum image_layer_state)state,
		.digest = line.digest,
		.name = line.name,
		.reason = line.reason,
		.message = line.message,
		.code = line.code,
		.done = line.done,
		.total = line.total,
		.layers = line.layers,
	};
	return 0;
}

/* A record of a container, and the configuration in it. */
#include "core/base/arena.h"
#include "core/codec/proto_json.h"
#include "core/fuzz/target.h"
#include "manager/src/record.h"
#include "proto/cri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {.max = 4 << 20};
	struct container_record record = {0};
	json_t *document = NULL;
	ProtobufCMessage *config = NULL;
	if (record_parse("x.json", (const char *)data, size, &CONTAINER_RECORD, &arena, &record, &document, NULL) == 0) {
		(void)proto_json_decode("x", &cri__container_config__descriptor, record.config, &arena, &config, NULL);
		json_decref(document);
	}
	arena_done(&arena);
	return 0;
}

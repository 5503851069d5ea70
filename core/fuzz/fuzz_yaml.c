#include "core/codec/yaml.h"

#include "core/base/err.h"
#include "core/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	json_t *value = NULL;
	if (yaml_parse("fuzz.yaml", (const char *)data, size, &value, &err) == 0)
		json_decref(value);
	return 0;
}

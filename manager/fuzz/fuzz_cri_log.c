#include "core/fuzz/target.h"
#include "manager/src/cri_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cri_log_line line = {0};
	(void)cri_log_parse((const char *)data, size, &line);
	return 0;
}

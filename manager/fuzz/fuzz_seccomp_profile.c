#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/fuzz/target.h"
#include "manager/src/seccomp_profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {.max = 1 << 20};
	const struct oci_seccomp *seccomp = NULL;
	struct err err = {0};
	(void)seccomp_profile_parse("fuzz", (const char *)data, size, 0x1234, "6.1.0", &arena, &seccomp, &err);
	arena_done(&arena);
	return 0;
}

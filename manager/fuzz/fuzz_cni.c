/* What plugins answer and what network installers write: results (with their addresses), errors, versions, configurations. */
#include "core/base/arena.h"
#include "core/fuzz/target.h"
#include "manager/src/cni_list.h"
#include "manager/src/cni_result.h"

static void read_result(const char *text, size_t size, const char *version)
{
	struct arena arena = {.max = 4 << 20};
	struct cni_result result = {0};
	struct cni_result again = {0};
	json_t *document = NULL;
	const char **addresses = NULL;
	size_t count = 0;
	if (cni_result_parse("x", text, size, version, &arena, &result, &document, NULL) == 0) {
		(void)cni_result_addresses(&result, "eth0", &arena, &addresses, &count);
		if (cni_result_decode("x", document, &arena, &again, NULL) < 0)
			__builtin_trap(); /* what we keep must be readable later */
		json_decref(document);
	}
	arena_done(&arena);
}

static void read_list(const char *text, size_t size)
{
	struct arena arena = {.max = 4 << 20};
	struct cni_list list = {0};
	struct cni_list again = {0};
	if (cni_list_parse("x", text, size, &arena, &list, NULL) == 0) {
		if (cni_list_decode("x", list.document, &arena, &again, NULL) < 0)
			__builtin_trap();
		cni_list_done(&again);
		cni_list_done(&list);
	}
	arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct arena arena = {.max = 4 << 20};
	struct cni_failure failure = {0};
	read_result(text, size, "0.4.0");
	read_result(text, size, "1.0.0");
	read_list(text, size);
	(void)cni_failure_parse(text, size, &arena, &failure);
	(void)cni_versions_have(text, size, "1.1.0");
	arena_done(&arena);
	return 0;
}

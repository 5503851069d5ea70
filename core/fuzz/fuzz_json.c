/* JSON from outside: the reader, and a table with a member of every type. What decodes must encode, and decode again. */
#include <stdlib.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/codec/json.h"
#include "core/fuzz/target.h"

struct inner {
	const char *name;
	int64_t number;
};

struct outer {
	bool flag;
	int32_t i32;
	uint32_t u32;
	uint64_t u64;
	double real;
	const char *text;
	const bool *bool_opt;
	const int64_t *i64_opt;
	const uint64_t *u64_opt;
	const int32_t *i32_opt;
	const uint32_t *u32_opt;
	const char *const *strings;
	struct json_pair *pairs;
	size_t pairs_count;
	struct inner nested;
	const struct inner *nested_opt;
	const struct inner *list;
	size_t list_count;
	const struct inner *map;
	size_t map_count;
	const uint32_t *numbers;
	size_t numbers_count;
};

static const struct json_field INNER_FIELDS[] = {
	JSON_FIELD(struct inner, name, "name", JSON_STRING_T, JSON_KEEP),
	JSON_FIELD(struct inner, number, "number", JSON_I64, JSON_REQUIRED | JSON_KEEP),
};
static const struct json_table INNER = JSON_TABLE_STRICT(struct inner, INNER_FIELDS);

static const struct json_field OUTER_FIELDS[] = {
	JSON_FIELD(struct outer, flag, "flag", JSON_BOOL_T, 0),
	JSON_FIELD(struct outer, i32, "i32", JSON_I32, 0),
	JSON_FIELD(struct outer, u32, "u32", JSON_U32, 0),
	JSON_FIELD(struct outer, u64, "u64", JSON_U64, 0),
	JSON_FIELD(struct outer, real, "real", JSON_DOUBLE, 0),
	JSON_FIELD(struct outer, text, "text", JSON_STRING_T, 0),
	JSON_FIELD(struct outer, bool_opt, "boolOpt", JSON_BOOL_OPT, 0),
	JSON_FIELD(struct outer, i64_opt, "i64Opt", JSON_I64_OPT, 0),
	JSON_FIELD(struct outer, u64_opt, "u64Opt", JSON_U64_OPT, 0),
	JSON_FIELD(struct outer, i32_opt, "i32Opt", JSON_I32_OPT, 0),
	JSON_FIELD(struct outer, u32_opt, "u32Opt", JSON_U32_OPT, 0),
	JSON_FIELD(struct outer, strings, "strings", JSON_STRINGS, 0),
	JSON_COUNTED(struct outer, pairs, "pairs", JSON_PAIRS, 0),
	JSON_NESTED(struct outer, nested, "nested", JSON_STRUCT, &INNER, 0),
	JSON_NESTED(struct outer, nested_opt, "nestedOpt", JSON_STRUCT_OPT, &INNER, 0),
	JSON_NESTED_COUNTED(struct outer, list, "list", JSON_STRUCTS, &INNER, 0),
	JSON_NESTED_COUNTED(struct outer, map, "map", JSON_STRUCT_MAP, &INNER, 0),
	JSON_COUNTED(struct outer, numbers, "numbers", JSON_U32S, 0),
};
static const struct json_table OUTER = JSON_TABLE(struct outer, OUTER_FIELDS);

#define ARENA_BYTES_MAX (1U << 20)

static bool decode(const char *text, size_t size, struct arena *arena, struct outer *ret_outer)
{
	return json_decode("input", text, size, &OUTER, arena, ret_outer, NULL) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {.max = ARENA_BYTES_MAX};
	struct buf text = {.max = ARENA_BYTES_MAX};
	struct outer outer = {0};
	if (decode((const char *)data, size, &arena, &outer) && json_encode(&OUTER, &outer, &text) == 0) {
		struct outer again = {0};
		arena_done(&arena);
		arena = (struct arena){.max = ARENA_BYTES_MAX};
		if (!decode(text.data, text.size, &arena, &again))
			abort();
	}
	buf_done(&text);
	arena_done(&arena);
	return 0;
}

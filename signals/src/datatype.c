#include "signals/src/datatype.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"

static const struct {
	const char *name;
	uint8_t kind;
	uint8_t bits;
} SCALARS[] = {
	{"boolean", DATATYPE_BOOLEAN, 1},    {"float", DATATYPE_FLOAT, 32},	 {"double", DATATYPE_FLOAT, 64},
	{"string", DATATYPE_STRING, 0},	     {"uint8", DATATYPE_UNSIGNED, 8},	 {"uint16", DATATYPE_UNSIGNED, 16},
	{"uint32", DATATYPE_UNSIGNED, 32},   {"uint64", DATATYPE_UNSIGNED, 64},	 {"int8", DATATYPE_SIGNED, 8},
	{"int16", DATATYPE_SIGNED, 16},	     {"int32", DATATYPE_SIGNED, 32},	 {"int64", DATATYPE_SIGNED, 64},
};

int datatype_parse(const char *text, size_t length, struct datatype *ret_type)
{
	struct datatype type = {0};
	if (length >= 2 && memcmp(text + length - 2, "[]", 2) == 0) {
		type.array = true;
		length -= 2;
	}
	if (length == 0)
		return -EINVAL;
	type.kind = DATATYPE_STRUCT;
	for (size_t i = 0; i < ARRAY_COUNT(SCALARS); i++)
		if (strlen(SCALARS[i].name) == length && memcmp(SCALARS[i].name, text, length) == 0) {
			type.kind = SCALARS[i].kind;
			type.bits = SCALARS[i].bits;
		}
	*ret_type = type;
	return 0;
}

const char *datatype_scalar_name(const struct datatype *type)
{
	for (size_t i = 0; i < ARRAY_COUNT(SCALARS); i++)
		if (SCALARS[i].kind == type->kind && SCALARS[i].bits == type->bits)
			return SCALARS[i].name;
	return "struct";
}

int64_t datatype_signed_max(const struct datatype *type)
{
	return (int64_t)(UINT64_MAX >> (65 - type->bits));
}

int64_t datatype_signed_min(const struct datatype *type)
{
	return -datatype_signed_max(type) - 1;
}

uint64_t datatype_unsigned_max(const struct datatype *type)
{
	return UINT64_MAX >> (64 - type->bits);
}

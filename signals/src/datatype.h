/* The datatypes of VSS (covesa.github.io/vehicle_signal_specification, "Data Types"): scalars, arrays of them, structs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRUCT_DEPTH_MAX 8 /* structs within structs */

struct struct_type;

enum datatype_kind {
	DATATYPE_NONE,
	DATATYPE_BOOLEAN,
	DATATYPE_SIGNED,
	DATATYPE_UNSIGNED,
	DATATYPE_FLOAT,
	DATATYPE_STRING,
	DATATYPE_STRUCT,
};

struct datatype {
	uint8_t kind; /* enum datatype_kind */
	uint8_t bits; /* of a number: 8, 16, 32, 64 */
	bool array;
	uint32_t array_size;		     /* exactly so many elements; 0: any number */
	const struct struct_type *structure; /* of DATATYPE_STRUCT */
};

/* Parses "uint8", "string[]"; a name that is none of VSS's own gives DATATYPE_STRUCT with no structure yet.
 * @length: without a terminator. Errors: -EINVAL (empty, or "[]" alone). */
int datatype_parse(const char *text, size_t length, struct datatype *ret_type);

/* The element's type of an array; the type itself of anything else. */
static inline struct datatype datatype_element(const struct datatype *type)
{
	struct datatype element = *type;
	element.array = false;
	element.array_size = 0;
	return element;
}

/* Can values be compared with thresholds? */
static inline bool datatype_is_number(const struct datatype *type)
{
	return !type->array && (type->kind == DATATYPE_SIGNED || type->kind == DATATYPE_UNSIGNED ||
				type->kind == DATATYPE_FLOAT);
}

/* "uint8", "string"; of a struct "struct". Without "[]". */
const char *datatype_scalar_name(const struct datatype *type);

int64_t datatype_signed_min(const struct datatype *type);
int64_t datatype_signed_max(const struct datatype *type);
uint64_t datatype_unsigned_max(const struct datatype *type);

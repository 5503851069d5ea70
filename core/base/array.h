/* The number of elements of a real array; a pointer does not compile. */
#pragma once

#define ARRAY_COUNT(array)                                                                                             \
	(sizeof(array) / sizeof *(array) +                                                                             \
	 0 * sizeof(struct { _Static_assert(!__builtin_types_compatible_p(__typeof__(array), __typeof__(&(array)[0])), \
					    "not an array"); char dummy_; }))

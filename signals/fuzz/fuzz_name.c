/* What stands behind "@" and patterns of paths. A filter's own spelling must read back as itself. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/fuzz/target.h"
#include "signals/src/datatype.h"
#include "signals/src/filter.h"
#include "signals/src/pattern.h"

static const struct datatype NUMBER = {.kind = DATATYPE_FLOAT, .bits = 32};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct filter filter, again;
	char text[FILTER_TEXT_MAX], text_again[FILTER_TEXT_MAX];
	if (filter_parse((const char *)data, size, &NUMBER, &filter) == 0) {
		size_t length = filter_format(&filter, text);
		assert(filter_parse(text, length, &NUMBER, &again) == 0);
		filter_format(&again, text_again);
		assert(strcmp(text, text_again) == 0);
	}
	char *pattern = strndup((const char *)data, size);
	if (pattern && pattern_is_good(pattern)) {
		(void)pattern_matches(pattern, "Vehicle.Cabin.Door.Row1.DriverSide.IsOpen");
		assert(!pattern_is_path(pattern) || pattern_matches(pattern, pattern));
	}
	free(pattern);
	return 0;
}

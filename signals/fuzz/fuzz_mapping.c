/* Mapping files against a small bus: whatever is read must map any raw value and any target. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/fuzz/target.h"
#include "signals/adaptors/can/mapping.h"

static const char BUS[] = "BO_ 1 M: 8 E\n SG_ S : 0|16@1+ (0.01,0) [0|0] \"\" E\n SG_ G M : 16|3@1+ (1,0) [0|0] \"\" E\n"
			  " SG_ T m1 : 24|8@1- (1,0) [0|0] \"\" E\nVAL_ 1 G 0 \"P\" 7 \"SNA\" ;\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(dbc_free) struct dbc *dbc = NULL;
	scoped(mapping_free) struct mapping *mapping = NULL;
	struct err err = {0};
	char text[MAPPING_TEXT_MAX];
	int64_t raw = 0;
	if (dbc_parse("bus.dbc", BUS, sizeof BUS - 1, &dbc, NULL) < 0 ||
	    mapping_parse("fuzz.json", (const char *)data, size, dbc, &mapping, &err) < 0)
		return 0;
	struct can_frame_data frame = {.length = 8};
	for (size_t i = 0; i < mapping->from_count; i++)
		for (raw = -1; raw < 9; raw++)
			if (mapping_selects(&mapping->from_can[i], &frame) &&
			    mapping_value(&mapping->from_can[i], raw, true, text) == 0 && !memchr(text, 0, sizeof text))
				abort();
	for (size_t i = 0; i < mapping->to_count; i++)
		(void)mapping_raw(&mapping->to_can[i], i % 2 ? "P" : "3.5", &raw);
	return 0;
}

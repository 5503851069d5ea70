/* Which CAN signal stands for which vehicle signal: the keys dbc2vss (or dbc) and vss2dbc in a VSS JSON file, as
 * KUKSA's CAN provider reads them (docs/formats/signal-can-mapping.md). Pure.
 *
 * Our own additions, all optional: dbc2vss.unavailable (raw values that say so), dbc2vss.timeout_ms. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "signals/adaptors/can/dbc.h"

struct err;
struct expression;

#define MAPPING_BYTES_MAX (64u << 20)
#define MAPPING_PATH_MAX 1024
#define MAPPING_TEXT_MAX 256 /* of one value */

/* One from-to pair: either may be a number or a text. */
struct mapping_pair {
	const char *from_text; /* NULL: a number */
	double from;
	const char *to; /* as a value's text */
	bool to_is_number;
	double to_number;
};

struct mapping_selector {
	const struct dbc_signal *signal;
	int64_t raw;
};

struct mapping_rule {
	const char *path;
	const char *datatype;
	const struct dbc_message *message;
	const struct dbc_signal *signal;
	struct expression *math; /* NULL: as it is, or by pairs */
	struct mapping_pair *pairs;
	size_t pair_count;
	struct mapping_selector *selectors; /* all must hold */
	size_t selector_count;
	int64_t *unavailable;
	size_t unavailable_count;
	int64_t interval_ms; /* 0: none */
	bool on_change;
	int64_t timeout_ms; /* -1: by the message's cycle; 0: never */
};

struct mapping {
	struct mapping_rule *from_can; /* sorted by message */
	size_t from_count;
	struct mapping_rule *to_can;
	size_t to_count;
	struct arena *arena;
};

/* Reads the JSON file's text against @dbc, which must outlive the mapping. Errors: -EINVAL (@err: the path, the key,
 * what was expected), -E2BIG, -ENOMEM. */
int mapping_parse(const char *source, const char *text, size_t length, const struct dbc *dbc, struct mapping **ret_mapping,
		  struct err *err);
void mapping_free(struct mapping *mapping);
SCOPED_DEFINE(struct mapping, mapping_free)

/* The value's text for a raw value. Returns 0; 1: it is unavailable (@j1939: dbc_is_unavailable()); 2: to be passed
 * over (no pair for it, no result). */
int mapping_value(const struct mapping_rule *rule, int64_t raw, bool j1939, char ret_text[static MAPPING_TEXT_MAX]);

/* Do the rule's selectors hold in @frame? */
bool mapping_selects(const struct mapping_rule *rule, const struct can_frame_data *frame);

/* The raw value for a target's text. Errors: -EINVAL (not a number, no pair), -ERANGE. */
int mapping_raw(const struct mapping_rule *rule, const char *text, int64_t *ret_raw);

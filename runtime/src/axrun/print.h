/* Documents on standard output. */
#pragma once

#include <jansson.h>

struct err;
struct json_table;

/* Indented, with a newline at the end. Errors: of write(2), -ENOMEM. */
int print_json_value(const json_t *value, struct err *err);
int print_json(const struct json_table *table, const void *value, struct err *err);

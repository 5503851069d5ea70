/* Amounts as Kubernetes writes them: "10M", "1.5Gi", "1e6", "500m" (apimachinery, resource.Quantity). */
#pragma once

#include <stdint.h>

/* The value in whole units; fractions are rounded up. Errors: -EINVAL (no quantity, or a negative one), -ERANGE. */
int quantity_parse(const char *text, uint64_t *ret_value);

/* Points in time as text. */
#pragma once

#include <stdint.h>

#define TIMESTAMP_MAX 64

/* RFC 3339 in UTC with nanoseconds: "2026-01-31T08:09:10.000000001Z". @seconds: since 1970. */
void timestamp_format(int64_t seconds, long nanoseconds, char ret_text[static TIMESTAMP_MAX]);
void timestamp_now(char ret_text[static TIMESTAMP_MAX]);

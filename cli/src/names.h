/* Names for containers that were given none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* "quiet_gearbox": an adjective and a noun by chance, in the caller's buffer. */
void name_make(char ret_name[64]);

/* At most 256 bytes by chance. */
void chance_fill(void *bytes, size_t size);

/* A name that a person gave: letters, digits, and behind the first character also '_', '.', '-'; at most 128. */
bool name_is_valid(const char *name);

/* The dictionary that both sides of SPDY/3 give to zlib (draft-mbelshe-httpbis-spdy-00, 2.6.10.1). */
#pragma once

#include <stdint.h>

#define SPDY_DICTIONARY_SIZE 1423
#define SPDY_DICTIONARY_ID 0xe3c6a7c2 /* its Adler-32 sum */

extern const uint8_t SPDY_DICTIONARY[SPDY_DICTIONARY_SIZE];

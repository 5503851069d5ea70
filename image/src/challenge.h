/* WWW-Authenticate as registries send it (RFC 9110, 11.6.1; distribution's token specification). Sans-I/O. */
#pragma once

#include <stdbool.h>

struct challenge {
	bool basic;  /* "Basic" is offered */
	bool bearer; /* "Bearer" is offered; the rest belongs to it */
	char realm[1024];
	char service[256];
	char scope[512];
};

/* Reads one header value, which may hold several challenges; unknown schemes and parameters are skipped. What is too long
 * for its member, or not well formed, makes the header as if it were not there. Returns whether Basic or Bearer is offered. */
bool challenge_parse(const char *value, struct challenge *ret_challenge);

#pragma once

#include "core/net/http.h"
#include "image/src/registry.h"

#define REGISTRY_ATTEMPTS 6
#define REGISTRY_URL_MAX 4096

struct registry {
	struct http_client *client;
	struct image_reference reference;
	struct image_credentials credentials;
	char base[1300];     /* "https://host:port/v2" */
	char name[300];	     /* for messages: "host:port" */
	char query[320];     /* behind each address: "?ns=docker.io" tells a mirror whose images it is asked for; or "" */
	const struct http_trust *trust;
	struct http_trust token_trust; /* the same for its token server, which may be somebody else: without our certificate */
	const char *const *headers;
	unsigned attempts;
	char *authorization; /* what the registry wants to see; NULL: nothing yet */
	bool secure;
	struct registry_download *waiting;
};

/* Reads the challenges of a 401 and gets what they ask for. Errors: registry.unauthorized, registry.unreachable. */
int registry_authorize(struct registry *registry, const struct http_response *response, struct err *err);

/* What a response that is no success means for a person; @what names the thing asked for. */
int registry_refusal(const struct registry *registry, const struct http_response *response, const char *what,
		     struct err *err);

/* An error of the HTTP client in the words of this part (registry.unreachable, registry.protocol). */
int registry_transport_error(int r, struct err *err);

/* How long to wait before attempt number @attempt (from 1), in milliseconds. */
int64_t registry_backoff_ms(unsigned attempt, const struct http_response *response);

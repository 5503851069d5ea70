/* HTTP client on libcurl: single requests that block, and many transfers driven by one thread.
 *
 * Redirects are followed here, at most five, never from https to http, and the Authorization header goes only to the host it
 * was meant for. Proxies come from the environment, as curl reads it (http_proxy, https_proxy, no_proxy). Only http and
 * https are spoken. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/scoped.h"

struct err;

#define HTTP_HEADERS_MAX (64 * 1024) /* bytes of one response's headers */
#define HTTP_ERROR_BODY_MAX 8192     /* bytes kept of a body that is no success */
#define HTTP_URL_MAX 8192

struct http_options {
	const char *user_agent;
	const char *ca_pem; /* certificate authorities to trust, PEM text; NULL: the system's */
	bool skip_tls_verify;
	unsigned connect_timeout_s;
	unsigned stall_timeout_s; /* slower than a byte a second for this long is a failure */
};

struct http_client;

/* Errors: -ENOMEM. */
int http_client_new(const struct http_options *options, struct http_client **ret_client, struct err *err);
void http_client_free(struct http_client *client);
SCOPED_DEFINE(struct http_client, http_client_free)

/* Whom to believe at the other end of TLS, and who we are. */
struct http_trust {
	const char *ca_pem; /* authorities to trust, PEM text; NULL: the system's */
	const char *certificate_pem; /* ours, with its key; NULL: none. Not shown to another host after a redirect */
	const char *key_pem;
	bool skip_verify;
	unsigned connect_timeout_s; /* 0: the client's */
};

struct http_request {
	const char *url;
	const struct http_trust *trust;	   /* instead of the client's own; lives as long as the request. NULL: none */
	const char *const *headers;	   /* more lines "Name: value", likewise; only for the host of @url. NULL: none */
	const char *accept;	    /* header values; NULL: none */
	const char *authorization;
	const char *form;	    /* a body: POST as application/x-www-form-urlencoded */
	uint64_t range_from;	    /* 0: from the beginning */
	/* Gets the body of a 200 or 206; @status tells which. An error ends the transfer with it. May be NULL. */
	int (*data)(void *user, int status, const void *bytes, size_t size, struct err *err);
	void *user;
};

/* How a request ended. Of a failed one (before or in the middle of a response) only the error is filled. */
struct http_response {
	int status;
	struct buf headers;    /* lines "name: value\n", names in lower case, of the last response */
	struct buf error_body; /* the beginning of a body that is no success */
};

void http_response_done(struct http_response *response);

/* The value of a header (@name in lower case), the @nth of that name from 0; copied into @ret_value, cut at @size.
 * Returns whether there is one. */
bool http_response_header(const struct http_response *response, const char *name, unsigned nth, char *ret_value,
			  size_t size);

/* Does one request and blocks. Errors: -EHOSTUNREACH (http.unreachable: names host, port and cause; http.tls; http.untrusted: its
 * certificate), -EPROTO (http.protocol),
 * -ETIMEDOUT (http.stalled), -EMSGSIZE, those of data(). Any status is a success here. */
int http_fetch(struct http_client *client, const struct http_request *request, struct http_response *ret_response,
	       struct err *err);

/* A transfer beside others. @done is called from http_client_step() with the result as http_fetch() gives it; the response
 * is the callee's for the time of the call. It may start further transfers. */
typedef void http_done(void *user, int result, const struct http_response *response, const struct err *err);
int http_start(struct http_client *client, const struct http_request *request, http_done *done, struct err *err);

/* Moves all transfers; waits at most @timeout_ms for something to happen. Returns how many are under way. */
int http_client_step(struct http_client *client, int timeout_ms, struct err *err);

/* Wakes http_client_step() from another thread. */
void http_client_wake(struct http_client *client);

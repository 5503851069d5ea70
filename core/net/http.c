#include "core/net/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"

#define REDIRECTS_MAX 5

struct http_client {
	CURLM *multi;
	struct http_options options;
	char *user_agent;
	char *ca_pem;
	struct transfer *transfers;
};

/* One request with all its redirects. */
struct transfer {
	struct http_client *client;
	struct transfer *next;
	CURL *easy;
	struct curl_slist *headers;
	struct http_request request;
	char *url; /* where it is now */
	char *accept;
	char *authorization;
	char *form;
	http_done *done;
	struct http_response response;
	int data_result; /* of request.data */
	struct err data_err;
	unsigned redirects;
	bool elsewhere; /* redirected to another host */
	char curl_message[CURL_ERROR_SIZE];
};

/* ---- The client ------------------------------------------------------------------------------------------------- */

int http_client_new(const struct http_options *options, struct http_client **ret_client, struct err *err)
{
	scoped(http_client_free) struct http_client *client = calloc(1, sizeof *client);
	if (!client)
		return err_memory(err, "HTTP client");
	client->options = *options;
	if (str_set(&client->user_agent, options->user_agent) < 0 || str_set(&client->ca_pem, options->ca_pem) < 0)
		return err_memory(err, "HTTP client");
	client->multi = curl_multi_init();
	if (!client->multi)
		return err_memory(err, "HTTP client");
	*ret_client = TAKE(client);
	return 0;
}

static void transfer_free(struct transfer *transfer)
{
	if (!transfer)
		return;
	if (transfer->easy) {
		(void)curl_multi_remove_handle(transfer->client->multi, transfer->easy); /* or was never added */
		curl_easy_cleanup(transfer->easy);
	}
	curl_slist_free_all(transfer->headers);
	http_response_done(&transfer->response);
	free(transfer->url);
	free(transfer->accept);
	free(transfer->authorization);
	free(transfer->form);
	free(transfer);
}
SCOPED_DEFINE(struct transfer, transfer_free)

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	while (client->transfers) {
		struct transfer *transfer = client->transfers;
		client->transfers = transfer->next;
		transfer_free(transfer);
	}
	if (client->multi)
		(void)curl_multi_cleanup(client->multi);
	free(client->user_agent);
	free(client->ca_pem);
	free(client);
}

void http_response_done(struct http_response *response)
{
	buf_done(&response->headers);
	buf_done(&response->error_body);
}

bool http_response_header(const struct http_response *response, const char *name, unsigned nth, char *ret_value,
			  size_t size)
{
	size_t name_length = strlen(name);
	for (const char *line = response->headers.data; line && *line; line = strchr(line, '\n') + 1) {
		if (strncmp(line, name, name_length) != 0 || line[name_length] != ':' || nth-- != 0)
			continue;
		const char *value = line + name_length + 1;
		value += strspn(value, " \t");
		size_t length = strcspn(value, "\n");
		length = length < size - 1 ? length : size - 1;
		memcpy(ret_value, value, length);
		ret_value[length] = '\0';
		return true;
	}
	return false;
}

/* ---- What curl calls -------------------------------------------------------------------------------------------- */

/* One header line: kept with its name in lower case; a status line begins a new response. */
static size_t on_header(char *bytes, size_t size, size_t count, void *user)
{
	struct transfer *transfer = user;
	size_t length = size * count;
	while (length && (bytes[length - 1] == '\r' || bytes[length - 1] == '\n'))
		length--;
	if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
		buf_clear(&transfer->response.headers);
		return size * count;
	}
	const char *colon = length ? memchr(bytes, ':', length) : NULL;
	if (!colon || memchr(bytes, '\n', length) || memchr(bytes, '\0', length))
		return size * count;
	struct buf *headers = &transfer->response.headers;
	size_t start = headers->size;
	if (buf_add(headers, bytes, length) < 0 || buf_add_char(headers, '\n') < 0)
		return 0; /* more headers than anybody needs */
	for (char *c = headers->data + start; *c != ':'; c++)
		*c = (char)tolower((unsigned char)*c);
	return size * count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
	struct transfer *transfer = user;
	size_t length = size * count;
	long status = 0;
	(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 && status != 206) {
		struct buf *body = &transfer->response.error_body;
		size_t room = body->max - body->size;
		(void)buf_add(body, bytes, length < room ? length : room); /* it only explains */
		return length;
	}
	if (!transfer->request.data)
		return length;
	transfer->data_result =
		transfer->request.data(transfer->request.user, (int)status, bytes, length, &transfer->data_err);
	return transfer->data_result < 0 ? 0 : length;
}

/* ---- A transfer ------------------------------------------------------------------------------------------------- */

static int add_header(struct transfer *transfer, const char *name, const char *value)
{
	if (!value)
		return 0;
	scoped_free char *line = str_printf("%s: %s", name, value);
	struct curl_slist *headers = line ? curl_slist_append(transfer->headers, line) : NULL;
	if (!headers)
		return -ENOMEM;
	transfer->headers = headers;
	return 0;
}

static void set_blob(CURL *easy, CURLoption option, const char *text)
{
	if (!text)
		return;
	struct curl_blob blob = {(void *)text, strlen(text), CURL_BLOB_NOCOPY};
	curl_easy_setopt(easy, option, &blob);
}

static void set_tls(struct transfer *transfer)
{
	const struct http_client *client = transfer->client;
	const struct http_trust own = {.ca_pem = client->ca_pem, .skip_verify = client->options.skip_tls_verify};
	const struct http_trust *trust = transfer->request.trust ? transfer->request.trust : &own;
	CURL *easy = transfer->easy;
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, trust->skip_verify ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, trust->skip_verify ? 0L : 2L);
	set_blob(easy, CURLOPT_CAINFO_BLOB, trust->ca_pem);
	if (transfer->elsewhere || !trust->certificate_pem)
		return;
	set_blob(easy, CURLOPT_SSLCERT_BLOB, trust->certificate_pem);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, trust->key_pem ? trust->key_pem : trust->certificate_pem);
}

/* Those of the caller, where they are meant for. */
static int add_more_headers(struct transfer *transfer)
{
	for (const char *const *line = transfer->request.headers; line && *line && !transfer->elsewhere; line++) {
		struct curl_slist *headers = curl_slist_append(transfer->headers, *line);
		if (!headers)
			return -ENOMEM;
		transfer->headers = headers;
	}
	return 0;
}

static long connect_timeout(const struct transfer *transfer)
{
	const struct http_trust *trust = transfer->request.trust;
	return (long)(trust && trust->connect_timeout_s ? trust->connect_timeout_s
							 : transfer->client->options.connect_timeout_s);
}

/* Sets up curl for the place where the transfer is now. Options of fixed types cannot fail but for memory. */
static int prepare(struct transfer *transfer)
{
	CURL *easy = transfer->easy;
	curl_easy_reset(easy);
	curl_slist_free_all(transfer->headers);
	transfer->headers = NULL;
	buf_clear(&transfer->response.error_body);
	if (add_header(transfer, "Accept", transfer->accept) < 0 ||
	    add_header(transfer, "Authorization", transfer->authorization) < 0 || add_more_headers(transfer) < 0)
		return -ENOMEM;
	const struct http_options *options = &transfer->client->options;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_message);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, connect_timeout(transfer));
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)options->stall_timeout_s);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	set_tls(transfer);
	if (transfer->form)
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->form);
	if (transfer->request.range_from)
		curl_easy_setopt(easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)transfer->request.range_from);
	bool ok = curl_easy_setopt(easy, CURLOPT_URL, transfer->url) == CURLE_OK;
	if (transfer->client->user_agent)
		ok = ok && curl_easy_setopt(easy, CURLOPT_USERAGENT, transfer->client->user_agent) == CURLE_OK;
	return ok ? 0 : -ENOMEM;
}

static int transfer_new(struct http_client *client, const struct http_request *request, struct transfer **ret_transfer,
			struct err *err)
{
	scoped(transfer_free) struct transfer *transfer = calloc(1, sizeof *transfer);
	if (!transfer)
		return err_memory(err, "HTTP request");
	transfer->client = client;
	transfer->request = *request;
	transfer->response.headers.max = HTTP_HEADERS_MAX;
	transfer->response.error_body.max = HTTP_ERROR_BODY_MAX;
	transfer->easy = curl_easy_init();
	if (!transfer->easy || str_set(&transfer->url, request->url) < 0 ||
	    str_set(&transfer->accept, request->accept) < 0 ||
	    str_set(&transfer->authorization, request->authorization) < 0 ||
	    str_set(&transfer->form, request->form) < 0 || prepare(transfer) < 0)
		return err_memory(err, "HTTP request");
	*ret_transfer = TAKE(transfer);
	return 0;
}

/* ---- Redirects -------------------------------------------------------------------------------------------------- */

struct place {
	char *scheme;
	char *host;
	char *port;
};

static void place_done(struct place *place)
{
	curl_free(place->scheme);
	curl_free(place->host);
	curl_free(place->port);
}

static int place_of(CURLU *url, struct place *ret_place)
{
	bool ok = curl_url_get(url, CURLUPART_SCHEME, &ret_place->scheme, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_HOST, &ret_place->host, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_PORT, &ret_place->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	return ok ? 0 : -EPROTO;
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static int bad_redirect(const struct transfer *transfer, const char *what, struct err *err)
{
	return err_set(err, -EPROTO, "http.protocol", "%.200s: redirected %s", transfer->url, what);
}

/* Moves the transfer to where the response points. */
static int redirect_to(struct transfer *transfer, CURLU *url, const char *location, struct err *err)
{
	scoped_done(place_done) struct place from = {0};
	scoped_done(place_done) struct place to = {0};
	if (curl_url_set(url, CURLUPART_URL, transfer->url, 0) != CURLUE_OK || place_of(url, &from) < 0 ||
	    curl_url_set(url, CURLUPART_URL, location, 0) != CURLUE_OK || place_of(url, &to) < 0)
		return bad_redirect(transfer, "to an address that is none", err);
	if (!str_equal(to.scheme, "https") && !(str_equal(to.scheme, "http") && str_equal(from.scheme, "http")))
		return bad_redirect(transfer, "away from HTTPS", err);
	bool same = str_equal(from.scheme, to.scheme) && strcasecmp(from.host, to.host) == 0 &&
		    str_equal(from.port, to.port);
	if (!same) { /* what opens one host is not shown to another */
		free(transfer->authorization);
		transfer->authorization = NULL;
		transfer->elsewhere = true;
	}
	char *whole = NULL;
	if (curl_url_get(url, CURLUPART_URL, &whole, 0) != CURLUE_OK)
		return bad_redirect(transfer, "to an address that is none", err);
	int r = str_set(&transfer->url, whole);
	curl_free(whole);
	return r < 0 ? err_memory(err, "HTTP request") : 0;
}

/* Returns 1 where the transfer goes on elsewhere. */
static int follow(struct transfer *transfer, struct err *err)
{
	char location[HTTP_URL_MAX];
	if (!is_redirect(transfer->response.status) ||
	    !http_response_header(&transfer->response, "location", 0, location, sizeof location))
		return 0;
	if (++transfer->redirects > REDIRECTS_MAX)
		return bad_redirect(transfer, "too often", err);
	CURLU *url = curl_url();
	int r = url ? redirect_to(transfer, url, location, err) : -ENOMEM;
	curl_url_cleanup(url);
	if (r == 0)
		r = prepare(transfer);
	return r < 0 ? r : 1;
}

/* ---- Results ---------------------------------------------------------------------------------------------------- */

static const struct {
	CURLcode curl;
	int code;
	const char *reason;
} FAILURES[] = {
	{CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH, "http.unreachable"},
	{CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH, "http.unreachable"},
	{CURLE_COULDNT_CONNECT, -EHOSTUNREACH, "http.unreachable"},
	{CURLE_SSL_CONNECT_ERROR, -EHOSTUNREACH, "http.tls"},
	{CURLE_PEER_FAILED_VERIFICATION, -EHOSTUNREACH, "http.untrusted"},
	{CURLE_SSL_CACERT_BADFILE, -EHOSTUNREACH, "http.tls"},
	{CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT, "http.stalled"},
	{CURLE_OUT_OF_MEMORY, -ENOMEM, "memory.exhausted"},
};

/* "host:port" of a URL, for messages. */
static void name_of_place(const char *text, char *ret_name, size_t size)
{
	CURLU *url = curl_url();
	scoped_done(place_done) struct place place = {0};
	if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK && place_of(url, &place) == 0)
		(void)snprintf(ret_name, size, "%s:%s", place.host, place.port);
	else
		(void)snprintf(ret_name, size, "%s", text);
	curl_url_cleanup(url);
}

/* Why it failed: the system's words for a connection that was refused, else curl's own, without a line's end. */
static const char *curl_words(struct transfer *transfer, CURLcode code)
{
	long os_error = 0;
	bool connecting = code == CURLE_COULDNT_CONNECT;
	if (connecting && curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_error) == CURLE_OK && os_error > 0) {
		(void)snprintf(transfer->curl_message, sizeof transfer->curl_message, "cannot connect: %s",
			       strerrordesc_np((int)os_error));
		return transfer->curl_message;
	}
	transfer->curl_message[strcspn(transfer->curl_message, "\r\n")] = '\0';
	return transfer->curl_message[0] ? transfer->curl_message : curl_easy_strerror(code);
}

static int failure(struct transfer *transfer, CURLcode code, struct err *err)
{
	if (transfer->data_result < 0) {
		if (err)
			*err = transfer->data_err;
		return transfer->data_result;
	}
	char place[300];
	name_of_place(transfer->url, place, sizeof place);
	for (size_t i = 0; i < ARRAY_COUNT(FAILURES); i++)
		if (FAILURES[i].curl == code)
			return err_set(err, FAILURES[i].code, FAILURES[i].reason, "%s: %s", place,
				       curl_words(transfer, code));
	return err_set(err, -EPROTO, "http.protocol", "%s: %s", place, curl_words(transfer, code));
}

/* Reads how curl ended one step. Returns 1 where the transfer goes on elsewhere. */
static int conclude(struct transfer *transfer, CURLcode code, struct err *err)
{
	if (code != CURLE_OK)
		return failure(transfer, code, err);
	long status = 0;
	(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	transfer->response.status = (int)status;
	return follow(transfer, err);
}

int http_fetch(struct http_client *client, const struct http_request *request, struct http_response *ret_response,
	       struct err *err)
{
	scoped(transfer_free) struct transfer *transfer = NULL;
	int r = transfer_new(client, request, &transfer, err);
	if (r < 0)
		return r;
	do
		r = conclude(transfer, curl_easy_perform(transfer->easy), err);
	while (r == 1);
	if (r < 0)
		return r;
	*ret_response = transfer->response;
	transfer->response = (struct http_response){0};
	return 0;
}

int http_start(struct http_client *client, const struct http_request *request, http_done *done, struct err *err)
{
	struct transfer *transfer = NULL;
	int r = transfer_new(client, request, &transfer, err);
	if (r < 0)
		return r;
	transfer->done = done;
	if (curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK) {
		transfer_free(transfer);
		return err_memory(err, "HTTP request");
	}
	transfer->next = client->transfers;
	client->transfers = transfer;
	return 0;
}

static void unlink_transfer(struct http_client *client, struct transfer *transfer)
{
	struct transfer **at = &client->transfers;
	while (*at != transfer)
		at = &(*at)->next;
	*at = transfer->next;
}

static void finish(struct http_client *client, CURL *easy, CURLcode code)
{
	struct transfer *transfer = NULL;
	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
	(void)curl_multi_remove_handle(client->multi, easy);
	struct err err = {0};
	int r = conclude(transfer, code, &err);
	if (r == 1 && curl_multi_add_handle(client->multi, easy) == CURLM_OK)
		return;
	unlink_transfer(client, transfer);
	transfer->done(transfer->request.user, r == 1 ? -ENOMEM : r, &transfer->response, &err);
	transfer_free(transfer);
}

int http_client_step(struct http_client *client, int timeout_ms, struct err *err)
{
	int running = 0;
	CURLMcode code = curl_multi_perform(client->multi, &running);
	int waiting = 0;
	CURLMsg *message;
	bool finished = false;
	while ((message = curl_multi_info_read(client->multi, &waiting))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		finish(client, message->easy_handle, message->data.result);
		finished = true;
	}
	if (code == CURLM_OK && !finished)
		code = curl_multi_poll(client->multi, NULL, 0, timeout_ms, NULL);
	if (code != CURLM_OK)
		return err_set(err, -EPROTO, "http.protocol", "curl: %s", curl_multi_strerror(code));
	int count = 0;
	for (const struct transfer *transfer = client->transfers; transfer; transfer = transfer->next)
		count++;
	return count;
}

void http_client_wake(struct http_client *client)
{
	(void)curl_multi_wakeup(client->multi); /* fails only when there is no client any more */
}

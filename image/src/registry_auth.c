/* Authorization: basic, and bearer tokens of a token server (distribution, "Token Authentication Specification"). */
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "image/src/challenge.h"
#include "image/src/registry_internal.h"

#define TOKEN_ANSWER_MAX (256 * 1024)

struct token_answer {
	const char *token;
	const char *access_token;
};

static const struct json_field TOKEN_FIELDS[] = {
	JSON_FIELD(struct token_answer, token, "token", JSON_STRING_T, 0),
	JSON_FIELD(struct token_answer, access_token, "access_token", JSON_STRING_T, 0),
};
static const struct json_table TOKEN = JSON_TABLE(struct token_answer, TOKEN_FIELDS);

static int unauthorized(const struct registry *registry, struct err *err, const char *what)
{
	return err_set(err, -EACCES, "registry.unauthorized", "registry %s, repository %s: %s",
		       registry->reference.registry, registry->reference.repository, what);
}

static void wipe(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

/* "Basic base64(user:password)"; NULL when out of memory. */
static char *basic_value(const struct image_credentials *credentials)
{
	scoped_done(wipe) char *plain =
		str_printf("%s:%s", credentials->username, credentials->password ? credentials->password : "");
	size_t length = plain ? strlen(plain) : 0;
	scoped_done(wipe) char *encoded = plain ? malloc(4 * (length / 3 + 1) + 1) : NULL;
	if (!encoded)
		return NULL;
	(void)EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain, (int)length);
	return str_printf("Basic %s", encoded);
}

/* Appends "@separator name=value", percent-encoded (RFC 3986, 2.1). */
static int add_parameter(struct buf *text, char separator, const char *name, const char *value)
{
	if (str_empty(value))
		return 0;
	int r = separator ? buf_add_char(text, separator) : 0;
	if (r == 0)
		r = buf_printf(text, "%s=", name);
	for (const char *c = value; r == 0 && *c; c++) {
		bool plain = isalnum((unsigned char)*c) || strchr("-._~", *c);
		r = plain ? buf_add_char(text, *c) : buf_printf(text, "%%%02X", (unsigned char)*c);
	}
	return r;
}

/* Names what is asked for: the challenge's scope, or pulling from the repository. */
static int scope_of(const struct registry *registry, const struct challenge *challenge, struct buf *text)
{
	return challenge->scope[0] ? buf_add_text(text, challenge->scope)
				   : buf_printf(text, "repository:%s:pull", registry->reference.repository);
}

static int on_answer(void *user, int status, const void *bytes, size_t size, struct err *err)
{
	(void)status;
	int r = buf_add(user, bytes, size);
	return r < 0 ? err_set(err, -EPROTO, "registry.protocol", "the token server's answer is too long") : 0;
}

/* GET with the parameters in the URL, or the OAuth2 form for an identity token. */
static int make_token_request(const struct registry *registry, const struct challenge *challenge, struct buf *url,
			      struct buf *form)
{
	scoped_done(buf_done) struct buf scope = {.max = 1024};
	int r = scope_of(registry, challenge, &scope);
	if (r == 0)
		r = buf_add_text(url, challenge->realm);
	bool oauth = registry->credentials.identity_token;
	struct buf *to = oauth ? form : url;
	char first = oauth ? '\0' : strchr(challenge->realm, '?') ? '&' : '?';
	if (r == 0)
		r = add_parameter(to, first, "scope", scope.data);
	if (r == 0)
		r = add_parameter(to, '&', "service", challenge->service);
	if (!oauth)
		return r;
	if (r == 0)
		r = buf_add_text(form, "&grant_type=refresh_token&client_id=axle");
	if (r == 0)
		r = add_parameter(form, '&', "refresh_token", registry->credentials.identity_token);
	return r;
}

static int take_token(struct registry *registry, const struct buf *answer, struct err *err)
{
	struct token_answer token = {0};
	scoped_done(arena_done) struct arena arena = {.max = 1024 * 1024};
	struct err ignored;
	if (json_decode("token", answer->data ? answer->data : "", answer->size, &TOKEN, &arena, &token, &ignored) < 0)
		return err_set(err, -EPROTO, "registry.protocol", "the token server's answer is no token: %.200s",
			       ignored.message);
	const char *value = str_empty(token.token) ? token.access_token : token.token;
	if (str_empty(value) || strpbrk(value, "\r\n"))
		return err_set(err, -EPROTO, "registry.protocol", "the token server's answer has no token");
	wipe(&registry->authorization);
	registry->authorization = str_printf("Bearer %s", value);
	return registry->authorization ? 0 : err_memory(err, "registry");
}

static int get_token(struct registry *registry, const struct challenge *challenge, struct err *err)
{
	bool secrets = registry->credentials.username || registry->credentials.identity_token;
	if (registry->secure && secrets && !str_after_prefix(challenge->realm, "https://"))
		return unauthorized(registry, err, "its token server does not speak HTTPS: no credentials are sent there");
	scoped_done(buf_done) struct buf url = {.max = HTTP_URL_MAX};
	scoped_done(buf_done) struct buf form = {.max = HTTP_URL_MAX};
	if (make_token_request(registry, challenge, &url, &form) < 0)
		return err_memory(err, "registry");
	scoped_done(wipe) char *basic = registry->credentials.username && !registry->credentials.identity_token
						? basic_value(&registry->credentials)
						: NULL;
	scoped_done(buf_done) struct buf answer = {.max = TOKEN_ANSWER_MAX};
	scoped_done(http_response_done) struct http_response response = {0};
	struct http_request request = {.url = url.data,
				       .trust = registry->trust ? &registry->token_trust : NULL,
				       .accept = "application/json",
				       .authorization = basic,
				       .form = form.size ? form.data : NULL,
				       .data = on_answer,
				       .user = &answer};
	int r = http_fetch(registry->client, &request, &response, err);
	if (r < 0)
		return err_add(err, registry_transport_error(r, err), "token server");
	if (response.status == 401 || response.status == 403)
		return unauthorized(registry, err, secrets ? "its token server refuses the credentials"
							   : "its token server wants credentials");
	if (response.status != 200)
		return err_set(err, -EPROTO, "registry.protocol", "token server %.200s answers with status %d",
			       challenge->realm, response.status);
	return take_token(registry, &answer, err);
}

int registry_authorize(struct registry *registry, const struct http_response *response, struct err *err)
{
	struct challenge challenge = {0};
	char value[4096];
	for (unsigned i = 0; http_response_header(response, "www-authenticate", i, value, sizeof value); i++) {
		struct challenge offered;
		if (challenge_parse(value, &offered) && (offered.bearer || !challenge.bearer))
			challenge = offered;
	}
	if (registry->credentials.registry_token) {
		if (registry->authorization) /* it was shown and refused */
			return unauthorized(registry, err, "the registry refuses the token");
		registry->authorization = str_printf("Bearer %s", registry->credentials.registry_token);
		return registry->authorization ? 0 : err_memory(err, "registry");
	}
	if (challenge.bearer)
		return get_token(registry, &challenge, err);
	if (!challenge.basic)
		return unauthorized(registry, err, "the registry refuses access and offers no way in that is understood");
	if (!registry->credentials.username)
		return unauthorized(registry, err, "the registry wants a user and password");
	if (registry->authorization)
		return unauthorized(registry, err, "the registry refuses the user and password");
	registry->authorization = basic_value(&registry->credentials);
	return registry->authorization ? 0 : err_memory(err, "registry");
}

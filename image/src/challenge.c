#include "image/src/challenge.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "core/base/array.h"

#define TEXT_MAX 1024

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t,");
}

/* RFC 9110, 5.6.2: token */
static size_t token_length(const char *text)
{
	size_t n = 0;
	while (isalnum((unsigned char)text[n]) || (text[n] && strchr("!#$%&'*+-.^_`|~", text[n])))
		n++;
	return n;
}

/* A token or a quoted string at *at, which moves behind it. */
static bool take_value(const char **at, char ret_value[static TEXT_MAX])
{
	size_t length = 0;
	const char *c = *at;
	if (*c != '"') {
		length = token_length(c);
		if (length >= TEXT_MAX)
			return false;
		memcpy(ret_value, c, length);
		ret_value[length] = '\0';
		*at = c + length;
		return true;
	}
	for (c++; *c && *c != '"'; c++) {
		c += *c == '\\' && c[1];
		if (length + 1 >= TEXT_MAX)
			return false;
		ret_value[length++] = *c;
	}
	ret_value[length] = '\0';
	*at = c + (*c == '"');
	return *c == '"';
}

static const struct {
	const char *name;
	size_t offset;
	size_t size;
} PARAMETERS[] = {
	{"realm", offsetof(struct challenge, realm), sizeof((struct challenge *)0)->realm},
	{"service", offsetof(struct challenge, service), sizeof((struct challenge *)0)->service},
	{"scope", offsetof(struct challenge, scope), sizeof((struct challenge *)0)->scope},
};

static bool store_parameter(struct challenge *challenge, const char *name, size_t length, const char *value)
{
	for (size_t i = 0; i < ARRAY_COUNT(PARAMETERS); i++) {
		if (strlen(PARAMETERS[i].name) != length || strncasecmp(PARAMETERS[i].name, name, length) != 0)
			continue;
		if (strlen(value) >= PARAMETERS[i].size)
			return false;
		memcpy((char *)challenge + PARAMETERS[i].offset, value, strlen(value) + 1);
	}
	return true;
}

bool challenge_parse(const char *value, struct challenge *ret_challenge)
{
	struct challenge challenge = {0};
	bool in_bearer = false;
	const char *at = skip_blanks(value);
	while (*at) {
		size_t length = token_length(at);
		if (length == 0)
			return false;
		const char *name = at;
		at += length;
		const char *equal = at + strspn(at, " \t");
		if (*equal != '=') { /* a scheme, not a parameter */
			in_bearer = length == 6 && strncasecmp(name, "bearer", 6) == 0;
			challenge.bearer = challenge.bearer || in_bearer;
			challenge.basic = challenge.basic || (length == 5 && strncasecmp(name, "basic", 5) == 0);
			at = skip_blanks(at);
			continue;
		}
		char text[TEXT_MAX];
		at = equal + 1 + strspn(equal + 1, " \t");
		if (!take_value(&at, text) || (in_bearer && !store_parameter(&challenge, name, length, text)))
			return false;
		at = skip_blanks(at);
	}
	if (!challenge.basic && !challenge.bearer)
		return false;
	*ret_challenge = challenge;
	return true;
}

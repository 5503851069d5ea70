/* References as docker reads them (distribution/reference, docs of `docker pull`): a sans-I/O parser. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/digest.h"
#include "image/include/axle/image.h"

#define SHOWN 200 /* bytes of a bad reference that a message shows */

static int malformed(struct err *err, const char *text, const char *what)
{
	return err_set(err, -EINVAL, "reference.malformed", "image reference \"%.*s\": %s", SHOWN, text, what);
}

/* The first component is a registry where it cannot be a repository's: docker's rule. */
static bool is_registry(const char *text, size_t length)
{
	return memchr(text, '.', length) || memchr(text, ':', length) || text[0] == '[' ||
	       (length == strlen("localhost") && memcmp(text, "localhost", length) == 0);
}

static bool is_port(const char *text, size_t length)
{
	if (length == 0 || length > 5)
		return false;
	unsigned value = 0;
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	return value >= 1 && value <= 65535;
}

/* host[:port], or [address][:port]. */
static bool registry_is_valid(const char *text, size_t length)
{
	size_t host = 0;
	if (text[0] == '[') {
		const char *close = memchr(text, ']', length);
		if (!close || close == text + 1)
			return false;
		host = (size_t)(close - text) + 1;
		for (size_t i = 1; i + 1 < host; i++)
			if (!isxdigit((unsigned char)text[i]) && text[i] != ':' && text[i] != '.')
				return false;
	} else {
		while (host < length && (isalnum((unsigned char)text[host]) || text[host] == '-' || text[host] == '.'))
			host++;
		if (host == 0 || !isalnum((unsigned char)text[0]) || !isalnum((unsigned char)text[host - 1]))
			return false;
	}
	return host == length || (text[host] == ':' && is_port(text + host + 1, length - host - 1));
}

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The separators between runs of letters and digits: one '.', one or two '_', any number of '-'. */
static size_t separator_length(const char *text, size_t length)
{
	size_t n = 0;
	while (n < length && text[n] == text[0])
		n++;
	if (text[0] == '-')
		return n;
	if (text[0] == '_')
		return n <= 2 ? n : 0;
	return text[0] == '.' && n == 1 ? 1 : 0;
}

/* path-component := alnum+ (separator alnum+)* */
static bool component_is_valid(const char *text, size_t length)
{
	size_t i = 0;
	while (i < length && is_lower_alnum(text[i])) {
		while (i < length && is_lower_alnum(text[i]))
			i++;
		if (i == length)
			return true;
		size_t separator = separator_length(text + i, length - i);
		if (separator == 0)
			return false;
		i += separator;
	}
	return false;
}

static const char *repository_fault(const char *repository)
{
	for (const char *c = repository; *c; c++)
		if (isupper((unsigned char)*c))
			return "the repository must be lower case";
	for (const char *at = repository;; at++) {
		size_t length = strcspn(at, "/");
		if (!component_is_valid(at, length))
			return "the repository's parts must be letters and digits, with '.', '_', '__' or '-' between";
		at += length;
		if (!*at)
			return NULL;
	}
}

static bool tag_is_valid(const char *tag)
{
	if (!isalnum((unsigned char)tag[0]) && tag[0] != '_')
		return false;
	for (const char *c = tag; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.' && *c != '-')
			return false;
	return true;
}

/* Copies @length bytes into a member of @size bytes. Returns false where they do not fit. */
static bool take(char *member, size_t size, const char *text, size_t length)
{
	if (length >= size)
		return false;
	memcpy(member, text, length);
	member[length] = '\0';
	return true;
}

static int take_name(const char *whole, const char *name, size_t length, struct image_reference *reference,
		     struct err *err)
{
	const char *slash = memchr(name, '/', length);
	size_t first = slash ? (size_t)(slash - name) : length;
	bool registry = slash && is_registry(name, first);
	if (registry && !registry_is_valid(name, first))
		return malformed(err, whole, "the registry must be HOST or HOST:PORT");
	const char *host = registry ? name : "docker.io";
	size_t host_length = registry ? first : strlen(host);
	if (registry && first == strlen("index.docker.io") && memcmp(name, "index.docker.io", first) == 0) {
		host = "docker.io";
		host_length = strlen(host);
	}
	const char *path = registry ? slash + 1 : name;
	size_t path_length = length - (size_t)(path - name);
	bool official = host_length == 9 && memcmp(host, "docker.io", 9) == 0 && !memchr(path, '/', path_length);
	char *end = reference->repository;
	size_t room = sizeof reference->repository;
	if (official) {
		memcpy(end, "library/", 8);
		end += 8;
		room -= 8;
	}
	if (!take(reference->registry, sizeof reference->registry, host, host_length) ||
	    !take(end, room, path, path_length))
		return malformed(err, whole, "the name is longer than 255 bytes");
	const char *fault = repository_fault(reference->repository);
	return fault ? malformed(err, whole, fault) : 0;
}

int image_reference_parse(const char *text, struct image_reference *ret_reference, struct err *err)
{
	struct image_reference reference = {0};
	if (str_empty(text))
		return malformed(err, text ? text : "", "it is empty");
	const char *at = strchr(text, '@');
	size_t length = at ? (size_t)(at - text) : strlen(text);
	if (at) {
		struct digest digest;
		if (digest_parse_text(at + 1, &digest, NULL) < 0)
			return malformed(err, text, "the digest must be sha256: or sha512: and lower-case hex digits");
		digest_format(&digest, reference.digest);
	}
	/* A colon behind the last slash begins the tag; one before belongs to the registry's port. */
	size_t name = length;
	while (name && text[name - 1] != '/' && text[name - 1] != ':')
		name--;
	if (name && text[name - 1] == ':') {
		if (!take(reference.tag, sizeof reference.tag, text + name, length - name) || !tag_is_valid(reference.tag))
			return malformed(err, text, "the tag must be at most 128 of letters, digits, '_', '.', '-'");
		name--;
	} else {
		name = length;
	}
	int r = take_name(text, text, name, &reference, err);
	if (r < 0)
		return r;
	if (!reference.tag[0] && !reference.digest[0])
		memcpy(reference.tag, "latest", sizeof "latest");
	*ret_reference = reference;
	return 0;
}

void image_reference_format(const struct image_reference *reference, char ret_text[static IMAGE_REFERENCE_MAX])
{
	bool tag = reference->tag[0];
	bool digest = reference->digest[0];
	(void)snprintf(ret_text, IMAGE_REFERENCE_MAX, "%s/%s%s%s%s%s", reference->registry, reference->repository,
		       tag ? ":" : "", reference->tag, digest ? "@" : "", reference->digest); /* the parts' sizes fit */
}

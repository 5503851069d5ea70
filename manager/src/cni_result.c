#include "manager/src/cni_result.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/codec/json.h"

static const struct json_field INTERFACE_FIELDS[] = {
	JSON_FIELD(struct cni_interface, name, "name", JSON_STRING_T, 0),
	JSON_FIELD(struct cni_interface, mac, "mac", JSON_STRING_T, 0),
	JSON_FIELD(struct cni_interface, sandbox, "sandbox", JSON_STRING_T, 0),
};
static const struct json_table INTERFACE = JSON_TABLE(struct cni_interface, INTERFACE_FIELDS);

static const struct json_field ADDRESS_FIELDS[] = {
	JSON_FIELD(struct cni_address, address, "address", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct cni_address, gateway, "gateway", JSON_STRING_T, 0),
	JSON_FIELD(struct cni_address, interface, "interface", JSON_I64_OPT, 0),
};
static const struct json_table ADDRESS = JSON_TABLE(struct cni_address, ADDRESS_FIELDS);

static const struct json_field DNS_FIELDS[] = {
	JSON_FIELD(struct cni_dns, nameservers, "nameservers", JSON_STRINGS, 0),
	JSON_FIELD(struct cni_dns, domain, "domain", JSON_STRING_T, 0),
	JSON_FIELD(struct cni_dns, search, "search", JSON_STRINGS, 0),
	JSON_FIELD(struct cni_dns, options, "options", JSON_STRINGS, 0),
};
static const struct json_table DNS = JSON_TABLE(struct cni_dns, DNS_FIELDS);

static const struct json_field RESULT_FIELDS[] = {
	JSON_FIELD(struct cni_result, version, "cniVersion", JSON_STRING_T, 0),
	JSON_NESTED_COUNTED(struct cni_result, interfaces, "interfaces", JSON_STRUCTS, &INTERFACE, 0),
	JSON_NESTED_COUNTED(struct cni_result, ips, "ips", JSON_STRUCTS, &ADDRESS, 0),
	JSON_NESTED(struct cni_result, dns, "dns", JSON_STRUCT, &DNS, 0),
};
static const struct json_table RESULT = JSON_TABLE(struct cni_result, RESULT_FIELDS);

static const struct json_field FAILURE_FIELDS[] = {
	JSON_FIELD(struct cni_failure, code, "code", JSON_I64, JSON_REQUIRED),
	JSON_FIELD(struct cni_failure, message, "msg", JSON_STRING_T, 0),
	JSON_FIELD(struct cni_failure, details, "details", JSON_STRING_T, 0),
};
static const struct json_table FAILURE = JSON_TABLE(struct cni_failure, FAILURE_FIELDS);

struct versions {
	const char *const *supported;
};

static const struct json_field VERSIONS_FIELDS[] = {
	JSON_FIELD(struct versions, supported, "supportedVersions", JSON_STRINGS, JSON_REQUIRED),
};
static const struct json_table VERSIONS = JSON_TABLE(struct versions, VERSIONS_FIELDS);

/* "10.1.0.2/24" as text and family. */
static int split_address(const char *address, char ret_text[INET6_ADDRSTRLEN], int *ret_family)
{
	const char *slash = strchr(address, '/');
	size_t length = slash ? (size_t)(slash - address) : 0;
	unsigned char bytes[sizeof(struct in6_addr)];
	uint64_t prefix = 0;
	if (!slash || length >= INET6_ADDRSTRLEN)
		return -EINVAL;
	memcpy(ret_text, address, length);
	ret_text[length] = '\0';
	*ret_family = strchr(ret_text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(*ret_family, ret_text, bytes) != 1)
		return -EINVAL;
	return parse_u64(slash + 1, 0, *ret_family == AF_INET6 ? 128 : 32, &prefix);
}

static int check_addresses(const char *source, const struct cni_result *result, struct err *err)
{
	if (result->ips_count > CNI_ADDRESSES_MAX)
		return err_set(err, -EINVAL, "cni.result", "%s: expected at most %d addresses, found %zu", source,
			       CNI_ADDRESSES_MAX, result->ips_count);
	for (size_t i = 0; i < result->ips_count; i++) {
		const struct cni_address *ip = &result->ips[i];
		char text[INET6_ADDRSTRLEN];
		int family = 0;
		if (split_address(ip->address, text, &family) < 0)
			return err_set(err, -EINVAL, "cni.result", "%s: ips[%zu].address: expected an address with its prefix "
								   "length, found \"%.60s\"", source, i, ip->address);
		if (ip->interface && (*ip->interface < 0 || (uint64_t)*ip->interface >= result->interfaces_count))
			return err_set(err, -EINVAL, "cni.result", "%s: ips[%zu].interface: %lld: expected an index of interfaces",
				       source, i, (long long)*ip->interface);
	}
	return 0;
}

int cni_result_decode(const char *source, const json_t *document, struct arena *arena, struct cni_result *ret_result,
		      struct err *err)
{
	struct cni_result result = {0};
	int r = json_decode_value(source, document, &RESULT, arena, &result, err);
	if (r == 0)
		r = check_addresses(source, &result, err);
	if (r == 0)
		*ret_result = result;
	return r;
}

/* Up to 0.4.0 an address says which version of IP it is of, from 1.0.0 on it must not (section "Changes in 1.0"). */
static int spell_addresses(json_t *document, bool with_version)
{
	size_t i = 0;
	json_t *ip = NULL;
	json_array_foreach(json_object_get(document, "ips"), i, ip) {
		const char *address = json_string_value(json_object_get(ip, "address"));
		const char *version = address && strchr(address, ':') ? "6" : "4";
		if (!with_version)
			(void)json_object_del(ip, "version");
		else if (json_object_set_new(ip, "version", json_string(version)) < 0)
			return -ENOMEM;
	}
	return 0;
}

int cni_result_parse(const char *source, const char *text, size_t length, const char *version, struct arena *arena,
		     struct cni_result *ret_result, json_t **ret_document, struct err *err)
{
	json_t *document = NULL;
	struct cni_result result = {0};
	int r = json_parse(source, text, length, &document, err);
	if (r < 0)
		return r;
	r = cni_result_decode(source, document, arena, &result, err);
	if (r == 0)
		r = spell_addresses(document, *version == '0');
	if (r == 0 && json_object_set_new(document, "cniVersion", json_string(version)) < 0)
		r = -ENOMEM;
	if (r < 0) {
		json_decref(document);
		return r;
	}
	*ret_result = result;
	*ret_document = document;
	return 0;
}

static const struct cni_interface *interface_of(const struct cni_result *result, const struct cni_address *ip)
{
	return ip->interface ? &result->interfaces[*ip->interface] : NULL;
}

static bool is_on(const struct cni_result *result, const struct cni_address *ip, const char *interface)
{
	const struct cni_interface *on = interface_of(result, ip);
	return interface ? on && str_equal(on->name, interface) && !str_empty(on->sandbox)
			 : !on || !str_empty(on->sandbox);
}

static int collect(const struct cni_result *result, const char *interface, struct arena *arena, const char **texts,
		   size_t *ret_count)
{
	size_t count = 0;
	for (size_t i = 0; i < result->ips_count; i++) {
		char text[INET6_ADDRSTRLEN];
		int family = 0;
		if (!is_on(result, &result->ips[i], interface) ||
		    split_address(result->ips[i].address, text, &family) < 0)
			continue;
		texts[count] = arena_strdup(arena, text);
		if (!texts[count++])
			return -ENOMEM;
	}
	*ret_count = count;
	return 0;
}

int cni_result_addresses(const struct cni_result *result, const char *interface, struct arena *arena,
			 const char ***ret_texts, size_t *ret_count)
{
	const char **texts = arena_array(arena, result->ips_count + 1, sizeof *texts);
	if (!texts)
		return -ENOMEM;
	size_t count = 0;
	int r = collect(result, interface, arena, texts, &count);
	if (r == 0 && !count)
		r = collect(result, NULL, arena, texts, &count);
	if (r < 0)
		return r;
	*ret_texts = texts;
	*ret_count = count;
	return 0;
}

int cni_failure_parse(const char *text, size_t length, struct arena *arena, struct cni_failure *ret_failure)
{
	struct cni_failure failure = {0};
	int r = json_decode("error", text, length, &FAILURE, arena, &failure, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	*ret_failure = failure;
	return 0;
}

bool cni_versions_have(const char *text, size_t length, const char *version)
{
	scoped_done(arena_done) struct arena arena = {.max = CNI_OUTPUT_BYTES_MAX};
	struct versions versions = {0};
	return json_decode("versions", text, length, &VERSIONS, &arena, &versions, NULL) == 0 &&
	       strv_contains(versions.supported, version);
}

/* What a CNI plugin answers (CNI specification, section 5): results, errors, versions. Foreign bytes: no I/O here, bounds and
 * field tables; fuzzed. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

#define CNI_OUTPUT_BYTES_MAX (1 << 20)
#define CNI_ADDRESSES_MAX 64

struct cni_interface {
	const char *name;
	const char *mac;
	const char *sandbox; /* the network namespace's path; empty: the interface is the host's */
};

struct cni_address {
	const char *address; /* "10.1.0.2/24" */
	const char *gateway;
	const int64_t *interface; /* index of an interface; NULL: not said */
};

struct cni_dns {
	const char *const *nameservers; /* NULL-terminated, or NULL; likewise below */
	const char *domain;
	const char *const *search;
	const char *const *options;
};

struct cni_result {
	const char *version;
	const struct cni_interface *interfaces;
	size_t interfaces_count;
	const struct cni_address *ips;
	size_t ips_count;
	struct cni_dns dns;
};

/* Reads the result of ADD, checks its addresses, and writes it anew in the list's @version: that is what the next plugin, CHECK
 * and DEL are given (*ret_document, the caller's). Errors: -EINVAL. */
int cni_result_parse(const char *source, const char *text, size_t length, const char *version, struct arena *arena,
		     struct cni_result *ret_result, json_t **ret_document, struct err *err);

/* The same of a document that was parsed before. */
int cni_result_decode(const char *source, const json_t *document, struct arena *arena, struct cni_result *ret_result,
		      struct err *err);

/* The addresses of the pod's @interface without their prefixes ("10.1.0.2"), in the result's order: those said to be on it;
 * where none is, those on no interface in particular. *ret_texts lies in @arena. Errors: -ENOMEM. */
int cni_result_addresses(const struct cni_result *result, const char *interface, struct arena *arena,
			 const char ***ret_texts, size_t *ret_count);

struct cni_failure {
	int64_t code; /* section 5: 11: try again later; 50 and up: of the plugin's own */
	const char *message;
	const char *details;
};

/* Reads what a plugin that failed wrote. Errors: -EINVAL (no error in the specification's form). */
int cni_failure_parse(const char *text, size_t length, struct arena *arena, struct cni_failure *ret_failure);

/* Does the answer to VERSION name @version? */
bool cni_versions_have(const char *text, size_t length, const char *version);

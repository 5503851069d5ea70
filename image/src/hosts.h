/* Where images of a registry are asked for: containerd's hosts.toml (docs/formats/hosts.md). hosts_parse() is sans-I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct err;

#define HOSTS_MAX 16 /* of one registry, with its server */
#define HOSTS_FILE "hosts.toml"
#define HOSTS_BYTES_MAX ((size_t)64 * 1024)
#define HOSTS_MEMORY_MAX ((size_t)64 * 1024 * 1024) /* with all certificates */
#define HOSTS_FILES_MAX 16   /* certificates of one host */
#define HOSTS_HEADERS_MAX 64 /* lines for one host */

/* All strings lie in the arena. */
struct hosts_entry {
	const char *name; /* "mirror:5000" */
	const char *base; /* of the API, without a '/' at its end: "https://mirror:5000/v2"; NULL: the registry itself, found out
			     as without a file (only the last entry) */
	bool resolve;	  /* may tell which digest a tag is */
	bool pull;	  /* may give manifests and blobs by digest */
	bool is_server;	  /* the registry itself, the last entry; else a mirror of it */
	bool skip_verify;
	unsigned connect_timeout_s;  /* 0: not said */
	const char *const *headers;  /* "Name: value" */
	const char *const *ca_files; /* absolute, or relative to the file's folder */
	const char *certificate_file;
	const char *key_file; /* NULL: in the certificate's file */
	/* Filled by hosts_load(): what the files hold. */
	const char *ca_pem;
	const char *certificate_pem;
	const char *key_pem;
};

struct hosts {
	struct hosts_entry *entries; /* in the order in which they are asked */
	size_t count;		     /* 0: there is no file */
};

/* Reads a hosts.toml for the registry @registry ("docker.io", "localhost:5000"). @source names it in messages.
 * Errors: -EINVAL (toml.malformed, hosts.invalid: names the host and the key). */
int hosts_parse(const char *source, const char *text, size_t length, const char *registry, struct arena *arena,
		struct hosts *ret_hosts, struct err *err);

/* Finds, reads and parses the file of @registry below the folder @directory: that of "HOST_PORT_", of "HOST:PORT", else of
 * "_default"; and the certificates that it names. No file at all: count is 0. Blocks. Errors: those of hosts_parse(), of
 * open(2). */
int hosts_load(const char *directory, const char *registry, struct arena *arena, struct hosts *ret_hosts, struct err *err);

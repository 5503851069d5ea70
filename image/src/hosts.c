#include "image/src/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/toml.h"
#include "core/sys/fd.h"

#define PEM_BYTES_MAX ((size_t)1024 * 1024)
#define NAME_BYTES_MAX 256
#define DIAL_TIMEOUT_MAX_S 3600

/* What is read now, for messages. */
struct reader {
	const char *source;
	const char *host; /* NULL: the server */
	struct arena *arena;
	struct err *err;
};

static int invalid(const struct reader *reader, const char *key, const char *expected)
{
	return err_set(reader->err, -EINVAL, "hosts.invalid", "%s: %s%s%s%s: expected %s", reader->source,
		       reader->host ? "host.\"" : "", reader->host ? reader->host : "", reader->host ? "\"." : "", key,
		       expected);
}

/* ---- Values ----------------------------------------------------------------------------------------------------- */

/* A string, or a list of strings, as a NULL-terminated vector. */
static int read_strings(const struct reader *reader, const char *key, const json_t *value, size_t max,
			const char *const **ret_strings)
{
	size_t count = json_is_array(value) ? json_array_size(value) : 1;
	const char **strings = arena_array(reader->arena, count + 1, sizeof *strings);
	if (!strings)
		return -ENOMEM;
	if (count > max)
		return invalid(reader, key, "fewer");
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
		if (!json_is_string(item))
			return invalid(reader, key, "a string or a list of strings");
		strings[i] = arena_strdup(reader->arena, json_string_value(item));
		if (!strings[i])
			return -ENOMEM;
	}
	*ret_strings = strings;
	return 0;
}

static int read_bool(const struct reader *reader, const char *key, const json_t *value, bool *ret_value)
{
	if (!json_is_boolean(value))
		return invalid(reader, key, "true or false");
	*ret_value = json_is_true(value);
	return 0;
}

static int read_capabilities(const struct reader *reader, const json_t *value, struct hosts_entry *entry)
{
	const char *const *names = NULL;
	int r = read_strings(reader, "capabilities", value, 8, &names);
	if (r < 0)
		return r;
	entry->pull = strv_contains(names, "pull");
	entry->resolve = strv_contains(names, "resolve");
	for (; *names; names++)
		if (!str_equal(*names, "pull") && !str_equal(*names, "resolve") && !str_equal(*names, "push"))
			return invalid(reader, "capabilities", "\"pull\", \"resolve\", \"push\"");
	return 0;
}

/* A file with certificate and key, or the two: "x.pem", ["x.cert", "x.key"], [["x.cert", "x.key"]]. */
static int read_client(const struct reader *reader, const json_t *value, struct hosts_entry *entry)
{
	static const char EXPECTED[] = "a file with certificate and key, or a list of the two";
	const json_t *pair = json_is_array(value) && json_is_array(json_array_get(value, 0)) ? json_array_get(value, 0) : value;
	const char *const *files = NULL;
	if (pair != value && json_array_size(value) != 1)
		return invalid(reader, "client", "one certificate");
	int r = read_strings(reader, "client", pair, 2, &files);
	if (r < 0)
		return r;
	if (!files[0] || !*files[0])
		return invalid(reader, "client", EXPECTED);
	entry->certificate_file = files[0];
	entry->key_file = str_empty(files[1]) ? NULL : files[1];
	return 0;
}

/* RFC 9110, 5.1 and 5.5: a token, and a value without line ends. */
static bool is_header(const char *name, const char *value)
{
	size_t length = strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return length > 0 && !name[length] && !strpbrk(value, "\r\n");
}

static int read_headers(const struct reader *reader, const json_t *value, struct hosts_entry *entry)
{
	const char **lines = arena_array(reader->arena, HOSTS_HEADERS_MAX + 1, sizeof *lines);
	size_t count = 0;
	const char *name = NULL;
	json_t *item = NULL;
	if (!lines)
		return -ENOMEM;
	if (!json_is_object(value))
		return invalid(reader, "header", "a table of names and values");
	json_object_foreach((json_t *)value, name, item) {
		const char *const *values = NULL;
		int r = read_strings(reader, "header", item, HOSTS_HEADERS_MAX, &values);
		for (; r == 0 && *values; values++) {
			if (count == HOSTS_HEADERS_MAX || !is_header(name, *values))
				return invalid(reader, "header", "names and values of HTTP headers, at most 64");
			lines[count] = arena_printf(reader->arena, "%s: %s", name, *values);
			r = lines[count++] ? 0 : -ENOMEM;
		}
		if (r < 0)
			return r;
	}
	entry->headers = lines;
	return 0;
}

/* "2s", "500ms": seconds, rounded up. */
static int read_timeout(const struct reader *reader, const json_t *value, struct hosts_entry *entry)
{
	static const char EXPECTED[] = "a time such as \"2s\", of at most an hour";
	const char *text = json_string_value(value);
	unsigned number = 0;
	if (!text || !char_is_digit(*text))
		return invalid(reader, "dial_timeout", EXPECTED);
	while (char_is_digit(*text) && number <= 1000 * DIAL_TIMEOUT_MAX_S)
		number = 10 * number + (unsigned)(*text++ - '0');
	if (str_equal(text, "ms"))
		number = (number + 999) / 1000;
	else if (str_equal(text, "m"))
		number *= 60;
	else if (!str_equal(text, "s"))
		return invalid(reader, "dial_timeout", EXPECTED);
	if (number == 0 || number > DIAL_TIMEOUT_MAX_S)
		return invalid(reader, "dial_timeout", EXPECTED);
	entry->connect_timeout_s = number;
	return 0;
}

static int read_ca(const struct reader *reader, const json_t *value, struct hosts_entry *entry)
{
	return read_strings(reader, "ca", value, HOSTS_FILES_MAX, &entry->ca_files);
}

static int read_skip_verify(const struct reader *reader, const json_t *value, struct hosts_entry *entry)
{
	return read_bool(reader, "skip_verify", value, &entry->skip_verify);
}

static const struct {
	const char *key;
	int (*read)(const struct reader *reader, const json_t *value, struct hosts_entry *entry);
} KEYS[] = {
	{"capabilities", read_capabilities}, {"ca", read_ca},		     {"client", read_client},
	{"skip_verify", read_skip_verify},   {"header", read_headers},	     {"dial_timeout", read_timeout},
	{"override_path", NULL}, /* with the address */
};

/* ---- Addresses -------------------------------------------------------------------------------------------------- */

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f || strchr("\"<>\\^`{|}?#", *text))
			return false;
	return true;
}

/* "https://mirror:5000/path", or without a scheme. The API lies below "/v2" of it, unless @override says that the path is
 * the API's own. */
static int set_address(const struct reader *reader, const char *key, const char *text, bool override,
		       struct hosts_entry *entry)
{
	static const char EXPECTED[] = "an address such as \"https://mirror:5000\"";
	const char *scheme = "https";
	const char *rest = str_after_prefix(text, "https://");
	if (!rest && (rest = str_after_prefix(text, "http://")))
		scheme = "http";
	rest = rest ? rest : text;
	size_t host = strcspn(rest, "/");
	size_t length = strlen(rest);
	while (length > host && rest[length - 1] == '/')
		length--;
	if (host == 0 || host >= NAME_BYTES_MAX || length > 1024 || !is_plain(rest) || strstr(rest, "://") ||
	    memchr(rest, '@', host))
		return invalid(reader, key, EXPECTED);
	bool complete = override || (length >= host + 3 && strncmp(rest + length - 3, "/v2", 3) == 0);
	entry->name = arena_strndup(reader->arena, rest, host);
	entry->base = arena_printf(reader->arena, "%s://%.*s%s", scheme, (int)length, rest, complete ? "" : "/v2");
	return entry->name && entry->base ? 0 : -ENOMEM;
}

/* ---- The document ----------------------------------------------------------------------------------------------- */

/* The keys of one host; @own are further ones that the caller reads. */
static int read_entry(const struct reader *reader, const json_t *table, const char *const *own, struct hosts_entry *entry)
{
	const char *key = NULL;
	json_t *value = NULL;
	entry->pull = entry->resolve = true;
	json_object_foreach((json_t *)table, key, value) {
		size_t i = 0;
		while (i < ARRAY_COUNT(KEYS) && !str_equal(KEYS[i].key, key))
			i++;
		if (i == ARRAY_COUNT(KEYS) && !strv_contains(own, key))
			return invalid(reader, key, "a key of containerd's hosts.toml");
		int r = i < ARRAY_COUNT(KEYS) && KEYS[i].read ? KEYS[i].read(reader, value, entry) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_override(const struct reader *reader, const json_t *table, bool *ret_override)
{
	const json_t *value = json_object_get(table, "override_path");
	return value ? read_bool(reader, "override_path", value, ret_override) : 0;
}

static int read_mirror(struct reader *reader, const char *address, const json_t *table, struct hosts_entry *entry)
{
	static const char *const OWN[] = {NULL};
	bool override = false;
	reader->host = address;
	if (!json_is_object(table))
		return invalid(reader, "", "a table");
	int r = read_override(reader, table, &override);
	if (r == 0)
		r = set_address(reader, "host", address, override, entry);
	return r < 0 ? r : read_entry(reader, table, OWN, entry);
}

static int read_server(struct reader *reader, const json_t *document, const char *registry, struct hosts_entry *entry)
{
	static const char *const OWN[] = {"server", "host", NULL};
	const json_t *server = json_object_get(document, "server");
	bool override = false;
	reader->host = NULL;
	entry->is_server = true;
	int r = read_override(reader, document, &override);
	if (r == 0 && server && !json_is_string(server))
		return invalid(reader, "server", "a string");
	if (r == 0 && server && *json_string_value(server))
		r = set_address(reader, "server", json_string_value(server), override, entry);
	else if (r == 0)
		entry->name = arena_strdup(reader->arena, registry);
	return r < 0 || !entry->name ? (r < 0 ? r : -ENOMEM) : read_entry(reader, document, OWN, entry);
}

static int read_document(struct reader *reader, const json_t *document, const char *registry, struct hosts *ret_hosts)
{
	const json_t *mirrors = json_object_get(document, "host");
	struct hosts hosts = {.entries = arena_array(reader->arena, HOSTS_MAX, sizeof *hosts.entries)};
	if (!hosts.entries)
		return -ENOMEM;
	if (mirrors && !json_is_object(mirrors))
		return invalid(reader, "host", "tables [host.\"ADDRESS\"]");
	if (json_object_size(mirrors) >= HOSTS_MAX)
		return invalid(reader, "host", "fewer");
	const char *address = NULL;
	json_t *table = NULL;
	json_object_foreach((json_t *)mirrors, address, table) { /* in the order of the file */
		int r = read_mirror(reader, address, table, &hosts.entries[hosts.count++]);
		if (r < 0)
			return r;
	}
	int r = read_server(reader, document, registry, &hosts.entries[hosts.count++]);
	if (r == 0)
		*ret_hosts = hosts;
	return r;
}

int hosts_parse(const char *source, const char *text, size_t length, const char *registry, struct arena *arena,
		struct hosts *ret_hosts, struct err *err)
{
	json_t *document = NULL;
	int r = toml_parse(source, text, length, &document, err);
	if (r < 0)
		return r;
	struct reader reader = {.source = source, .arena = arena, .err = err};
	r = read_document(&reader, document, registry, ret_hosts);
	json_decref(document);
	return r == -ENOMEM ? err_memory(err, source) : r;
}

/* ---- Files ------------------------------------------------------------------------------------------------------ */

/* Adds the file's text behind what there is. */
static int read_pem(int dir_fd, const char *name, struct buf *text, struct err *err)
{
	scoped_done(buf_done) struct buf file = {.max = PEM_BYTES_MAX};
	int r = file_read_at(dir_fd, name, &file, err);
	if (r == 0 && text->size)
		r = buf_add_char(text, '\n');
	return r < 0 ? err_add(err, r, "%s", HOSTS_FILE) : buf_add(text, file.data ? file.data : "", file.size);
}

static int read_pems(int dir_fd, const char *const *names, struct arena *arena, const char **ret_text, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = PEM_BYTES_MAX};
	int r = 0;
	for (; r == 0 && names && *names; names++)
		r = read_pem(dir_fd, *names, &text, err);
	if (r < 0 || !text.data)
		return r;
	*ret_text = arena_strndup(arena, text.data, text.size);
	return *ret_text ? 0 : -ENOMEM;
}

static int read_files(int dir_fd, struct hosts_entry *entry, struct arena *arena, struct err *err)
{
	const char *const certificate[] = {entry->certificate_file, NULL};
	const char *const key[] = {entry->key_file, NULL};
	int r = read_pems(dir_fd, entry->ca_files, arena, &entry->ca_pem, err);
	if (r == 0)
		r = read_pems(dir_fd, certificate, arena, &entry->certificate_pem, err);
	return r < 0 ? r : read_pems(dir_fd, key, arena, &entry->key_pem, err);
}

/* Reads DIRECTORY/@name/hosts.toml. Returns 1 where there is none. */
static int load_folder(const char *directory, const char *name, const char *registry, struct arena *arena,
		       struct hosts *ret_hosts, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = HOSTS_BYTES_MAX};
	scoped_free char *folder = str_printf("%s/%s", directory, name);
	scoped_free char *source = str_printf("%s/%s/" HOSTS_FILE, directory, name);
	if (!folder || !source)
		return err_memory(err, HOSTS_FILE);
	scoped_fd int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 1 : err_sys(err, -errno, "hosts.file", "open %s", folder);
	struct err local = {0};
	int r = file_read_at(dir_fd, HOSTS_FILE, &text, &local);
	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return err_sys(err, r, "hosts.file", "read %s", source);
	r = hosts_parse(source, text.data ? text.data : "", text.size, registry, arena, ret_hosts, err);
	for (size_t i = 0; r == 0 && i < ret_hosts->count; i++)
		r = read_files(dir_fd, &ret_hosts->entries[i], arena, err);
	return r;
}

/* "registry:5000" is also spelled "registry_5000_", for file systems that know no ':'. */
static char *spell_without_colon(const char *registry)
{
	const char *colon = strrchr(registry, ':');
	return colon ? str_printf("%.*s_%s_", (int)(colon - registry), registry, colon + 1) : str_printf("%s", registry);
}

int hosts_load(const char *directory, const char *registry, struct arena *arena, struct hosts *ret_hosts, struct err *err)
{
	scoped_free char *spelled = spell_without_colon(registry);
	if (!spelled)
		return err_memory(err, HOSTS_FILE);
	const char *const names[] = {spelled, registry, "_default"};
	*ret_hosts = (struct hosts){0};
	int r = 1;
	for (size_t i = 0; r == 1 && i < ARRAY_COUNT(names); i++)
		r = load_folder(directory, names[i], registry, arena, ret_hosts, err);
	return r < 0 ? r : 0;
}

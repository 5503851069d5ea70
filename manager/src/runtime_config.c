#include "manager/src/runtime_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "manager/src/networks.h"
#include "manager/src/node.h"
#include "manager/src/record.h"

#define NAME "runtime-config.json"
#define CIDR_BYTES_MAX 512
#define TEMPLATE_BYTES_MAX (256 << 10)
#define CONFIGURATION "10-axle-net.conflist"

struct kept {
	uint32_t version;
	const char *pod_cidr;
};

static const struct json_field KEPT_FIELDS[] = {
	JSON_FIELD(struct kept, version, "version", JSON_U32, JSON_REQUIRED),
	JSON_FIELD(struct kept, pod_cidr, "pod_cidr", JSON_STRING_T, 0),
};
static const struct json_table KEPT = JSON_TABLE(struct kept, KEPT_FIELDS);

/* --- the CIDRs --- */

static bool is_v6(const char *cidr)
{
	return strchr(cidr, ':') != NULL;
}

static bool is_cidr(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	unsigned char bytes[16];
	uint64_t bits = 0;
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : 0;
	if (!slash || length >= sizeof address)
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	return inet_pton(is_v6(text) ? AF_INET6 : AF_INET, address, bytes) == 1 &&
	       parse_u64(slash + 1, 0, is_v6(text) ? 128 : 32, &bits) == 0;
}

/* Blanks after a comma are a kubelet's way of writing lists. */
static int split_cidrs(const char *text, char ***ret_cidrs, struct err *err)
{
	scoped(strv_free) char **words = strlen(text) <= CIDR_BYTES_MAX ? str_split(text, ',') : NULL;
	scoped(strv_free) char **cidrs = NULL;
	int r = words ? 0 : -EINVAL;
	for (size_t i = 0; r == 0 && words[i]; i++) {
		const char *word = words[i] + strspn(words[i], " ");
		r = is_cidr(word) ? strv_add(&cidrs, word) : -EINVAL;
	}
	if (r == -EINVAL)
		return err_set(err, r, "runtime-config.pod-cidr",
			       "pod CIDR \"%.100s\": expected such as \"10.1.0.0/24\" or \"10.1.0.0/24,fd00::/64\"", text);
	if (r == 0)
		*ret_cidrs = TAKE(cidrs);
	return r;
}

/* --- the template: containerd's variables, which stand for a text and two JSON lists --- */

static int add_first(struct buf *text, char *const *cidrs)
{
	return buf_add_text(text, cidrs[0]);
}

static int add_ranges(struct buf *text, char *const *cidrs)
{
	int r = buf_add_char(text, '[');
	for (size_t i = 0; r == 0 && cidrs[i]; i++)
		r = buf_printf(text, "%s[{\"subnet\":\"%s\"}]", i ? "," : "", cidrs[i]);
	return r < 0 ? r : buf_add_char(text, ']');
}

/* A default route for each family that there is. */
static int add_routes(struct buf *text, char *const *cidrs)
{
	bool seen[2] = {false, false};
	int r = buf_add_char(text, '[');
	for (size_t i = 0; r == 0 && cidrs[i]; i++) {
		if (seen[is_v6(cidrs[i])])
			continue;
		r = buf_printf(text, "%s{\"dst\":\"%s\"}", seen[0] || seen[1] ? "," : "", is_v6(cidrs[i]) ? "::/0" : "0.0.0.0/0");
		seen[is_v6(cidrs[i])] = true;
	}
	return r < 0 ? r : buf_add_char(text, ']');
}

static const struct {
	const char *name;
	int (*add)(struct buf *text, char *const *cidrs);
} VARIABLES[] = {
	{"{{.PodCIDR}}", add_first},
	{"{{.PodCIDRRanges}}", add_ranges},
	{"{{.Routes}}", add_routes},
};

/* Adds what stands at @at, and says how much of the template that was. */
static int add_variable(struct buf *text, const char *at, char *const *cidrs, size_t *ret_used)
{
	for (size_t i = 0; i < ARRAY_COUNT(VARIABLES); i++)
		if (str_after_prefix(at, VARIABLES[i].name)) {
			*ret_used = strlen(VARIABLES[i].name);
			return VARIABLES[i].add(text, cidrs);
		}
	return -EINVAL;
}

static int fill_template(const char *path, const char *template, char *const *cidrs, struct buf *ret_text, struct err *err)
{
	int r = 0;
	for (const char *at = template; r == 0 && *at;) {
		size_t used = strcspn(at, "{");
		if (used == 0 && at[1] != '{')
			used = 1;
		r = used > 0 ? buf_add(ret_text, at, used) : add_variable(ret_text, at, cidrs, &used);
		if (r == -EINVAL)
			return err_set(err, r, "runtime-config.template",
				       "%s: \"%.40s\": expected {{.PodCIDR}}, {{.PodCIDRRanges}} or {{.Routes}}", path, at);
		at += used;
	}
	return r < 0 ? err_sys(err, r, "runtime-config.template", "fill %s", path) : 0;
}

static int make_network(struct node *node, char *const *cidrs, struct err *err)
{
	const struct config_cni *cni = &node->config.cni;
	const struct cni_list *list = NULL;
	if (!cni->conf_template || !cni->enabled || networks_current(node, &list, NULL) == NETWORKS_CNI)
		return 0; /* somebody else has configured a network: it counts */
	scoped_done(buf_done) struct buf template = {.max = TEMPLATE_BYTES_MAX};
	scoped_done(buf_done) struct buf text = {.max = TEMPLATE_BYTES_MAX * 2};
	int r = file_read_at(AT_FDCWD, cni->conf_template, &template, err);
	if (r == 0)
		r = fill_template(cni->conf_template, template.data ? template.data : "", cidrs, &text, err);
	if (r == 0)
		r = path_make_directories(cni->conf_dir, 0755, err);
	if (r < 0)
		return r;
	scoped_fd int dir_fd = open(cni->conf_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, -errno, "runtime-config.template", "open %s", cni->conf_dir);
	return file_replace_at(dir_fd, CONFIGURATION, text.data ? text.data : "", text.size, 0644, FILE_VOLATILE, err);
}

/* --- keeping --- */

static int keep(struct node *node, const char *pod_cidr)
{
	char *copy = strdup(pod_cidr);
	if (!copy)
		return -ENOMEM;
	free((char *)(uintptr_t)node->pod_cidr); /* ours, or NULL */
	node->pod_cidr = copy;
	return 0;
}

int runtime_config_load(struct node *node, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 64 << 10};
	struct kept kept = {0};
	json_t *document = NULL;
	int r = record_read(node->places.root_fd, NAME, &KEPT, &arena, &kept, &document, err);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = keep(node, kept.pod_cidr ? kept.pod_cidr : "");
	json_decref(document);
	if (r == -ENOTSUP)
		return r;
	if (r < 0)
		log_err(&node->log, err, r, "%s is ignored", NAME);
	return 0;
}

int runtime_config_update(struct node *node, const char *pod_cidr, struct err *err)
{
	scoped(strv_free) char **cidrs = NULL;
	if (str_empty(pod_cidr))
		return 0;
	int r = split_cidrs(pod_cidr, &cidrs, err);
	scoped_done(buf_done) struct buf joined = {.max = CIDR_BYTES_MAX + 1};
	for (size_t i = 0; r == 0 && cidrs[i]; i++)
		r = buf_printf(&joined, "%s%s", i ? "," : "", cidrs[i]);
	if (r < 0)
		return r;
	const struct kept kept = {.version = RECORD_VERSION, .pod_cidr = joined.data};
	r = record_write(node->fibers, node->places.root_fd, "runtime-config", &KEPT, &kept, err);
	if (r == 0)
		r = keep(node, joined.data);
	return r < 0 ? r : make_network(node, cidrs, err);
}

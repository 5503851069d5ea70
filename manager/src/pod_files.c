#include "manager/src/pod_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "manager/src/pod.h"
#include "manager/src/pod_user.h"

#define FILE_BYTES_MAX (64 << 10)
#define SHM_BYTES_MIN 4096
#define SHORT_ID 12

static const char LOCALHOST[] = "127.0.0.1\tlocalhost\n"
				"::1\tlocalhost ip6-localhost ip6-loopback\n"
				"fe00::0\tip6-localnet\n"
				"ff02::1\tip6-allnodes\n"
				"ff02::2\tip6-allrouters\n";

const char *pod_hostname(const struct pod *pod, struct arena *arena)
{
	if (pod_namespaces(pod->config).host_network) {
		char name[HOST_NAME_MAX + 1] = "";
		(void)gethostname(name, sizeof name - 1);
		return arena_strdup(arena, name);
	}
	return str_empty(pod->config->hostname) ? arena_strndup(arena, pod->id, SHORT_ID)
						: arena_strdup(arena, pod->config->hostname);
}

/* A file of the host's; "" where it cannot be read. */
static const char *host_file(struct arena *arena, const char *path)
{
	scoped_done(buf_done) struct buf text = {.max = FILE_BYTES_MAX};
	if (file_read_at(AT_FDCWD, path, &text, NULL) < 0 || !text.data)
		return "";
	return arena_strndup(arena, text.data, text.size);
}

static const char *take_text(struct arena *arena, const struct buf *text)
{
	return arena_strndup(arena, text->data ? text->data : "", text->size);
}

static int check_dns(const char *what, char *const *words, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (strpbrk(words[i], "\n\r"))
			return err_set(err, -EINVAL, "pod.dns", "DNS %s: expected no line ends", what);
	return 0;
}

static int add_words(struct buf *text, const char *keyword, char *const *words, size_t count)
{
	int r = count ? buf_add_text(text, keyword) : 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = buf_printf(text, " %s", words[i]);
	return r < 0 || !count ? r : buf_add_char(text, '\n');
}

/* resolv.conf(5) of the pod's DNS configuration; the host's own where there is none. */
static int make_resolv_conf(const struct pod *pod, struct arena *arena, const char **ret_text, struct err *err)
{
	const Cri__DNSConfig *dns = pod->config->dns_config;
	if (!dns || !(dns->n_servers + dns->n_searches + dns->n_options)) {
		*ret_text = host_file(arena, "/etc/resolv.conf");
		return *ret_text ? 0 : -ENOMEM;
	}
	int r = check_dns("servers", (char *const *)dns->servers, dns->n_servers, err);
	if (r == 0)
		r = check_dns("searches", (char *const *)dns->searches, dns->n_searches, err);
	if (r == 0)
		r = check_dns("options", (char *const *)dns->options, dns->n_options, err);
	scoped_done(buf_done) struct buf text = {.max = FILE_BYTES_MAX};
	if (r == 0)
		r = add_words(&text, "search", (char *const *)dns->searches, dns->n_searches);
	for (size_t i = 0; r == 0 && i < dns->n_servers; i++)
		r = buf_printf(&text, "nameserver %s\n", dns->servers[i]);
	if (r == 0)
		r = add_words(&text, "options", (char *const *)dns->options, dns->n_options);
	*ret_text = r < 0 ? NULL : take_text(arena, &text);
	return r < 0 ? r : *ret_text ? 0 : -ENOMEM;
}

static const char *make_hosts(struct arena *arena, bool host_network, const char *hostname)
{
	if (host_network)
		return host_file(arena, "/etc/hosts");
	return arena_printf(arena, "%s127.0.0.1\t%s\n", LOCALHOST, hostname);
}

int pod_shm_bytes(const Cri__PodSandboxConfig *config, const struct config_pods *pods, uint64_t *ret_bytes,
		  struct err *err)
{
	*ret_bytes = pods->shm_bytes;
	for (size_t i = 0; i < config->n_annotations; i++) {
		if (!str_equal(config->annotations[i]->key, POD_SHM_ANNOTATION))
			continue;
		const char *text = config->annotations[i]->value;
		if (parse_bytes(text, ret_bytes) < 0 || *ret_bytes < SHM_BYTES_MIN)
			return err_set(err, -EINVAL, "pod.shm",
				       "annotation " POD_SHM_ANNOTATION " \"%.40s\": expected a size such as \"64m\", of at "
				       "least 4k", text);
	}
	return 0;
}

static int copy_sysctls(const struct pod *pod, struct arena *arena, struct helper_pod_make *make)
{
	const Cri__LinuxPodSandboxConfig *config = pod->config->linux;
	size_t count = config ? config->n_sysctls : 0;
	struct json_pair *pairs = arena_array(arena, count + 1, sizeof *pairs);
	if (!pairs)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		pairs[i] = (struct json_pair){config->sysctls[i]->key, config->sysctls[i]->value};
	make->sysctls = pairs;
	make->sysctls_count = count;
	return 0;
}

int pod_describe(const struct pod *pod, struct arena *arena, struct helper_pod_make *ret_make, struct err *err)
{
	struct pod_namespaces namespaces = pod_namespaces(pod->config);
	const struct pod_user user = pod_user_of(pod->config);
	struct helper_user_map *user_map = arena_alloc(arena, sizeof *user_map);
	if (!user_map)
		return -ENOMEM;
	*user_map = (struct helper_user_map){user.host_uid, user.uid_count, user.host_gid, user.gid_count};
	struct helper_pod_make make = {
		.pins = arena_printf(arena, "%s/%s", pod->node->places.pins, pod->id),
		.files = arena_printf(arena, "%s/%s", pod->node->places.pods, pod->id),
		.user = user.own ? user_map : NULL,
		.network = !namespaces.host_network,
		.ipc = !namespaces.host_ipc,
		.uts = !namespaces.host_network,
		.hostname = pod_hostname(pod, arena),
	};
	if (!make.pins || !make.files || !make.hostname)
		return -ENOMEM;
	make.hostname_file = arena_printf(arena, "%s\n", make.hostname);
	make.hosts = make_hosts(arena, namespaces.host_network, make.hostname);
	if (!make.hostname_file || !make.hosts)
		return -ENOMEM;
	int r = make_resolv_conf(pod, arena, &make.resolv_conf, err);
	if (r == 0 && !namespaces.host_ipc)
		r = pod_shm_bytes(pod->config, &pod->node->config.pods, &make.shm_bytes, err);
	if (r == 0)
		r = copy_sysctls(pod, arena, &make);
	if (r == 0)
		*ret_make = make;
	return r;
}

#include "manager/src/pod_network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "core/sys/fd.h"
#include "manager/src/cni.h"
#include "manager/src/cni_result.h"
#include "manager/src/networks.h"
#include "manager/src/pod.h"
#include "manager/src/pod_files.h"
#include "manager/src/pod_network_args.h"

#define INTERFACE "eth0" /* as everybody calls it */
#define LIST_ARENA_MAX (4 << 20)
#define FILE_BYTES_MAX (64 << 10)
#define RESULT_BYTES_MAX (2 << 20)
#define RESULT_FILE "network-result.json" /* in the pod's files: until its record has it */

/* For containers of the command line: its own wish for a private network without an interface. */
#define ANNOTATION_MODE "axle.network.mode"

static void forget(struct pod *pod)
{
	membership_done(&pod->network);
	pod->record.network = NULL;
}

/* --- the plan --- */

static bool wants_none(const struct pod *pod)
{
	for (size_t i = 0; pod->owner == OWNER_AXLE && i < pod->config->n_annotations; i++)
		if (str_equal(pod->config->annotations[i]->key, ANNOTATION_MODE))
			return str_equal(pod->config->annotations[i]->value, "none");
	return false;
}

/* Ports of the host lead nowhere: a person is told, a kubelet's pods run on as they would with any runtime. */
static int refuse_ports(const struct pod *pod, const char *why, struct err *err)
{
	if (!pod_network_wants_ports(pod->config))
		return 0;
	if (pod->owner == OWNER_AXLE)
		return err_set(err, -EINVAL, "pod.ports", "ports of the host cannot be published: %s", why);
	log_warning(&pod->node->log, "pod.ports", "pod %s: ports of the host are not published: %s", pod->id, why);
	return 0;
}

static bool has_capability(const struct cni_list *list, const char *name)
{
	for (size_t i = 0; i < list->plugins_count; i++)
		if (json_is_true(json_object_get(list->plugins[i].capabilities, name)))
			return true;
	return false;
}

static int plan(struct pod *pod, const struct cni_list *list, struct err *err)
{
	struct network_record *record = &pod->network.record;
	int r = cni_find_plugins(pod->node, list, err); /* before anything is done: DEL would miss them too */
	if (r == 0 && !has_capability(list, "portMappings"))
		r = refuse_ports(pod, "no plugin of the network has the capability portMappings", err);
	if (r == 0)
		r = pod_network_args(pod->id, pod->config->metadata, &pod->arena, &record->args, err);
	if (r == 0)
		r = pod_network_capabilities(pod->config, pod->node->pod_cidr, &record->capabilities, err);
	if (r < 0)
		return r;
	record->name = arena_strdup(&pod->arena, list->name);
	record->interface = INTERFACE;
	record->list = json_incref(list->document);
	pod->record.network = record;
	return record->name ? 0 : -ENOMEM;
}

int pod_network_plan(struct pod *pod, struct err *err)
{
	if (pod_namespaces(pod->config).host_network)
		return 0;
	if (wants_none(pod))
		return refuse_ports(pod, "the pod wants no network", err);
	const struct cni_list *list = NULL;
	struct err why = {0};
	int r = networks_current(pod->node, &list, &why);
	switch (r) {
	case NETWORKS_CNI:
		return plan(pod, list, err);
	case NETWORKS_LOOPBACK_ONLY:
		return refuse_ports(pod, why.message, err);
	case NETWORKS_UNCONFIGURED:
		if (pod->owner == OWNER_AXLE)
			return refuse_ports(pod, why.message, err);
		r = -ENETUNREACH;
	}
	return err_set(err, r, "network.not-ready", "the pod cannot get a network: %s", err_text(&why, r));
}

/* --- the pod's files --- */

static int read_file(const struct pod *pod, const char *name, struct buf *ret_text, char **ret_path, struct err *err)
{
	scoped_free char *files = pod_files_path(pod);
	scoped_free char *path = files ? str_printf("%s/%s", files, name) : NULL;
	if (!path)
		return -ENOMEM;
	int r = file_read_at(AT_FDCWD, path, ret_text, err);
	if (r == 0)
		*ret_path = TAKE(path);
	return r;
}

/* In place: the file keeps its owner, and no container is there yet to see half of it. */
static int write_file(const char *path, const struct buf *text, struct err *err)
{
	scoped_fd int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : fd_write_all(fd, text->data ? text->data : "", text->size);
	return r < 0 ? err_sys(err, r, "pod.files", "write %s", path) : 0;
}

/* --- the verbs --- */

/* The pin, where it is one: after a reboot there is none, and plugins would take a plain file for damage. */
static const char *find_namespace(const struct pod *pod, struct arena *arena)
{
	struct statfs status = {0};
	const char *path = arena_printf(arena, "%s/%s/net", pod->node->places.pins, pod->id);
	if (!path)
		return NULL;
	return statfs(path, &status) == 0 && status.f_type == NSFS_MAGIC ? path : "";
}

/* What the plugins of this pod's list are run for. The list is the caller's to end. */
static int open_attachment(const struct pod *pod, struct arena *arena, struct cni_list *ret_list,
			   struct cni_attachment *ret_attachment, struct err *err)
{
	const struct network_record *record = pod->record.network;
	*ret_attachment = (struct cni_attachment){
		.container_id = pod->id,
		.netns = find_namespace(pod, arena),
		.interface = record->interface,
		.args = record->args,
		.capabilities = record->capabilities,
		.result = record->result,
	};
	if (!ret_attachment->netns)
		return -ENOMEM;
	return cni_list_decode(record->name, record->list, arena, ret_list, err);
}

/* What axled knew when it was killed during ADD. After a reboot the file is gone, as is what it speaks of. */
static void find_result(struct pod *pod)
{
	scoped_done(buf_done) struct buf text = {.max = RESULT_BYTES_MAX};
	scoped_free char *path = NULL;
	if (!pod->network.record.result && read_file(pod, RESULT_FILE, &text, &path, NULL) == 0)
		(void)json_parse(path, text.data ? text.data : "", text.size, &pod->network.record.result, NULL);
}

int pod_network_check(struct pod *pod, struct err *err)
{
	if (!pod->record.network || pod->phase != POD_READY)
		return CNI_UNCHECKED;
	scoped_done(arena_done) struct arena arena = {.max = LIST_ARENA_MAX};
	scoped_done(cni_list_done) struct cni_list list = {0};
	struct cni_attachment attachment = {0};
	int r = open_attachment(pod, &arena, &list, &attachment, err);
	return r < 0 ? r : cni_check(pod->node, &list, &attachment, err);
}

int pod_network_detach(struct pod *pod, struct err *err)
{
	if (!pod->record.network)
		return 0;
	scoped_done(arena_done) struct arena arena = {.max = LIST_ARENA_MAX};
	scoped_done(cni_list_done) struct cni_list list = {0};
	struct cni_attachment attachment = {0};
	find_result(pod);
	int r = open_attachment(pod, &arena, &list, &attachment, err);
	if (r == 0)
		r = cni_delete(pod->node, &list, &attachment, err);
	if (r < 0)
		return err_add(err, r, "pod %.12s", pod->id);
	forget(pod);
	return 0;
}

/* --- what the pod is told --- */

/* The pod's name stands for its addresses, no longer for the loopback device's. */
static int add_to_hosts(const struct pod *pod, struct arena *arena, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = FILE_BYTES_MAX};
	scoped_free char *path = NULL;
	const char *hostname = pod_hostname(pod, arena);
	const char *line = hostname ? arena_printf(arena, "127.0.0.1\t%s\n", hostname) : NULL;
	int r = line ? read_file(pod, "hosts", &text, &path, err) : -ENOMEM;
	if (r < 0)
		return r;
	if (text.data && str_ends_with(text.data, line)) {
		text.size -= strlen(line);
		text.data[text.size] = '\0';
	}
	for (size_t i = 0; r == 0 && i < pod->network.addresses_count; i++)
		r = buf_printf(&text, "%s\t%s\n", pod->network.addresses[i], hostname);
	return r < 0 ? r : write_file(path, &text, err);
}

static int add_words(struct buf *text, const char *keyword, const char *const *words)
{
	int r = words && *words ? buf_add_text(text, keyword) : 0;
	for (const char *const *word = words; r == 0 && word && *word; word++)
		r = strpbrk(*word, " \t\r\n") ? -EINVAL : buf_printf(text, " %s", *word);
	return r < 0 || !words || !*words ? r : buf_add_char(text, '\n');
}

/* Section 5, "dns": for pods that say nothing themselves. A kubelet's always do. */
static int write_resolv_conf(const struct pod *pod, const struct cni_dns *dns, struct err *err)
{
	const Cri__DNSConfig *own = pod->config->dns_config;
	bool has_own = own && own->n_servers + own->n_searches + own->n_options;
	if (has_own || !dns->nameservers || !*dns->nameservers)
		return 0;
	scoped_done(buf_done) struct buf before = {.max = FILE_BYTES_MAX};
	scoped_done(buf_done) struct buf text = {.max = FILE_BYTES_MAX};
	scoped_free char *path = NULL;
	const char *const domain[] = {str_empty(dns->domain) ? NULL : dns->domain, NULL};
	int r = read_file(pod, "resolv.conf", &before, &path, err);
	if (r == 0)
		r = add_words(&text, "domain", domain);
	if (r == 0)
		r = add_words(&text, "search", dns->search);
	for (size_t i = 0; r == 0 && dns->nameservers[i]; i++)
		r = add_words(&text, "nameserver", (const char *const[]){dns->nameservers[i], NULL});
	if (r == 0)
		r = add_words(&text, "options", dns->options);
	if (r == -EINVAL)
		return err_set(err, r, "cni.result", "network \"%s\": dns: expected words without blanks",
			       pod->record.network->name);
	return r < 0 ? r : write_file(path, &text, err);
}

static int take_result(struct pod *pod, struct arena *arena, struct err *err)
{
	const struct network_record *record = &pod->network.record;
	struct cni_result result = {0};
	int r = cni_result_decode(record->name, record->result, arena, &result, err);
	if (r == 0)
		r = membership_take_addresses(&pod->network, &result, &pod->arena);
	if (r == 0)
		r = add_to_hosts(pod, arena, err);
	return r < 0 ? r : write_resolv_conf(pod, &result.dns, err);
}

/* Kept in memory and, until the record has it, in a file of this boot. */
static int note_result(json_t *result, void *data, struct err *err)
{
	struct pod *pod = data;
	scoped_free char *files = pod_files_path(pod);
	scoped_free char *path = files ? str_printf("%s/" RESULT_FILE, files) : NULL;
	scoped_free char *text = json_dumps(result, JSON_COMPACT);
	if (!path || !text)
		return -ENOMEM;
	json_decref(pod->network.record.result);
	pod->network.record.result = json_incref(result);
	return file_replace_at(AT_FDCWD, path, text, strlen(text), 0600, FILE_VOLATILE, err);
}

int pod_network_attach(struct pod *pod, struct err *err)
{
	if (!pod->record.network)
		return 0;
	scoped_done(arena_done) struct arena arena = {.max = LIST_ARENA_MAX};
	scoped_done(cni_list_done) struct cni_list list = {0};
	struct cni_attachment attachment = {0};
	int r = open_attachment(pod, &arena, &list, &attachment, err);
	const struct cni_listener listener = {.on_result = note_result, .data = pod};
	if (r == 0)
		r = cni_add(pod->node, &list, &attachment, &listener, err);
	return r < 0 ? r : take_result(pod, &arena, err);
}

/* --- what has changed while nobody watched --- */

static void check_pod(struct node *node, struct pod *pod)
{
	struct err err = {0};
	if (fiber_lock(node->fibers, &pod->lock) < 0)
		return;
	int r = pod_network_check(pod, &err);
	fiber_unlock(node->fibers, &pod->lock);
	if (r < 0 && r != -ECANCELED)
		log_err(&node->log, &err, r, "the network of pod %s is not as it was", pod->id);
}

/* In the order of their ids: pods come and go meanwhile. */
static struct pod *next_pod(const struct node *node, const char *after)
{
	for (size_t i = 0; i < node->pods.count; i++) {
		struct pod *pod = node->pods.objects[i];
		if (strcmp(pod->id, after) > 0)
			return pod_ref(pod);
	}
	return NULL;
}

static void check_all(void *data)
{
	struct node *node = data;
	char last[ID_TEXT_MAX] = "";
	while (!node->stopping) {
		scoped(pod_unref) struct pod *pod = next_pod(node, last);
		if (!pod)
			return;
		check_pod(node, pod);
		memcpy(last, pod->id, sizeof last);
	}
}

int pod_network_check_all(struct node *node)
{
	return node->pods.count ? fiber_start(node->fibers, check_all, node, NULL) : 0;
}

#include "manager/src/pod_network_args.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "manager/src/quantity.h"

#define ANNOTATION_INGRESS "kubernetes.io/ingress-bandwidth"
#define ANNOTATION_EGRESS "kubernetes.io/egress-bandwidth"

/* What kubelets accept (pkg/util/bandwidth). */
#define RATE_MIN UINT64_C(1000)
#define RATE_MAX UINT64_C(1000000000000000)
/* A tenth of a second may pass at once, at least 128 KiB: large segments go through, and the limit is felt from the start.
 * (containerd and CRI-O give 2^32 - 1: half a gigabyte before anything is limited.) */
#define BURST_PARTS 10
#define BURST_MIN (UINT64_C(128) * 1024 * 8)
#define BURST_MAX UINT64_C(0xffffffff) /* the plugin's */
#define PORT_MAX 65535

/* --- CNI_ARGS --- */

int pod_network_args(const char *id, const Cri__PodSandboxMetadata *metadata, struct arena *arena, const char **ret_args,
		     struct err *err)
{
	const char *const values[] = {metadata->namespace_, metadata->name, metadata->uid};
	for (size_t i = 0; i < ARRAY_COUNT(values); i++)
		if (strpbrk(values[i], ";="))
			return err_set(err, -EINVAL, "pod.metadata",
				       "\"%.80s\": a name of a pod in a network: expected neither ';' nor '='", values[i]);
	*ret_args = arena_printf(arena,
				 "IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;K8S_POD_INFRA_CONTAINER_ID=%s;"
				 "K8S_POD_UID=%s",
				 metadata->namespace_, metadata->name, id, metadata->uid);
	return *ret_args ? 0 : -ENOMEM;
}

/* --- capabilities --- */

static const char *annotation(const Cri__PodSandboxConfig *config, const char *key)
{
	for (size_t i = 0; i < config->n_annotations; i++)
		if (str_equal(config->annotations[i]->key, key))
			return config->annotations[i]->value;
	return NULL;
}

/* Takes @value. */
static int add(json_t *all, const char *capability, json_t *value)
{
	return value && json_object_set_new(all, capability, value) == 0 ? 0 : -ENOMEM;
}

struct port_mapping {
	int32_t host_port;
	int32_t container_port;
	const char *protocol;
	const char *host_ip;
};

static const struct json_field PORT_MAPPING_FIELDS[] = {
	JSON_FIELD(struct port_mapping, host_port, "hostPort", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct port_mapping, container_port, "containerPort", JSON_I32, JSON_KEEP),
	JSON_FIELD(struct port_mapping, protocol, "protocol", JSON_STRING_T, 0),
	JSON_FIELD(struct port_mapping, host_ip, "hostIP", JSON_STRING_T, 0),
};
static const struct json_table PORT_MAPPING = JSON_TABLE(struct port_mapping, PORT_MAPPING_FIELDS);

static const char *const PROTOCOLS[] = {
	[CRI__PROTOCOL__TCP] = "tcp",
	[CRI__PROTOCOL__UDP] = "udp",
	[CRI__PROTOCOL__SCTP] = "sctp",
};

bool pod_network_wants_ports(const Cri__PodSandboxConfig *config)
{
	for (size_t i = 0; i < config->n_port_mappings; i++)
		if (config->port_mappings[i]->host_port > 0)
			return true;
	return false;
}

static bool is_address(const char *text)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static int add_port(json_t *list, const Cri__PortMapping *asked, struct err *err)
{
	if (asked->host_port > PORT_MAX || asked->container_port < 1 || asked->container_port > PORT_MAX)
		return err_set(err, -EINVAL, "pod.ports", "port %d of the host to %d: expected 1 to %d", asked->host_port,
			       asked->container_port, PORT_MAX);
	if ((size_t)asked->protocol >= ARRAY_COUNT(PROTOCOLS))
		return err_set(err, -EINVAL, "pod.ports", "port %d of the host: expected the protocol TCP, UDP or SCTP",
			       asked->host_port);
	if (!str_empty(asked->host_ip) && !is_address(asked->host_ip))
		return err_set(err, -EINVAL, "pod.ports", "port %d of the host: expected an address, found \"%.60s\"",
			       asked->host_port, asked->host_ip);
	const struct port_mapping mapping = {
		.host_port = asked->host_port,
		.container_port = asked->container_port,
		.protocol = PROTOCOLS[asked->protocol],
		.host_ip = str_empty(asked->host_ip) ? NULL : asked->host_ip,
	};
	return json_array_append_new(list, json_encode_value(&PORT_MAPPING, &mapping)) == 0 ? 0 : -ENOMEM;
}

/* A port without one of the host is only information. */
static int add_ports(const Cri__PodSandboxConfig *config, json_t *all, struct err *err)
{
	if (!pod_network_wants_ports(config))
		return 0;
	json_t *list = json_array();
	int r = list ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < config->n_port_mappings; i++)
		if (config->port_mappings[i]->host_port > 0)
			r = add_port(list, config->port_mappings[i], err);
	if (r == 0)
		return add(all, "portMappings", list);
	json_decref(list);
	return r;
}

struct bandwidth {
	uint64_t ingress_rate; /* bits per second, and bits: into the pod */
	uint64_t ingress_burst;
	uint64_t egress_rate;
	uint64_t egress_burst;
};

static const struct json_field BANDWIDTH_FIELDS[] = {
	JSON_FIELD(struct bandwidth, ingress_rate, "ingressRate", JSON_U64, 0),
	JSON_FIELD(struct bandwidth, ingress_burst, "ingressBurst", JSON_U64, 0),
	JSON_FIELD(struct bandwidth, egress_rate, "egressRate", JSON_U64, 0),
	JSON_FIELD(struct bandwidth, egress_burst, "egressBurst", JSON_U64, 0),
};
static const struct json_table BANDWIDTH = JSON_TABLE(struct bandwidth, BANDWIDTH_FIELDS);

static int read_rate(const Cri__PodSandboxConfig *config, const char *key, uint64_t *ret_rate, uint64_t *ret_burst,
		     struct err *err)
{
	const char *text = annotation(config, key);
	if (!text)
		return 0;
	uint64_t rate = 0;
	if (quantity_parse(text, &rate) < 0 || rate < RATE_MIN || rate > RATE_MAX)
		return err_set(err, -EINVAL, "pod.bandwidth",
			       "annotation %s: \"%.60s\": expected bits per second from 1k to 1P, such as \"10M\"", key, text);
	uint64_t burst = rate / BURST_PARTS;
	*ret_rate = rate;
	*ret_burst = burst < BURST_MIN ? BURST_MIN : burst > BURST_MAX ? BURST_MAX : burst;
	return 0;
}

static int add_bandwidth(const Cri__PodSandboxConfig *config, json_t *all, struct err *err)
{
	struct bandwidth wanted = {0};
	int r = read_rate(config, ANNOTATION_INGRESS, &wanted.ingress_rate, &wanted.ingress_burst, err);
	if (r == 0)
		r = read_rate(config, ANNOTATION_EGRESS, &wanted.egress_rate, &wanted.egress_burst, err);
	if (r < 0 || !(wanted.ingress_rate | wanted.egress_rate))
		return r;
	return add(all, "bandwidth", json_encode_value(&BANDWIDTH, &wanted));
}

static json_t *make_strings(const char *const *texts, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < count; i++)
		if (json_array_append_new(list, json_string(texts[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static int add_dns(const Cri__PodSandboxConfig *config, json_t *all, struct err *err)
{
	(void)err;
	const Cri__DNSConfig *dns = config->dns_config;
	if (!dns || !(dns->n_servers + dns->n_searches + dns->n_options))
		return 0;
	json_t *value = json_object();
	int r = value ? 0 : -ENOMEM;
	if (r == 0)
		r = add(value, "servers", make_strings((const char *const *)dns->servers, dns->n_servers));
	if (r == 0)
		r = add(value, "searches", make_strings((const char *const *)dns->searches, dns->n_searches));
	if (r == 0)
		r = add(value, "options", make_strings((const char *const *)dns->options, dns->n_options));
	if (r == 0)
		return add(all, "dns", value);
	json_decref(value);
	return r;
}

static int add_mac(const Cri__PodSandboxConfig *config, json_t *all, struct err *err)
{
	const char *mac = annotation(config, ANNOTATION_MAC);
	if (!mac)
		return 0;
	bool valid = strlen(mac) == 17;
	for (size_t i = 0; valid && i < 17; i++)
		valid = i % 3 == 2 ? mac[i] == ':' : strchr("0123456789abcdefABCDEF", mac[i]) != NULL;
	if (!valid)
		return err_set(err, -EINVAL, "pod.network", "annotation " ANNOTATION_MAC ": \"%.60s\": expected a MAC address "
							    "such as \"02:00:00:00:00:01\"", mac);
	return add(all, "mac", json_string(mac));
}

/* "10.1.0.7/24"; without @prefix_required also "10.1.0.7". */
static bool is_address_with_prefix(const char *text, bool prefix_required)
{
	char address[INET6_ADDRSTRLEN] = "";
	uint64_t prefix = 0;
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	if (length >= sizeof address || (!slash && prefix_required))
		return false;
	memcpy(address, text, length);
	return is_address(address) && (!slash || parse_u64(slash + 1, 0, strchr(address, ':') ? 128 : 32, &prefix) == 0);
}

static int add_ips(const Cri__PodSandboxConfig *config, json_t *all, struct err *err)
{
	const char *text = annotation(config, ANNOTATION_IPS);
	if (!text)
		return 0;
	scoped(strv_free) char **addresses = str_split(text, ',');
	if (!addresses)
		return -ENOMEM;
	for (size_t i = 0; addresses[i]; i++)
		if (!is_address_with_prefix(addresses[i], false))
			return err_set(err, -EINVAL, "pod.network",
				       "annotation " ANNOTATION_IPS ": \"%.60s\": expected addresses such as "
				       "\"10.1.0.7/24,fd00::7/64\"", text);
	return add(all, "ips", make_strings((const char *const *)addresses, strv_count((const char *const *)addresses)));
}

/* One set of ranges for each CIDR: an address of each. */
static int add_ip_ranges(const char *pod_cidr, json_t *all, struct err *err)
{
	if (str_empty(pod_cidr))
		return 0;
	scoped(strv_free) char **subnets = str_split(pod_cidr, ',');
	json_t *sets = json_array();
	int r = subnets && sets ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && subnets[i]; i++)
		if (!is_address_with_prefix(subnets[i], true))
			r = err_set(err, -EINVAL, "pod.network", "pod CIDR \"%.100s\": expected such as "
								 "\"10.1.0.0/24,fd00::/64\"", pod_cidr);
		else if (json_array_append_new(sets, json_pack("[{s:s}]", "subnet", subnets[i])) < 0)
			r = -ENOMEM;
	if (r == 0)
		return add(all, "ipRanges", sets);
	json_decref(sets);
	return r;
}

static int add_annotations(const Cri__PodSandboxConfig *config, json_t *all, struct err *err)
{
	(void)err;
	json_t *value = json_object();
	int r = value ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < config->n_annotations; i++)
		r = add(value, config->annotations[i]->key, json_string(config->annotations[i]->value));
	if (r == 0)
		return add(all, "io.kubernetes.cri.pod-annotations", value);
	json_decref(value);
	return r;
}

static int add_cgroup(const Cri__PodSandboxConfig *config, json_t *all, struct err *err)
{
	(void)err;
	if (!config->linux || str_empty(config->linux->cgroup_parent))
		return 0;
	return add(all, "cgroupPath", json_string(config->linux->cgroup_parent));
}

int pod_network_capabilities(const Cri__PodSandboxConfig *config, const char *pod_cidr, json_t **ret_capabilities,
			     struct err *err)
{
	static int (*const ADD[])(const Cri__PodSandboxConfig *config, json_t *all, struct err *err) = {
		add_ports, add_bandwidth, add_dns, add_mac, add_ips, add_annotations, add_cgroup,
	};
	json_t *all = json_object();
	int r = all ? add_ip_ranges(pod_cidr, all, err) : -ENOMEM;
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(ADD); i++)
		r = ADD[i](config, all, err);
	if (r == 0) {
		*ret_capabilities = all;
		return 0;
	}
	json_decref(all);
	return r;
}

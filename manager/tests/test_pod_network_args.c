#include "manager/src/pod_network_args.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/test_main.h"

struct fixture {
	Cri__PodSandboxConfig config;
	Cri__PortMapping port;
	Cri__PortMapping *ports[1];
	Cri__MapEntry annotations[4];
	Cri__MapEntry *annotation_list[4];
	Cri__DNSConfig dns;
};

static void setup(struct fixture *fixture)
{
	memset(fixture, 0, sizeof *fixture);
	cri__pod_sandbox_config__init(&fixture->config);
	cri__port_mapping__init(&fixture->port);
	cri__dnsconfig__init(&fixture->dns);
	fixture->ports[0] = &fixture->port;
	fixture->config.annotations = fixture->annotation_list;
}

static void annotate(struct fixture *fixture, const char *key, const char *value)
{
	size_t i = fixture->config.n_annotations++;
	cri__map_entry__init(&fixture->annotations[i]);
	fixture->annotations[i].key = key;
	fixture->annotations[i].value = value;
	fixture->annotation_list[i] = &fixture->annotations[i];
}

static void expect(const struct fixture *fixture, const char *pod_cidr, const char *capability, const char *json)
{
	json_t *all = NULL;
	struct err err = {0};
	int r = pod_network_capabilities(&fixture->config, pod_cidr, &all, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	json_t *wanted = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
	const json_t *found = json_object_get(all, capability);
	ck_assert(json ? wanted && json_equal(found, wanted) : !found);
	json_decref(wanted);
	json_decref(all);
}

START_TEST(nothing_is_asked_for_nothing)
{
	struct fixture fixture;
	setup(&fixture);
	static const char *const ALL[] = {"portMappings", "bandwidth", "dns", "mac", "ips", "ipRanges", "cgroupPath"};
	for (size_t i = 0; i < ARRAY_COUNT(ALL); i++)
		expect(&fixture, NULL, ALL[i], NULL);
	expect(&fixture, "", "ipRanges", NULL);
}
END_TEST

START_TEST(ports_of_the_host)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.config.port_mappings = fixture.ports;
	fixture.config.n_port_mappings = 1;
	fixture.port.container_port = 80;
	expect(&fixture, NULL, "portMappings", NULL); /* information only */
	ck_assert(!pod_network_wants_ports(&fixture.config));
	fixture.port.host_port = 8080;
	expect(&fixture, NULL, "portMappings", "[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\"}]");
	fixture.port.protocol = CRI__PROTOCOL__SCTP;
	fixture.port.host_ip = "127.0.0.1";
	expect(&fixture, NULL, "portMappings",
	       "[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"sctp\",\"hostIP\":\"127.0.0.1\"}]");
	ck_assert(pod_network_wants_ports(&fixture.config));
}
END_TEST

START_TEST(bandwidth_of_the_kubelets_annotations)
{
	struct fixture fixture;
	setup(&fixture);
	annotate(&fixture, "kubernetes.io/ingress-bandwidth", "100M");
	expect(&fixture, NULL, "bandwidth", "{\"ingressRate\":100000000,\"ingressBurst\":10000000}");
	annotate(&fixture, "kubernetes.io/egress-bandwidth", "1k");
	expect(&fixture, NULL, "bandwidth",
	       "{\"ingressRate\":100000000,\"ingressBurst\":10000000,\"egressRate\":1000,\"egressBurst\":1048576}");
}
END_TEST

START_TEST(addresses_names_and_ranges)
{
	struct fixture fixture;
	setup(&fixture);
	annotate(&fixture, ANNOTATION_MAC, "02:00:00:0a:0B:01");
	annotate(&fixture, ANNOTATION_IPS, "10.1.0.7/24,fd00::7");
	expect(&fixture, NULL, "mac", "\"02:00:00:0a:0B:01\"");
	expect(&fixture, NULL, "ips", "[\"10.1.0.7/24\",\"fd00::7\"]");
	expect(&fixture, "10.1.0.0/24,fd00::/64", "ipRanges", "[[{\"subnet\":\"10.1.0.0/24\"}],[{\"subnet\":\"fd00::/64\"}]]");
	expect(&fixture, NULL, "io.kubernetes.cri.pod-annotations",
	       "{\"" ANNOTATION_MAC "\":\"02:00:00:0a:0B:01\",\"" ANNOTATION_IPS "\":\"10.1.0.7/24,fd00::7\"}");
	const char *servers[] = {"10.0.0.10"};
	fixture.dns.servers = servers;
	fixture.dns.n_servers = 1;
	fixture.config.dns_config = &fixture.dns;
	expect(&fixture, NULL, "dns", "{\"servers\":[\"10.0.0.10\"],\"searches\":[],\"options\":[]}");
}
END_TEST

static const struct {
	const char *key;
	const char *value;
	int host_port;
	int container_port;
	const char *host_ip;
	const char *words;
} REFUSED[] = {
	{.key = "kubernetes.io/ingress-bandwidth", .value = "fast", .words = "\"fast\""},
	{.key = "kubernetes.io/egress-bandwidth", .value = "1", .words = "from 1k to 1P"},
	{.key = "kubernetes.io/egress-bandwidth", .value = "2P", .words = "from 1k to 1P"},
	{.key = ANNOTATION_MAC, .value = "02:00:00:00:00", .words = "MAC"},
	{.key = ANNOTATION_MAC, .value = "02-00-00-00-00-01", .words = "MAC"},
	{.key = ANNOTATION_IPS, .value = "10.1.0.7,", .words = "addresses"},
	{.key = ANNOTATION_IPS, .value = "10.1.0.7/33", .words = "addresses"},
	{.host_port = 70000, .container_port = 80, .words = "70000"},
	{.host_port = 80, .words = "80 of the host to 0"},
	{.host_port = 80, .container_port = 80, .host_ip = "localhost", .words = "\"localhost\""},
};

START_TEST(what_is_wrong_is_named)
{
	struct fixture fixture;
	json_t *all = NULL;
	struct err err = {0};
	setup(&fixture);
	if (REFUSED[_i].key)
		annotate(&fixture, REFUSED[_i].key, REFUSED[_i].value);
	fixture.port.host_port = REFUSED[_i].host_port;
	fixture.port.container_port = REFUSED[_i].container_port;
	if (REFUSED[_i].host_ip)
		fixture.port.host_ip = REFUSED[_i].host_ip;
	fixture.config.port_mappings = fixture.ports;
	fixture.config.n_port_mappings = 1;
	ck_assert_int_eq(pod_network_capabilities(&fixture.config, NULL, &all, &err), -EINVAL);
	ck_assert_msg(strstr(err.message, REFUSED[_i].words) != NULL, "%s", err.message);
}
END_TEST

START_TEST(a_pod_is_named_to_the_plugins)
{
	struct arena arena = {.max = 4096};
	Cri__PodSandboxMetadata metadata;
	cri__pod_sandbox_metadata__init(&metadata);
	metadata.name = "web";
	metadata.namespace_ = "default";
	metadata.uid = "u1";
	const char *args = NULL;
	ck_assert_int_eq(pod_network_args("abc", &metadata, &arena, &args, NULL), 0);
	ck_assert_str_eq(args, "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;"
			       "K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=u1");
	metadata.name = "web;K8S_POD_UID=other";
	ck_assert_int_eq(pod_network_args("abc", &metadata, &arena, &args, NULL), -EINVAL);
	arena_done(&arena);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, nothing_is_asked_for_nothing);
	tcase_add_test(cases, ports_of_the_host);
	tcase_add_test(cases, bandwidth_of_the_kubelets_annotations);
	tcase_add_test(cases, addresses_names_and_ranges);
	tcase_add_loop_test(cases, what_is_wrong_is_named, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, a_pod_is_named_to_the_plugins);
}

TEST_MAIN("pod-network-args", add_tests)

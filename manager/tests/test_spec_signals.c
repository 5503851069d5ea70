#include "manager/src/spec.h"

#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "manager/src/spec_internal.h"

struct sample {
	struct arena arena;
	Cri__PodSandboxMetadata metadata;
	Cri__PodSandboxConfig pod;
	Cri__ContainerConfig container;
	Cri__MapEntry entries[4];
	Cri__MapEntry *pairs[4];
	struct spec_signals signals;
	struct spec_input input;
	struct spec_cuts cuts;
	struct spec_builder builder;
	struct oci_spec spec;
};

static void init(struct sample *sample)
{
	*sample = (struct sample){.arena = {.max = 1 << 16},
				  .signals = {.hook = "/usr/libexec/axle/axsignal-hook", .socket = "/run/control.sock",
					      .image_digests = "sha256:a sha256:b"}};
	cri__pod_sandbox_metadata__init(&sample->metadata);
	cri__pod_sandbox_config__init(&sample->pod);
	cri__container_config__init(&sample->container);
	sample->metadata.name = "dash";
	sample->metadata.namespace_ = "fleet";
	sample->pod.metadata = &sample->metadata;
	for (size_t i = 0; i < ARRAY_COUNT(sample->pairs); i++) {
		cri__map_entry__init(&sample->entries[i]);
		sample->pairs[i] = &sample->entries[i];
	}
	sample->input = (struct spec_input){.pod = &sample->pod, .container = &sample->container, .signals = &sample->signals};
	sample->builder = (struct spec_builder){.input = &sample->input, .arena = &sample->arena, .cuts = &sample->cuts};
}

static void set(struct sample *sample, size_t i, const char *key, const char *value)
{
	sample->entries[i].key = (char *)(uintptr_t)key;
	sample->entries[i].value = (char *)(uintptr_t)value;
}

static bool has_argument(const struct oci_hook *hook, const char *argument)
{
	for (size_t i = 0; hook->args[i]; i++)
		if (str_equal(hook->args[i], argument))
			return true;
	return false;
}

START_TEST(who_asks_for_nothing_gets_no_hook)
{
	struct sample sample;
	init(&sample);
	set(&sample, 0, "axle.signals", "x");
	sample.pod.annotations = sample.pairs;
	sample.pod.n_annotations = 1;
	ck_assert_int_eq(spec_make_signals(&sample.builder, &sample.spec), 0);
	ck_assert_ptr_null(sample.spec.hooks);
	ck_assert_uint_eq(sample.spec.annotations_count, 0);
	ck_assert_uint_eq(sample.cuts.count, 0);
	arena_done(&sample.arena);
}
END_TEST

START_TEST(the_hook_is_told_who_the_container_is)
{
	struct sample sample;
	init(&sample);
	set(&sample, 0, "axle.signals.read", "Vehicle.Speed");
	set(&sample, 1, "sa", "--control=/evil");
	sample.pod.annotations = sample.pairs;
	sample.pod.n_annotations = 2;
	sample.signals.service_account = "sa";
	ck_assert_int_eq(spec_make_signals(&sample.builder, &sample.spec), 0);
	ck_assert_ptr_nonnull(sample.spec.hooks);
	ck_assert_uint_eq(sample.spec.hooks->create_runtime_count, 1);
	const struct oci_hook *hook = sample.spec.hooks->create_runtime;
	ck_assert_str_eq(hook->path, "/usr/libexec/axle/axsignal-hook");
	static const char *const EXPECTED[] = {"--control=/run/control.sock", "--manager=axled", "--namespace=fleet", "--pod=dash",
					       "--service-account=--control=/evil", "--image=sha256:a sha256:b"};
	for (size_t i = 0; i < ARRAY_COUNT(EXPECTED); i++)
		ck_assert_msg(has_argument(hook, EXPECTED[i]), "%s", EXPECTED[i]);
	ck_assert_uint_eq(sample.spec.annotations_count, 1);
	ck_assert_str_eq(sample.spec.annotations[0].value, "Vehicle.Speed");
	arena_done(&sample.arena);
}
END_TEST

START_TEST(the_containers_own_request_wins_and_other_hooks_stay)
{
	struct sample sample;
	static const struct oci_hook OTHER = {.path = "/other"};
	static const struct oci_hooks OTHERS = {.create_runtime = &OTHER, .create_runtime_count = 1};
	static const struct json_pair THERE[] = {{"axle.signals.read", "Vehicle.**"}, {"more", "here"}};
	init(&sample);
	set(&sample, 0, "axle.signals.read", "Vehicle.**");
	set(&sample, 1, "axle.signals.read", "Vehicle.Speed");
	sample.pod.annotations = sample.pairs;
	sample.pod.n_annotations = 1;
	sample.container.annotations = sample.pairs + 1;
	sample.container.n_annotations = 1;
	sample.spec = (struct oci_spec){.hooks = &OTHERS, .annotations = THERE, .annotations_count = 2};
	ck_assert_int_eq(spec_make_signals(&sample.builder, &sample.spec), 0);
	ck_assert_uint_eq(sample.spec.hooks->create_runtime_count, 2);
	ck_assert_str_eq(sample.spec.hooks->create_runtime[0].path, "/other");
	ck_assert_uint_eq(sample.spec.annotations_count, 2);
	ck_assert_str_eq(sample.spec.annotations[0].value, "Vehicle.Speed");
	arena_done(&sample.arena);
}
END_TEST

START_TEST(a_node_without_the_service_says_so)
{
	struct sample sample;
	init(&sample);
	set(&sample, 0, "axle.signals.publish", "Vehicle.Speed");
	sample.container.annotations = sample.pairs;
	sample.container.n_annotations = 1;
	sample.input.signals = NULL;
	ck_assert_int_eq(spec_make_signals(&sample.builder, &sample.spec), 0);
	ck_assert_ptr_null(sample.spec.hooks);
	ck_assert_uint_eq(sample.cuts.count, 1);
	ck_assert_ptr_nonnull(strstr(sample.cuts.lines[0], "no signal service"));
	arena_done(&sample.arena);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, who_asks_for_nothing_gets_no_hook);
	tcase_add_test(cases, the_hook_is_told_who_the_container_is);
	tcase_add_test(cases, the_containers_own_request_wins_and_other_hooks_stay);
	tcase_add_test(cases, a_node_without_the_service_says_so);
}

TEST_MAIN("spec_signals", add_tests)

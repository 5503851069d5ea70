/* Which manifest of an index runs on a machine (image-index.md, "platform"; GOARCH names). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "image/src/model.h"

static const struct {
	const char *machine; /* of uname(2) */
	const char *architecture;
	const char *variant;
} MACHINES[] = {
	{"x86_64", "amd64", ""},   {"aarch64", "arm64", "v8"}, {"armv7l", "arm", "v7"},	  {"armv6l", "arm", "v6"},
	{"i686", "386", ""},	   {"riscv64", "riscv64", ""}, {"ppc64le", "ppc64le", ""}, {"s390x", "s390x", ""},
	{"loongarch64", "loong64", ""},
};

struct model_platform model_platform_of_machine(void)
{
	struct utsname name;
	if (uname(&name) == 0)
		for (size_t i = 0; i < ARRAY_COUNT(MACHINES); i++)
			if (strcmp(MACHINES[i].machine, name.machine) == 0)
				return (struct model_platform){MACHINES[i].architecture, "linux", MACHINES[i].variant};
	return (struct model_platform){"unknown", "linux", ""};
}

/* How well @offered serves @wanted: 0 not at all, more is better. arm64 without a variant is v8. */
static int rank(const struct model_platform *offered, const struct model_platform *wanted)
{
	if (!offered || !str_equal(offered->os, wanted->os) || !str_equal(offered->architecture, wanted->architecture))
		return 0;
	const char *have = offered->variant ? offered->variant : "";
	const char *want = wanted->variant ? wanted->variant : "";
	if (str_equal(have, want))
		return 100;
	if (!*have)
		return 90;
	if (!*want)
		return 80;
	/* arm: v7 runs what was built for v6 and v5, the newest of them best */
	if (have[0] == 'v' && want[0] == 'v' && have[1] >= '1' && have[1] < want[1])
		return 10 + have[1] - '0';
	return 0;
}

static int nothing_fits(const struct model_index *index, const struct model_platform *wanted, struct err *err)
{
	char list[300] = "";
	size_t at = 0;
	for (size_t i = 0; i < index->manifests_count && at < sizeof list - 1; i++) {
		const struct model_platform *platform = index->manifests[i].platform;
		if (!platform || str_equal(platform->os, "unknown")) /* an attestation of a builder, no image */
			continue;
		int n = snprintf(list + at, sizeof list - at, "%s%s/%s%s%s", at ? ", " : "",
				 platform->os ? platform->os : "?", platform->architecture ? platform->architecture : "?",
				 str_empty(platform->variant) ? "" : "/",
				 str_empty(platform->variant) ? "" : platform->variant);
		at += n > 0 ? (size_t)n : 0;
	}
	return err_set(err, -ENOEXEC, "image.no-platform", "no image for %s/%s%s%s: there is %s", wanted->os,
		       wanted->architecture, str_empty(wanted->variant) ? "" : "/", wanted->variant ? wanted->variant : "",
		       *list ? list : "none with a platform");
}

int model_choose_platform(const struct model_index *index, const struct model_platform *wanted,
			  const struct model_descriptor **ret_descriptor, struct err *err)
{
	const struct model_descriptor *best = NULL;
	int best_rank = 0;
	for (size_t i = 0; i < index->manifests_count; i++) {
		int r = rank(index->manifests[i].platform, wanted);
		if (r > best_rank) {
			best_rank = r;
			best = &index->manifests[i];
		}
	}
	if (!best && index->manifests_count == 1 && !index->manifests[0].platform)
		best = &index->manifests[0]; /* a layout of one image says no platform: its configuration does */
	if (!best)
		return nothing_fits(index, wanted, err);
	*ret_descriptor = best;
	return 0;
}

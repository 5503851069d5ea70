/* axcgroup1: runs a program that is shown controllers on cgroup v1 alone, for OCI runtimes that refuse the mix (crun). */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"

/* With an empty list of controllers on v2 it is a tree to track processes by, which crun takes. Only what lies over that
 * file is kept from the host: all mounts propagate as they did. */
static int hide_controllers(struct err *err)
{
	scoped_done(cgroup_layout_done) struct cgroup_layout layout = {0};
	int r = cgroup_layout_open(CGROUP_ROOT, &layout, err);
	if (r < 0 || layout.v2_index < 0 || layout.pure_v2)
		return r;
	const char *directory = layout.hierarchies[layout.v2_index].directory;
	scoped_free char *tree = str_printf("%s/%s", CGROUP_ROOT, directory);
	scoped_free char *list = str_printf("%s/%s/cgroup.controllers", CGROUP_ROOT, directory);
	if (!tree || !list)
		return err_memory(err, "the view of cgroups");
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "cgroup.view", "make a mount namespace");
	if (mount(NULL, tree, NULL, MS_PRIVATE, NULL) < 0 || mount("/dev/null", list, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, -errno, "cgroup.view", "hide %s", list);
	return 0;
}

static int usage(FILE *stream, int code)
{
	(void)fprintf(stream, "usage: axcgroup1 PROGRAM [ARGUMENT...]\n\n"
			      "Runs a program that is shown controllers on cgroup v1 alone; see axcgroup1(8).\n");
	return code;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	if (argc > 1 && str_equal(argv[1], "--version"))
		return puts("axcgroup1 " AXLE_VERSION) < 0;
	if (argc > 1 && str_equal(argv[1], "--help"))
		return usage(stdout, EXIT_SUCCESS);
	if (argc < 2 || argv[1][0] == '-')
		return usage(stderr, 2);
	int r = hide_controllers(&err);
	if (r < 0) {
		(void)fprintf(stderr, "axcgroup1: %s\n", err_text(&err, r));
		return EXIT_FAILURE;
	}
	(void)execvp(argv[1], argv + 1);
	(void)fprintf(stderr, "axcgroup1: execute %s: %s\n", argv[1], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}

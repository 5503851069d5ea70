#include "runtime/src/axrun/device_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/cgroup.h"
#include "runtime/src/axrun/device_program.h"
#include "runtime/src/axrun/device_rule.h"

static const struct device_rule CLOSED = {false, 'a', -1, -1, DEVICE_ALL};

/* Making a node is harmless, using one is not: so mknod of all, and the use of the default devices and of terminals. */
static const struct device_rule DEFAULTS[] = {
	{true, 'c', -1, -1, DEVICE_MKNOD}, {true, 'b', -1, -1, DEVICE_MKNOD}, {true, 'c', 1, 3, DEVICE_ALL} /* null */,
	{true, 'c', 1, 5, DEVICE_ALL} /* zero */, {true, 'c', 1, 7, DEVICE_ALL} /* full */,
	{true, 'c', 1, 8, DEVICE_ALL} /* random */, {true, 'c', 1, 9, DEVICE_ALL} /* urandom */,
	{true, 'c', 5, 0, DEVICE_ALL} /* tty */, {true, 'c', 5, 1, DEVICE_ALL} /* console */,
	{true, 'c', 5, 2, DEVICE_ALL} /* ptmx */, {true, 'c', 136, -1, DEVICE_ALL} /* pts */,
};

static unsigned parse_access(const char *text)
{
	if (!text || !*text)
		return DEVICE_ALL;
	unsigned access = 0;
	for (; *text; text++)
		access |= *text == 'r' ? DEVICE_READ : *text == 'w' ? DEVICE_WRITE : *text == 'm' ? DEVICE_MKNOD : 0U;
	return access;
}

static int from_oci(const struct oci_device_rule *oci, struct device_rule *ret_rule, struct err *err)
{
	char type = oci->type && *oci->type ? oci->type[0] : 'a';
	if (!strchr("abcu", type))
		return err_set(err, -EINVAL, "config.invalid", "linux.resources.devices.type: expected a, b or c, found %s",
			       oci->type);
	*ret_rule = (struct device_rule){
		.allow = oci->allow,
		.type = type == 'u' ? 'c' : type,
		.major = oci->major && *oci->major >= 0 ? *oci->major : -1,
		.minor = oci->minor && *oci->minor >= 0 ? *oci->minor : -1,
		.access = parse_access(oci->access),
	};
	return 0;
}

static bool is_everything(const struct device_rule *rule)
{
	return rule->type == 'a' && rule->major < 0 && rule->minor < 0 && rule->access == DEVICE_ALL;
}

int device_rules_list(const struct oci_resources *resources, struct device_rule **ret_rules, size_t *ret_count,
		      struct err *err)
{
	size_t most = 1 + resources->devices_count + ARRAY_COUNT(DEFAULTS);
	scoped_free struct device_rule *rules = calloc(most, sizeof *rules);
	if (!rules)
		return err_sys(err, -ENOMEM, "cgroup.devices", "device rules");
	size_t count = 0;
	rules[count++] = CLOSED;
	bool open = false;
	for (size_t i = 0; i < resources->devices_count; i++) {
		struct device_rule rule = {0};
		int r = from_oci(&resources->devices[i], &rule, err);
		if (r < 0)
			return r;
		if (is_everything(&rule)) {
			open = rule.allow;
			count = 0; /* what came before no longer matters */
		}
		rules[count++] = rule;
	}
	for (size_t i = 0; i < ARRAY_COUNT(DEFAULTS) && !open; i++)
		rules[count++] = DEFAULTS[i];
	*ret_rules = TAKE(rules);
	*ret_count = count;
	return 0;
}

static void put_number(char ret_text[static 24], int64_t number)
{
	if (number < 0)
		(void)snprintf(ret_text, 24, "*");
	else
		(void)snprintf(ret_text, 24, "%" PRId64, number);
}

static int write_text(int fd, const char *text, struct err *err)
{
	if (write(fd, text, strlen(text)) < 0)
		return err_sys(err, -errno, "cgroup.devices", "device rule \"%s\"", text);
	return 0;
}

/* cgroup-v1/devices.rst: "TYPE MAJOR:MINOR ACCESS"; 'a' alone stands for everything. */
static int write_rule(int fd, const struct device_rule *rule, struct err *err)
{
	if (is_everything(rule))
		return write_text(fd, "a", err);
	char major[24], minor[24];
	put_number(major, rule->major);
	put_number(minor, rule->minor);
	const char types[] = {rule->type == 'a' ? 'c' : rule->type, rule->type == 'a' ? 'b' : '\0', '\0'};
	for (const char *type = types; *type; type++) {
		char text[80];
		(void)snprintf(text, sizeof text, "%c %s:%s %s%s%s", *type, major, minor, rule->access & DEVICE_READ ? "r" : "",
			       rule->access & DEVICE_WRITE ? "w" : "", rule->access & DEVICE_MKNOD ? "m" : "");
		int r = write_text(fd, text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_v1(int dir_fd, const struct device_rule *rules, size_t count, struct err *err)
{
	scoped_fd int deny_fd = openat(dir_fd, "devices.deny", O_WRONLY | O_CLOEXEC);
	scoped_fd int allow_fd = openat(dir_fd, "devices.allow", O_WRONLY | O_CLOEXEC);
	if (deny_fd < 0 || allow_fd < 0)
		return err_sys(err, -errno, "cgroup.devices", "open the device lists");
	for (size_t i = 0; i < count; i++) {
		int r = write_rule(rules[i].allow ? allow_fd : deny_fd, &rules[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int device_rules_apply(const struct cgroup *group, const struct oci_resources *resources, struct err *err)
{
	bool v2 = false;
	int dir_fd = cgroup_controller_fd(group, "devices", &v2);
	if (dir_fd < 0)
		return 0;
	scoped_free struct device_rule *rules = NULL;
	size_t count = 0;
	int r = device_rules_list(resources, &rules, &count, err);
	if (r < 0)
		return r;
	return v2 ? device_program_attach(dir_fd, rules, count, err) : apply_v1(dir_fd, rules, count, err);
}

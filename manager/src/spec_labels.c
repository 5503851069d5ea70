/* AppArmor and SELinux in config.json. */
#include <errno.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/security_modules.h"
#include "manager/src/spec_internal.h"

struct wanted {
	bool standard;	  /* the default profile */
	bool demanded;	  /* in so many words */
	const char *name; /* a profile of the administrator's; NULL: none */
};

static int unknown(struct spec_builder *builder, const char *text)
{
	return err_set(builder->err, -EINVAL, "container.apparmor",
		       "AppArmor profile \"%s\": expected runtime/default, unconfined or localhost/NAME", text);
}

/* The field that came before SecurityProfile. */
static int read_legacy(struct spec_builder *builder, const char *text, struct wanted *ret_wanted)
{
	*ret_wanted = (struct wanted){.standard = str_empty(text) || str_equal(text, "runtime/default"),
				      .demanded = !str_empty(text),
				      .name = str_after_prefix(text ? text : "", "localhost/")};
	if (ret_wanted->standard || str_equal(text, "unconfined"))
		return 0;
	return str_empty(ret_wanted->name) ? unknown(builder, text) : 0;
}

static int read_wanted(struct spec_builder *builder, struct wanted *ret_wanted)
{
	const Cri__LinuxContainerSecurityContext *security = spec_security(builder->input);
	const Cri__SecurityProfile *profile = security->apparmor;
	if (!profile)
		return read_legacy(builder, security->apparmor_profile, ret_wanted);
	*ret_wanted = (struct wanted){.demanded = true};
	switch (profile->profile_type) {
	case CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault:
		ret_wanted->standard = true;
		return 0;
	case CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined:
		return 0;
	case CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost:
		ret_wanted->name = str_after_prefix(profile->localhost_ref, "localhost/");
		if (!ret_wanted->name)
			ret_wanted->name = profile->localhost_ref;
		return str_empty(ret_wanted->name) ? unknown(builder, "") : 0;
	default:
		return unknown(builder, "?");
	}
}

/* The profile of our own is there where /etc/apparmor.d was loaded; a machine without it runs containers all the same, as
 * containerd does, and says so. */
static int use_default(struct spec_builder *builder, const struct wanted *wanted, const char **ret_profile)
{
	const struct security_modules *modules = builder->input->modules;
	if (spec_security(builder->input)->privileged && !wanted->demanded)
		return 0;
	int loaded = apparmor_is_loaded(modules, APPARMOR_DEFAULT_PROFILE, builder->err);
	if (loaded > 0)
		*ret_profile = APPARMOR_DEFAULT_PROFILE;
	else if (loaded == 0)
		spec_cut(builder, "AppArmor's profile " APPARMOR_DEFAULT_PROFILE " is not loaded");
	return loaded < 0 ? loaded : 0;
}

static int make_apparmor(struct spec_builder *builder, const char **ret_profile)
{
	const struct security_modules *modules = builder->input->modules;
	struct wanted wanted = {0};
	int r = read_wanted(builder, &wanted);
	if (r < 0)
		return r;
	bool has = modules && modules->apparmor;
	if (!wanted.name)
		return has && wanted.standard ? use_default(builder, &wanted, ret_profile) : 0;
	if (!has)
		return err_set(builder->err, -EINVAL, "container.apparmor",
			       "AppArmor profile %s: this kernel does not have AppArmor, or it is switched off",
			       wanted.name);
	r = apparmor_is_loaded(modules, wanted.name, builder->err);
	if (r == 0)
		return err_set(builder->err, -ENOENT, "container.apparmor",
			       "AppArmor profile %s: it is not loaded into the kernel", wanted.name);
	*ret_profile = wanted.name;
	return r < 0 ? r : 0;
}

/* Options of SELinux mean nothing to a kernel without it: kubelets send them to every node. */
static int make_selinux(struct spec_builder *builder, struct oci_process *process, struct oci_linux *linux_)
{
	const struct spec_input *input = builder->input;
	if (!input->labels)
		return 0;
	int r = selinux_check_label(input->modules, input->labels->process, builder->err);
	if (r == 0)
		r = selinux_check_label(input->modules, input->labels->mount, builder->err);
	process->selinux_label = input->labels->process;
	linux_->mount_label = input->labels->mount;
	return r;
}

int spec_make_labels(struct spec_builder *builder, struct oci_process *process, struct oci_linux *linux_)
{
	int r = make_apparmor(builder, &process->apparmor_profile);
	return r < 0 ? r : make_selinux(builder, process, linux_);
}

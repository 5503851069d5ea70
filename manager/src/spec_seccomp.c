#include <errno.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/capability.h"
#include "manager/src/seccomp_default.h"
#include "manager/src/seccomp_profile.h"
#include "manager/src/spec_internal.h"

/* The capabilities that the container can ever have, as a set. */
static uint64_t granted(const struct oci_capabilities *capabilities)
{
	uint64_t set = 0;
	for (size_t i = 0; capabilities && capabilities->bounding && capabilities->bounding[i]; i++) {
		uint64_t one = 0;
		if (capability_parse(capabilities->bounding[i], &one) == 0)
			set |= one;
	}
	return set;
}

/* The field that came before SecurityProfile, which old clients still send: "", "unconfined", "runtime/default",
 * "docker/default" or "localhost/" and an absolute path. */
static int read_legacy_path(struct spec_builder *builder, const char *text, uint64_t capabilities,
			    const struct oci_seccomp **ret_seccomp)
{
	if (str_empty(text) || str_equal(text, "unconfined"))
		return 0;
	if (str_equal(text, "runtime/default") || str_equal(text, "docker/default"))
		return seccomp_default_make(capabilities, builder->arena, ret_seccomp);
	const char *path = str_after_prefix(text, "localhost/");
	if (path)
		return seccomp_profile_read(path, capabilities, builder->arena, ret_seccomp, builder->err);
	return err_set(builder->err, -EINVAL, "seccomp.profile",
		       "seccomp profile \"%s\": expected runtime/default, unconfined or localhost/PATH", text);
}

/* Some clients keep the prefix of the older field. */
static const char *localhost_path(const Cri__SecurityProfile *profile)
{
	const char *rest = str_after_prefix(profile->localhost_ref, "localhost/");
	return rest && *rest == '/' ? rest : profile->localhost_ref;
}

/* No profile where nothing was asked for: that is what CRI's clients rely on. */
int spec_make_seccomp(struct spec_builder *builder, const struct oci_capabilities *capabilities,
		      const struct oci_seccomp **ret_seccomp)
{
	const Cri__LinuxContainerSecurityContext *security = spec_security(builder->input);
	*ret_seccomp = NULL;
	if (security->privileged)
		return 0;
	uint64_t set = granted(capabilities);
	const Cri__SecurityProfile *profile = security->seccomp;
	if (!profile)
		return read_legacy_path(builder, security->seccomp_profile_path, set, ret_seccomp);
	switch (profile->profile_type) {
	case CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault:
		return seccomp_default_make(set, builder->arena, ret_seccomp);
	case CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined:
		return 0;
	case CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost:
		return seccomp_profile_read(localhost_path(profile), set, builder->arena, ret_seccomp, builder->err);
	default:
		return err_set(builder->err, -EINVAL, "seccomp.profile",
			       "seccomp profile type %d: expected RuntimeDefault, Unconfined or Localhost",
			       (int)profile->profile_type);
	}
}

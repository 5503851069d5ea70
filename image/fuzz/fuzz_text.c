/* Short texts from outside: references, WWW-Authenticate, passwd and group, progress lines. */
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "image/src/challenge.h"
#include "image/src/user_file.h"
#include "image/src/wire.h"

/* What was accepted must be canonical: parsing its text again gives the same. */
static void check_reference(const char *text)
{
	struct image_reference reference, again;
	char canonical[IMAGE_REFERENCE_MAX];
	if (image_reference_parse(text, &reference, NULL) < 0)
		return;
	image_reference_format(&reference, canonical);
	if (image_reference_parse(canonical, &again, NULL) < 0 || memcmp(&again, &reference, sizeof again) != 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *text = strndup((const char *)data, size);
	if (!text)
		return 0;
	check_reference(text);
	struct challenge challenge;
	(void)challenge_parse(text, &challenge);
	struct image_user user;
	(void)user_file_resolve(text, text, "app:staff", &user, NULL);
	(void)user_file_resolve(text, text, "app", &user, NULL);
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct image_progress progress;
	(void)wire_progress_decode(text, strlen(text), &arena, &progress);
	return 0;
}

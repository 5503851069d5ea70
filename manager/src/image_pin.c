#include "manager/src/image_pin.h"

#include "core/base/str.h"
#include "image/include/axle/image.h"
#include "manager/src/node.h"

bool image_is_pinned(const struct node *node, const struct image *image)
{
	for (const char *const *text = node->config.images.pinned; text && *text; text++) {
		struct image_reference reference;
		char name[IMAGE_REFERENCE_MAX];
		if (image_reference_parse(*text, &reference, NULL) < 0)
			continue; /* config_parse() has refused it */
		image_reference_format(&reference, name);
		if (strv_contains(image->tags, name) || strv_contains(image->digests, name))
			return true;
	}
	return image->pinned;
}

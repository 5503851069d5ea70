/* Reasons that come over a pipe, as the constant texts that struct err wants. */
#include "core/base/array.h"
#include "core/base/str.h"
#include "image/src/store_internal.h"

static const char *const REASONS[] = {
	"reference.malformed",
	"image.not-found",
	"image.ambiguous",
	"image.in-use",
	"image.pinned",
	"image.no-platform",
	"image.digest-mismatch",
	"image.size-mismatch",
	"image.unsupported",
	"image.malformed",
	"image.layer-malformed",
	"image.too-large",
	"registry.unreachable",
	"registry.unauthorized",
	"registry.protocol",
	"store.full",
	"store.version",
	"store.damaged",
	"store.io",
	"user.not-found",
	"job.cancelled",
	"memory.exhausted",
};

const char *image_reason(const char *text)
{
	for (size_t i = 0; i < ARRAY_COUNT(REASONS); i++)
		if (str_equal(REASONS[i], text))
			return REASONS[i];
	return "job.worker";
}

/* A container's output: whatever it writes, the log's records give it back byte for byte. The first bytes say in which pieces it
 * comes and how often there is no room. */
#include <string.h>

#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "runtime/src/monitor/cri_frame.h"

struct sink {
	struct buf text;
	unsigned refuse_every, calls;
};

static bool take(void *owner, const struct cri_record *record)
{
	struct sink *sink = owner;
	if (sink->refuse_every > 1 && ++sink->calls % sink->refuse_every == 0)
		return false;
	if (record->parts[0].size + record->parts[1].size > CRI_CONTENT_MAX)
		__builtin_trap();
	for (size_t i = 0; i < 2; i++)
		if (record->parts[i].size > 0)
			(void)buf_add(&sink->text, record->parts[i].bytes, record->parts[i].size);
	if (record->header[CRI_HEADER_BYTES - 2] == 'F')
		(void)buf_add_char(&sink->text, '\n');
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t piece = (size_t)data[0] * 97 + 1;
	struct sink sink = {.text.max = 4 * size + 1, .refuse_every = data[1]};
	struct cri_framer framer = {.stream = "stdout"};
	const char *bytes = (const char *)data + 2;
	size -= 2;
	for (size_t at = 0; at < size;) {
		size_t part = size - at < piece ? size - at : piece;
		at += (size_t)cri_frame(&framer, bytes + at, part, 0, take, &sink);
	}
	while (!cri_flush(&framer, 0, take, &sink))
		continue;
	if (sink.text.size != size || (size > 0 && memcmp(sink.text.data, bytes, size) != 0))
		__builtin_trap();
	cri_framer_done(&framer);
	buf_done(&sink.text);
	return 0;
}

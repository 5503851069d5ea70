/* The first byte says how the rest is cut into pieces: what comes out must not depend on it. */
#include "core/net/http_upgrade.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/str.h"
#include "core/fuzz/target.h"

static int read_in_pieces(struct http_head_reader *reader, const uint8_t *data, size_t size, size_t piece, size_t *ret_used)
{
	size_t at = 0;
	int r = 0;
	while (r == 0 && at < size) {
		size_t used = 0;
		size_t step = size - at < piece ? size - at : piece;
		r = http_head_read(reader, data + at, step, &used, NULL);
		if (r == 0 && used != step)
			abort(); /* it must take all, or end the head */
		at += used;
	}
	*ret_used = at;
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct http_head_reader whole = {.bytes.max = HTTP_HEAD_MAX};
	struct http_head_reader pieces = {.bytes.max = HTTP_HEAD_MAX};
	size_t used_whole = 0;
	size_t used_pieces = 0;
	int a = read_in_pieces(&whole, data + 1, size - 1, SIZE_MAX, &used_whole);
	int b = read_in_pieces(&pieces, data + 1, size - 1, (size_t)data[0] % 9 + 1, &used_pieces);
	if (a != b || (a == 1 && (used_whole != used_pieces || whole.head.fields_count != pieces.head.fields_count ||
				  !str_equal(whole.head.path, pieces.head.path))))
		abort();
	if (a == 1) {
		(void)http_head_has_token(&whole.head, "connection", "upgrade");
		for (size_t i = 0; i < whole.head.fields_count; i++)
			if (strlen(whole.head.fields[i].name) == 0 || !whole.head.fields[i].value)
				abort();
	}
	http_head_reader_done(&whole);
	http_head_reader_done(&pieces);
	return 0;
}

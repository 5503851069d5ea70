/* Lines of records: what is read is written and read again as the same record. */
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "signals/adaptors/replay/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *line = strndup((const char *)data, size);
	struct csv_record record = {0};
	struct csv_record again = {0};
	struct err err = {0};
	if (!line || csv_parse(line, &record, &err) != 1)
		return 0;
	/* Paths with commas or quotes are nobody's: they are not written in quotes. */
	if (strpbrk(record.path, ",\"\r") || record.path[0] == '#' || strchr(record.path, '\n') ||
	    (record.value && strpbrk(record.value, "\n")))
		return 0;
	scoped_done(buf_done) struct buf out = {.max = 4 * CSV_LINE_MAX};
	if (csv_add(&out, &record) < 0)
		return 0;
	out.data[out.size - 1] = '\0';
	if (csv_parse(out.data, &again, NULL) != 1 || again.time_ns != record.time_ns || strcmp(again.path, record.path) != 0 ||
	    !again.value != !record.value || (record.value && strcmp(again.value, record.value) != 0))
		abort();
	return 0;
}

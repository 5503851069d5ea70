#include "runtime/src/axrun/print.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/err.h"
#include "core/codec/json.h"

int print_json_value(const json_t *value, struct err *err)
{
	if (json_dumpf(value, stdout, JSON_INDENT(2)) < 0 || fputc('\n', stdout) == EOF || fflush(stdout) == EOF)
		return err_sys(err, errno ? -errno : -EIO, "output.write", "write to standard output");
	return 0;
}

int print_json(const struct json_table *table, const void *value, struct err *err)
{
	json_t *encoded = json_encode_value(table, value);
	if (!encoded)
		return err_sys(err, -ENOMEM, "output.write", "write to standard output");
	int r = print_json_value(encoded, err);
	json_decref(encoded);
	return r;
}

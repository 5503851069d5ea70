#include <stdlib.h>
#include <string.h>

#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "core/sys/net_dev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	struct net_dev devices[NET_DEV_MAX];
	size_t count = net_dev_parse(text, devices);
	for (size_t i = 0; i < count; i++)
		if (!*devices[i].name || strlen(devices[i].name) >= NET_DEV_NAME_MAX)
			abort();
	return 0;
}

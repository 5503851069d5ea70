#include "core/sys/net_dev.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/parse.h"

#define NUMBERS 16 /* behind the name: eight received, eight sent */
#define DIGITS_MAX 20

enum column {
	RX_BYTES = 0,
	RX_ERRORS = 2,
	TX_BYTES = 8,
	TX_ERRORS = 10,
};

static bool is_name(const char *name, size_t length)
{
	if (length == 0 || length >= NET_DEV_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return true;
}

static bool take_numbers(const char *text, const char *end, uint64_t ret_numbers[NUMBERS])
{
	for (size_t i = 0; i < NUMBERS; i++) {
		while (text < end && *text == ' ')
			text++;
		char digits[DIGITS_MAX + 1];
		size_t length = 0;
		while (text < end && *text != ' ' && length < DIGITS_MAX)
			digits[length++] = *text++;
		digits[length] = '\0';
		if (parse_u64(digits, 0, UINT64_MAX, &ret_numbers[i]) < 0)
			return false;
	}
	return true;
}

/* "  eth0: 736175060   19926 ...": the last colon ends the name, which may hold others (aliases of old). */
static bool take_line(const char *line, const char *end, struct net_dev *ret_device)
{
	const char *colon = memrchr(line, ':', (size_t)(end - line));
	while (line < end && *line == ' ')
		line++;
	if (!colon || colon < line || !is_name(line, (size_t)(colon - line)))
		return false;
	uint64_t numbers[NUMBERS];
	if (!take_numbers(colon + 1, end, numbers))
		return false;
	struct net_dev device = {
		.rx_bytes = numbers[RX_BYTES],
		.rx_errors = numbers[RX_ERRORS],
		.tx_bytes = numbers[TX_BYTES],
		.tx_errors = numbers[TX_ERRORS],
	};
	memcpy(device.name, line, (size_t)(colon - line));
	*ret_device = device;
	return true;
}

size_t net_dev_parse(const char *text, struct net_dev ret_devices[NET_DEV_MAX])
{
	size_t count = 0;
	for (const char *end = strchr(text, '\n'); end && count < NET_DEV_MAX; text = end + 1, end = strchr(text, '\n'))
		if (take_line(text, end, &ret_devices[count]))
			count++;
	return count;
}

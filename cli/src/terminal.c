#include "cli/src/terminal.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/base/err.h"
#include "core/base/str.h"

int terminal_make_raw(struct terminal *terminal, int fd, struct err *err)
{
	if (tcgetattr(fd, &terminal->before) < 0)
		return err_sys(err, -errno, "cli.terminal", "read the terminal's settings");
	struct termios raw = terminal->before;
	cfmakeraw(&raw);
	terminal->fd = fd;
	terminal->raw = true;
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0) {
		terminal->raw = false;
		return err_sys(err, -errno, "cli.terminal", "make the terminal raw");
	}
	return 0;
}

void terminal_restore(struct terminal *terminal)
{
	if (terminal->raw)
		(void)tcsetattr(terminal->fd, TCSADRAIN, &terminal->before); /* a terminal that has gone needs nothing */
	terminal->raw = false;
}

bool terminal_size(int fd, uint32_t *ret_rows, uint32_t *ret_columns)
{
	struct winsize size;
	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
		return false;
	*ret_rows = size.ws_row;
	*ret_columns = size.ws_col;
	return true;
}

/* One key: a character, or ctrl- and a letter or one of @ [ \ ] ^ _. */
static int parse_key(const char *text, size_t length)
{
	if (length == 1)
		return (unsigned char)*text;
	const char *key = str_after_prefix(text, "ctrl-");
	if (!key || length != 6)
		return -EINVAL;
	if (*key >= 'a' && *key <= 'z')
		return *key - 'a' + 1;
	if (*key >= '[' && *key <= '_')
		return *key - '@';
	return *key == '@' ? 0 : -EINVAL;
}

int detach_keys_parse(const char *text, struct detach_keys *ret_keys, struct err *err)
{
	struct detach_keys keys = {0};
	const char *at = text;
	while (*at) {
		size_t length = strcspn(at, ",");
		int key = parse_key(at, length);
		if (key < 0 || keys.count == DETACH_KEYS_MAX)
			return err_set(err, -EINVAL, "cli.usage",
				       "option --detach-keys: \"%s\": expected at most %d keys such as ctrl-p,ctrl-q", text,
				       DETACH_KEYS_MAX);
		keys.keys[keys.count++] = (uint8_t)key;
		at += length + (at[length] == ',');
	}
	*ret_keys = keys;
	return 0;
}

/* After a key that does not fit, the sequence may begin anew within what was held back. */
static size_t longest_restart(const struct detach_keys *keys, uint8_t key)
{
	uint8_t seen[DETACH_KEYS_MAX];
	memcpy(seen, keys->keys, keys->matched);
	seen[keys->matched] = key;
	size_t length = keys->matched + 1;
	for (size_t skip = 1; skip <= length; skip++)
		if (memcmp(seen + skip, keys->keys, length - skip) == 0)
			return length - skip;
	return 0;
}

bool detach_keys_filter(struct detach_keys *keys, const uint8_t *bytes, size_t size, uint8_t *ret_out,
			size_t *ret_size)
{
	size_t out = 0;
	for (size_t i = 0; i < size; i++) {
		if (keys->count > 0 && bytes[i] == keys->keys[keys->matched]) {
			if (++keys->matched < keys->count)
				continue;
			*ret_size = out;
			return true;
		}
		size_t kept = keys->count > 0 ? longest_restart(keys, bytes[i]) : 0;
		size_t released = keys->matched + 1 - kept;
		for (size_t k = 0; k < released; k++)
			ret_out[out++] = k < keys->matched ? keys->keys[k] : bytes[i];
		keys->matched = kept;
	}
	*ret_size = out;
	return false;
}

#include "cli/src/run_ports.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"

#define PORT_MAX 65535

static const struct {
	const char *name;
	Cri__Protocol value;
} PROTOCOLS[] = {
	{"tcp", CRI__PROTOCOL__TCP}, {"udp", CRI__PROTOCOL__UDP}, {"sctp", CRI__PROTOCOL__SCTP},
};

struct range {
	int64_t first;
	int64_t last;
};

/* What one --publish says, cut into its words. */
struct published {
	const char *address; /* "": any */
	struct range host;
	struct range container;
	Cri__Protocol protocol;
};

static int refuse(const char *text, struct err *err)
{
	return err_set(err, -EINVAL, "cli.usage",
		       "option --publish: \"%s\": expected [ADDRESS:]HOST:CONTAINER[/tcp|udp|sctp], ports from 1 to %d or ranges "
		       "of the same length", text, PORT_MAX);
}

/* "80" or "80-89". @text is changed. */
static int read_range(char *text, struct range *ret_range)
{
	struct range range = {0};
	char *dash = strchr(text, '-');
	if (dash)
		*dash = '\0';
	int r = parse_i64(text, 1, PORT_MAX, &range.first);
	range.last = range.first;
	if (r == 0 && dash)
		r = parse_i64(dash + 1, range.first, PORT_MAX, &range.last);
	if (r == 0)
		*ret_range = range;
	return r;
}

static int take_protocol(char *text, Cri__Protocol *ret_protocol)
{
	char *slash = strchr(text, '/');
	*ret_protocol = CRI__PROTOCOL__TCP;
	if (!slash)
		return 0;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_COUNT(PROTOCOLS); i++)
		if (str_equal(slash + 1, PROTOCOLS[i].name)) {
			*ret_protocol = PROTOCOLS[i].value;
			return 0;
		}
	return -EINVAL;
}

/* From the end: the last colon is before the container's port, the one before that behind an address. */
static int cut(char *text, struct published *ret_published)
{
	struct published published = {.address = ""};
	int r = take_protocol(text, &published.protocol);
	char *container = strrchr(text, ':');
	if (r < 0 || !container)
		return -EINVAL;
	*container++ = '\0';
	char *host = strrchr(text, ':');
	if (host) {
		*host++ = '\0';
		published.address = text;
		size_t length = strlen(text);
		if (length > 2 && *text == '[' && text[length - 1] == ']') {
			text[length - 1] = '\0';
			published.address = text + 1;
		}
	}
	r = read_range(host ? host : text, &published.host);
	if (r == 0)
		r = read_range(container, &published.container);
	if (r < 0 || published.host.last - published.host.first != published.container.last - published.container.first)
		return -EINVAL;
	*ret_published = published;
	return 0;
}

static int add(const struct published *published, struct arena *arena, size_t *count, Cri__PortMapping **ports,
	       struct err *err)
{
	for (int64_t i = 0; i <= published->host.last - published->host.first; i++) {
		if (*count == PORTS_MAX)
			return err_set(err, -EINVAL, "cli.usage", "option --publish: expected at most %d ports", PORTS_MAX);
		Cri__PortMapping *port = arena_alloc(arena, sizeof *port);
		if (!port)
			return err_memory(err, "axle");
		cri__port_mapping__init(port);
		port->protocol = published->protocol;
		port->host_ip = published->address;
		port->host_port = (int32_t)(published->host.first + i);
		port->container_port = (int32_t)(published->container.first + i);
		ports[(*count)++] = port;
	}
	return 0;
}

int run_ports(char *const *texts, struct arena *arena, size_t *ret_count, Cri__PortMapping ***ret_ports, struct err *err)
{
	size_t count = 0;
	Cri__PortMapping **ports = arena_array(arena, PORTS_MAX, sizeof *ports);
	if (!ports)
		return err_memory(err, "axle");
	for (char *const *text = texts; text && *text; text++) {
		struct published published = {0};
		char *copy = arena_strdup(arena, *text);
		if (!copy)
			return err_memory(err, "axle");
		if (cut(copy, &published) < 0)
			return refuse(*text, err);
		int r = add(&published, arena, &count, ports, err);
		if (r < 0)
			return r;
	}
	*ret_count = count;
	*ret_ports = ports;
	return 0;
}

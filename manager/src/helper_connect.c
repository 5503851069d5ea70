#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/ns.h"
#include "manager/src/helper_work.h"

#define PATIENCE_MS 10000

static int enter(const char *path, struct err *err)
{
	const struct ns_kind *kind = ns_kind_find("network");
	scoped_fd int fd = -1;
	int r = ns_open(path, kind, &fd, err);
	return r < 0 ? r : ns_join(fd, kind, err);
}

static int connect_to(const struct sockaddr *address, socklen_t size, int *ret_socket)
{
	scoped_fd int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	const int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, address, size) < 0 && errno != EINPROGRESS)
		return -errno;
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	int ready = poll(&writable, 1, PATIENCE_MS);
	int error = 0;
	socklen_t length = sizeof error;
	if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	if (ready == 0 || error)
		return ready == 0 ? -ETIMEDOUT : -error;
	*ret_socket = TAKE_FD(fd);
	return 0;
}

int helper_connect(const struct helper_connect *request, int *ret_socket, struct err *err)
{
	int r = request->network ? enter(request->network, err) : 0;
	if (r < 0)
		return r;
	const struct sockaddr_in v4 = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)request->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)request->port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	r = connect_to((const struct sockaddr *)&v4, sizeof v4, ret_socket);
	if (r == 0 || connect_to((const struct sockaddr *)&v6, sizeof v6, ret_socket) == 0)
		return 0;
	return err_sys(err, r, "connect.refused", "connect to port %u of the pod's loopback device", request->port);
}

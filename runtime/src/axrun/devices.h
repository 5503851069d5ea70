/* The device nodes and links that every container has, and those of config.json (config-linux.md, "Devices"). */
#pragma once

struct err;
struct launch;

/* Makes them below @root_fd. Nothing is done to a /dev that is a bind mount: it is not the container's. Where nodes cannot
 * be made (in a user namespace) the host's are bound. */
int devices_make(const struct launch *launch, int root_fd, struct err *err);

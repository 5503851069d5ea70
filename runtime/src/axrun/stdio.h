/* The standard descriptors of a container in a user namespace. */
#pragma once

struct launch;

/* Gives pipes and sockets that will be stdin, stdout and stderr to the container's user, as the host knows it: in the user
 * namespace nobody could, and /dev/stdout could not be opened there. Files and devices stay as they are. */
void stdio_give_to_user(const struct launch *launch);

/* The start: what the records and the machine say of the time before; and the end. */
#pragma once

struct err;
struct node;

/* Reads all records, ends what was half done, finds running containers again, and after a boot notes what it ended. Parks;
 * to be called before the sockets listen. Records that cannot be read are logged and left alone.
 * Errors: -ENOTSUP (a newer Axle was here), those of the helper that makes the node's places. */
int node_restore(struct node *node, const char *boot_id_file, struct err *err);

/* A node without pods leaves nothing on the machine but its files: no mount, no cgroup. Parks. */
void node_leave(struct node *node);

/* The monitors that this axled has started: they are its children until one of both ends. */
#pragma once

#include <sys/types.h>

struct err;
struct monitor_client;
struct monitors;
struct node;

/* Reaps monitors as they end. */
int monitors_new(struct node *node, struct monitors **ret_monitors);
void monitors_free(struct monitors *monitors);

/* Starts an axmon in the node's group for monitors. The caller owns *ret_client. */
int monitors_spawn(struct node *node, struct monitor_client **ret_client, pid_t *ret_pid, struct err *err);

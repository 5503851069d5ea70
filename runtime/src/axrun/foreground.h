/* Waiting for a container process in the foreground: signals that we get are passed on, its terminal is ours. */
#pragma once

struct err;
struct launched;

/* Blocks all signals, before the process is cloned: what arrives later is passed on. */
int foreground_begin(int *ret_signal_fd, struct err *err);

/* Waits until it has ended and reaps it. *ret_status: its exit code, or 128 + the signal that ended it. */
int foreground_wait(struct launched *launched, int signal_fd, int *ret_status, struct err *err);

/* Signals by name, by number, and by CRI's own enumeration. */
#pragma once

#include "proto/cri.h"

/* "SIGTERM", "TERM", "15", "SIGRTMIN+3", in either case. Returns 0 for what is none. */
int signal_parse(const char *text);

/* The kernel's number; 0 for SIGNAL_RUNTIME_DEFAULT and for what is none. */
int signal_of_cri(Cri__Signal signal);

/* CRI's value; SIGNAL_RUNTIME_DEFAULT for what it does not know. */
Cri__Signal signal_to_cri(int signal);

/* Signals by name or number, as kill(1) takes them. */
#pragma once

/* "9", "KILL", "SIGKILL", "RTMIN+3" in any case. Returns the number, or -EINVAL. */
int signal_parse(const char *text);

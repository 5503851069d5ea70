/* signals: how fast axsignald is.
 *
 *	signals MEASUREMENT SOCKET FILES PID NUMBER
 *
 * SOCKET: of axsignald; FILES: its mount; PID: its process. Prints one line for each result: what, how much, what was asked
 * for and whether that holds. bench/signals.sh runs them all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/signals/bench.h"
#include "core/base/parse.h"

int main(int argc, char **argv)
{
	uint64_t pid = 0;
	uint64_t number = 0;
	if (argc != 6 || parse_u64(argv[4], 1, INT32_MAX, &pid) < 0 || parse_u64(argv[5], 0, 10000000, &number) < 0) {
		(void)fprintf(stderr, "usage: signals latency|fan-out|subscribers|stalled|rest|start SOCKET FILES PID NUMBER\n");
		return 2;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(argv[1], "latency") == 0)
		bench_latency(argv[2], argv[3], number);
	else if (strcmp(argv[1], "fan-out") == 0)
		bench_fan_out(argv[2], argv[3], (int)pid, (unsigned)number);
	else if (strcmp(argv[1], "subscribers") == 0)
		bench_subscribers(argv[2], argv[3], (int)pid, number == 1);
	else if (strcmp(argv[1], "stalled") == 0)
		bench_stalled(argv[2], argv[3], number);
	else if (strcmp(argv[1], "rest") == 0)
		bench_rest(argv[2], argv[3], (int)pid);
	else if (strcmp(argv[1], "start") == 0)
		bench_start((int)pid);
	return 0;
}

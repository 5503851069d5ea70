/* Runs several commands in turn, many times, and compares them:
 *
 *	side_by_side ROUNDS LABEL COMMAND [ARGUMENT]... [-- LABEL COMMAND [ARGUMENT]...]...
 *
 * In each round every command runs once, in an order that rotates, so that whatever else the machine does hits all of them
 * alike. "@" in an argument becomes a number that no other run had. Prints for each label the wall time's 10th and 50th
 * percentile, CPU time (user and system, with all waited-for children), the peak resident size of the largest process,
 * and the ratios to the first label. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

#define CONTENDERS_MAX 8
#define ROUNDS_MAX 10000
#define WARM_UP_ROUNDS 3

struct sample {
	double wall_ms;
	double cpu_ms;
	long peak_kib;
};

struct contender {
	const char *label;
	char **command; /* NULL-terminated, within argv */
	struct sample *samples;
};

static double milliseconds(const struct timespec *time)
{
	return (double)time->tv_sec * 1e3 + (double)time->tv_nsec / 1e6;
}

static double cpu_of(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e3 +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e3;
}

/* The command with each "@" replaced. */
static int build_command(char **command, unsigned number, char ***ret_command)
{
	scoped(strv_free) char **built = NULL;
	for (; *command; command++) {
		const char *at = strchr(*command, '@');
		int r = at ? strv_printf(&built, "%.*s%u%s", (int)(at - *command), *command, number, at + 1)
			   : strv_add(&built, *command);
		if (r < 0)
			return r;
	}
	*ret_command = TAKE(built);
	return 0;
}

static int run_once(const struct contender *contender, unsigned number, struct sample *ret_sample, struct err *err)
{
	scoped(strv_free) char **command = NULL;
	if (build_command(contender->command, number, &command) < 0)
		return err_sys(err, -ENOMEM, "bench.memory", "%s", contender->label);
	struct timespec begin = {0}, end = {0};
	struct rusage usage = {0};
	int status = 0;
	pid_t pid = 0;
	(void)clock_gettime(CLOCK_MONOTONIC, &begin); /* cannot fail with this clock */
	int code = posix_spawnp(&pid, command[0], NULL, NULL, command, environ);
	if (code != 0)
		return err_sys(err, -code, "bench.spawn", "%s: %s", contender->label, command[0]);
	if (wait4(pid, &status, 0, &usage) < 0)
		return err_sys(err, -errno, "bench.wait", "%s", contender->label);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, -ECHILD, "bench.failed", "%s: wait status %#x, expected exit status 0", contender->label,
			       (unsigned)status);
	*ret_sample = (struct sample){.wall_ms = milliseconds(&end) - milliseconds(&begin),
				      .cpu_ms = cpu_of(&usage),
				      .peak_kib = usage.ru_maxrss};
	return 0;
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

struct summary {
	double p10, p50, cpu;
	long peak_kib;
};

static struct summary summarise(const struct contender *contender, size_t rounds, double *scratch)
{
	struct summary summary = {0};
	for (size_t i = 0; i < rounds; i++) {
		scratch[i] = contender->samples[i].cpu_ms;
		if (contender->samples[i].peak_kib > summary.peak_kib)
			summary.peak_kib = contender->samples[i].peak_kib;
	}
	qsort(scratch, rounds, sizeof *scratch, compare_doubles);
	summary.cpu = scratch[rounds / 2];
	for (size_t i = 0; i < rounds; i++)
		scratch[i] = contender->samples[i].wall_ms;
	qsort(scratch, rounds, sizeof *scratch, compare_doubles);
	summary.p10 = scratch[rounds / 10];
	summary.p50 = scratch[rounds / 2];
	return summary;
}

static void print_all(const struct contender *contenders, size_t count, size_t rounds, double *scratch)
{
	(void)printf("%-22s %9s %9s %9s %10s   %s\n", "", "p10 ms", "p50 ms", "CPU ms", "peak KiB", "first / this: p10, p50, CPU");
	struct summary first = summarise(&contenders[0], rounds, scratch);
	for (size_t i = 0; i < count; i++) {
		struct summary own = summarise(&contenders[i], rounds, scratch);
		(void)printf("%-22s %9.2f %9.2f %9.2f %10ld   %.2f  %.2f  %.2f\n", contenders[i].label, own.p10, own.p50, own.cpu,
			     own.peak_kib, first.p10 / own.p10, first.p50 / own.p50, first.cpu / own.cpu);
	}
}

/* Splits argv at "--". Returns how many contenders there are. */
static size_t read_contenders(char **argv, struct contender *contenders)
{
	size_t count = 0;
	while (*argv && count < CONTENDERS_MAX) {
		contenders[count].label = *argv++;
		contenders[count++].command = argv;
		while (*argv && strcmp(*argv, "--") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
	return count;
}

static int measure(struct contender *contenders, size_t count, size_t rounds, struct err *err)
{
	unsigned number = 0;
	for (size_t round = 0; round < rounds + WARM_UP_ROUNDS; round++) {
		for (size_t i = 0; i < count; i++) {
			struct contender *contender = &contenders[(round + i) % count];
			struct sample sample = {0};
			int r = run_once(contender, number++, &sample, err);
			if (r < 0)
				return r;
			if (round >= WARM_UP_ROUNDS)
				contender->samples[round - WARM_UP_ROUNDS] = sample;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct contender contenders[CONTENDERS_MAX] = {0};
	uint64_t rounds = 0;
	size_t count = argc > 3 ? read_contenders(argv + 2, contenders) : 0;
	if (count == 0 || parse_u64(argv[1], 1, ROUNDS_MAX, &rounds) < 0) {
		(void)fprintf(stderr, "usage: side_by_side ROUNDS LABEL COMMAND... [-- LABEL COMMAND...]...\n");
		return EXIT_FAILURE;
	}
	struct err err = {0};
	scoped_free double *scratch = calloc(rounds, sizeof *scratch);
	int r = scratch ? 0 : -ENOMEM;
	for (size_t i = 0; i < count && r == 0; i++) {
		contenders[i].samples = calloc(rounds, sizeof *contenders[i].samples);
		r = contenders[i].samples ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = measure(contenders, count, rounds, &err);
	if (r == 0)
		print_all(contenders, count, rounds, scratch);
	else
		(void)fprintf(stderr, "side_by_side: %s\n", err_text(&err, r));
	for (size_t i = 0; i < count; i++)
		free(contenders[i].samples);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

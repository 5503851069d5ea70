/* What the measurements of axsignald share: the clock, one line for each result, the line protocol by hand. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t now_ns(void); /* CLOCK_MONOTONIC */
void pin(unsigned cpu);
void fail(const char *what) __attribute__((noreturn));

/* ---- samples of a duration, in ns ---- */

struct samples {
	int64_t *ns;
	size_t count;
	size_t room;
};

void samples_init(struct samples *samples, size_t room);
void samples_done(struct samples *samples);
void samples_add(struct samples *samples, int64_t ns);
/* In us; sorts them. @percent: 0 to 100. */
double samples_percentile(struct samples *samples, double percent);

/* Prints them. With a @floor (another's, taken in turns with these) the ratio of the tenth percentiles to it is compared
 * with @most: on a machine that others use, too, these compare best. */
void samples_report(const char *what, struct samples *samples, struct samples *floor, double most);

/* Prints "WHAT  TEXT  holds" or "MISSES". */
void verdict(bool holds, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- the line protocol ---- */

int dial(const char *path);
void say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Reads until a line begins with @start; *ret_number (may be NULL): what follows it. */
void hear(int fd, const char *start, unsigned *ret_number);

/* ---- another process ---- */

uint64_t process_cpu_us(int pid);  /* user and system */
uint64_t process_pss_kib(int pid);
uint64_t process_switches(int pid); /* how often its threads slept */

/* ---- the measurements ---- */

void bench_latency(const char *socket, const char *files, size_t rounds);	       /* latency.c */
void bench_fan_out(const char *socket, const char *files, int pid, unsigned seconds); /* fan_out.c */
void bench_subscribers(const char *socket, const char *files, int pid, bool by_file); /* subscribers.c */
void bench_stalled(const char *socket, const char *files, size_t rounds);	       /* stalled.c */
void bench_rest(const char *socket, const char *files, int pid);		       /* subscribers.c */
void bench_start(int pid);							       /* subscribers.c */

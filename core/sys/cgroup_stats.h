/* What the processes of a control group have used and still hold, in one form for cgroup v1, v2 and the mix of both.
 *
 * Each figure is known or not: a kernel or hierarchy that does not count something leaves its bit out of `known` (PSI on
 * plain v1, swap without accounting), so that "nothing" and "not counted" differ. Figures hold the groups below, too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup;

#define CGROUP_UNLIMITED UINT64_MAX

enum cgroup_figure {
	CGROUP_CPU = 1 << 0,	     /* cpu_ns */
	CGROUP_MEMORY = 1 << 1,	     /* memory_bytes */
	CGROUP_MEMORY_STAT = 1 << 2, /* inactive_file_bytes, rss_bytes */
	CGROUP_FAULTS = 1 << 3,	     /* page_faults, major_page_faults */
	CGROUP_SWAP = 1 << 4,	     /* swap_bytes */
	CGROUP_PIDS = 1 << 5,	     /* processes */
	CGROUP_CPU_PSI = 1 << 6,
	CGROUP_MEMORY_PSI = 1 << 7,
	CGROUP_IO_PSI = 1 << 8,
};

/* Pressure stall information (Documentation/accounting/psi.rst). Averages in hundredths of a percent, over 10, 60, 300 s. */
struct cgroup_psi_line {
	uint64_t total_ns;
	uint32_t avg10, avg60, avg300;
};

struct cgroup_psi {
	struct cgroup_psi_line some;
	struct cgroup_psi_line full;
};

struct cgroup_stats {
	unsigned known;	 /* enum cgroup_figure */
	uint64_t cpu_ns; /* since the group was made, over all cores */
	uint64_t memory_bytes;
	uint64_t memory_limit_bytes; /* CGROUP_UNLIMITED: none; known with CGROUP_MEMORY */
	uint64_t inactive_file_bytes; /* page cache that can be dropped at once */
	uint64_t rss_bytes;	      /* anonymous memory */
	uint64_t page_faults;
	uint64_t major_page_faults;
	uint64_t swap_bytes;
	uint64_t swap_limit_bytes; /* likewise; known with CGROUP_SWAP */
	uint64_t processes;	   /* tasks, as the pids controller counts them */
	struct cgroup_psi cpu_psi, memory_psi, io_psi;
};

/* Reads what there is of @group. A group that is gone knows nothing. Blocks for a handful of small kernel files: for a
 * worker thread. */
void cgroup_stats_read(const struct cgroup *group, struct cgroup_stats *ret_stats);

/* Memory in use without what can be dropped at once, as kubelets decide on evictions by it. Needs CGROUP_MEMORY. */
uint64_t cgroup_stats_working_set(const struct cgroup_stats *stats);

/* ---- Sans-I/O: the texts of single files ---- */

/* A number alone ("4096\n"), or "max" as CGROUP_UNLIMITED. Returns whether it is one. */
bool cgroup_stats_parse_number(const char *text, uint64_t *ret_value);

/* The value of @key in lines "key value". Returns whether it is there. */
bool cgroup_stats_parse_key(const char *text, const char *key, uint64_t *ret_value);

/* A *.pressure file. "full" may be missing (cpu.pressure before Linux 5.13): it stays zero. Returns whether it is one. */
bool cgroup_stats_parse_psi(const char *text, struct cgroup_psi *ret_psi);

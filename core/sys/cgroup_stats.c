#include "core/sys/cgroup_stats.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"

#define FILE_BYTES_MAX 16384
#define NUMBER_DIGITS_MAX 20
#define V1_UNLIMITED (INT64_MAX / 65536 * 65536) /* v1 shows its page counter's maximum for "none"; the largest pages */
#define NS_PER_US 1000

/* ---- Texts ------------------------------------------------------------------------------------------------------ */

/* The number of @length digits at @text. */
static bool take_digits(const char *text, size_t length, uint64_t *ret_value)
{
	char digits[NUMBER_DIGITS_MAX + 1];
	if (length == 0 || length > NUMBER_DIGITS_MAX)
		return false;
	memcpy(digits, text, length);
	digits[length] = '\0';
	return parse_u64(digits, 0, UINT64_MAX, ret_value) == 0;
}

bool cgroup_stats_parse_number(const char *text, uint64_t *ret_value)
{
	size_t length = strcspn(text, "\n");
	if (text[length] == '\n' && text[length + 1])
		return false;
	if (length == 3 && strncmp(text, "max", 3) == 0) {
		*ret_value = CGROUP_UNLIMITED;
		return true;
	}
	return take_digits(text, length, ret_value);
}

bool cgroup_stats_parse_key(const char *text, const char *key, uint64_t *ret_value)
{
	size_t key_length = strlen(key);
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");
		if (length > key_length && strncmp(line, key, key_length) == 0 && line[key_length] == ' ')
			return take_digits(line + key_length + 1, length - key_length - 1, ret_value);
		line += length;
		line += *line == '\n';
	}
	return false;
}

/* "12.34" in hundredths; the kernel always writes two decimals (kernel/sched/psi.c, psi_show()). */
static bool take_average(const char *text, size_t length, uint32_t *ret_value)
{
	const char *point = memchr(text, '.', length);
	uint64_t whole = 0;
	uint64_t part = 0;
	if (!point || text + length - point != 3 || !take_digits(text, (size_t)(point - text), &whole) || whole > 1000 ||
	    !take_digits(point + 1, 2, &part))
		return false;
	*ret_value = (uint32_t)(whole * 100 + part);
	return true;
}

/* One "name=value" of @size bytes. Returns which one it is as a bit, 0 for one that is not known, -1 for nonsense. */
static int take_psi_word(const char *word, size_t size, struct cgroup_psi_line *line)
{
	static const char *const NAMES[] = {"avg10=", "avg60=", "avg300="};
	uint32_t *averages[] = {&line->avg10, &line->avg60, &line->avg300};
	for (size_t i = 0; i < ARRAY_COUNT(NAMES); i++) {
		size_t name = strlen(NAMES[i]);
		if (size > name && strncmp(word, NAMES[i], name) == 0)
			return take_average(word + name, size - name, averages[i]) ? 1 << i : -1;
	}
	if (size <= 6 || strncmp(word, "total=", 6) != 0)
		return 0;
	uint64_t total_us = 0;
	if (!take_digits(word + 6, size - 6, &total_us) || total_us > UINT64_MAX / NS_PER_US)
		return -1;
	line->total_ns = total_us * NS_PER_US;
	return 1 << 3;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" behind its first word. */
static bool take_psi_line(const char *text, size_t length, struct cgroup_psi_line *ret_line)
{
	int seen = 0;
	for (size_t at = 0; at < length;) {
		size_t size = strcspn(text + at, " \n");
		int bit = take_psi_word(text + at, size, ret_line);
		if (bit < 0)
			return false;
		seen |= bit;
		at += size + 1;
	}
	return seen == 0xf;
}

bool cgroup_stats_parse_psi(const char *text, struct cgroup_psi *ret_psi)
{
	struct cgroup_psi psi = {0};
	bool some = false;
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");
		bool is_some = strncmp(line, "some ", 5) == 0;
		bool is_full = strncmp(line, "full ", 5) == 0;
		if ((is_some || is_full) && !take_psi_line(line + 5, length - 5, is_some ? &psi.some : &psi.full))
			return false;
		some = some || is_some;
		line += length;
		line += *line == '\n';
	}
	if (some)
		*ret_psi = psi;
	return some;
}

uint64_t cgroup_stats_working_set(const struct cgroup_stats *stats)
{
	return stats->memory_bytes > stats->inactive_file_bytes ? stats->memory_bytes - stats->inactive_file_bytes : 0;
}

/* ---- Files ------------------------------------------------------------------------------------------------------ */

/* Which directory, in which dialect. */
struct place {
	int dir_fd;
	bool v2;
};

static struct place place_of(const struct cgroup *group, const char *controller)
{
	struct place place = {-1, false};
	place.dir_fd = cgroup_controller_fd(group, controller, &place.v2);
	return place;
}

static bool read_text(int dir_fd, const char *name, struct buf *ret_text)
{
	buf_clear(ret_text);
	return dir_fd >= 0 && file_read_at(dir_fd, name, ret_text, NULL) == 0 && ret_text->data;
}

static bool read_number(int dir_fd, const char *name, struct buf *text, uint64_t *ret_value)
{
	return read_text(dir_fd, name, text) && cgroup_stats_parse_number(text->data, ret_value);
}

static uint64_t v1_limit(uint64_t value)
{
	return value >= V1_UNLIMITED ? CGROUP_UNLIMITED : value;
}

/* v1's accounting is of another controller than its limits; v2 counts even where no controller is enabled. */
static void read_cpu(const struct cgroup *group, struct buf *text, struct cgroup_stats *stats)
{
	struct place place = place_of(group, "cpuacct");
	uint64_t value = 0;
	if (place.v2 && read_text(place.dir_fd, "cpu.stat", text) &&
	    cgroup_stats_parse_key(text->data, "usage_usec", &value) && value <= UINT64_MAX / NS_PER_US)
		value *= NS_PER_US;
	else if (place.v2 || !read_number(place.dir_fd, "cpuacct.usage", text, &value))
		return;
	stats->cpu_ns = value;
	stats->known |= CGROUP_CPU;
}

static const struct {
	const char *usage;
	const char *limit;
	const char *inactive_file;
	const char *rss;
	const char *faults;
	const char *major_faults;
} MEMORY_NAMES[] = {
	/* v1's plain keys leave out the groups below (cgroup-v1/memory.rst, 5.2) */
	{"memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file", "total_rss", "total_pgfault",
	 "total_pgmajfault"},
	{"memory.current", "memory.max", "inactive_file", "anon", "pgfault", "pgmajfault"},
};

/* Swap alone; v1 counts and limits memory and swap together. */
static void read_swap(struct place place, const char *memory_stat, struct buf *text, struct cgroup_stats *stats)
{
	uint64_t limit = CGROUP_UNLIMITED;
	if (place.v2) {
		if (!read_number(place.dir_fd, "memory.swap.current", text, &stats->swap_bytes) ||
		    !read_number(place.dir_fd, "memory.swap.max", text, &limit))
			return;
	} else {
		if (!cgroup_stats_parse_key(memory_stat, "total_swap", &stats->swap_bytes) ||
		    !read_number(place.dir_fd, "memory.memsw.limit_in_bytes", text, &limit))
			return;
		limit = v1_limit(limit);
		if (limit != CGROUP_UNLIMITED)
			limit = stats->memory_limit_bytes < limit ? limit - stats->memory_limit_bytes : 0;
	}
	stats->swap_limit_bytes = limit;
	stats->known |= CGROUP_SWAP;
}

static void read_memory(const struct cgroup *group, struct buf *text, struct cgroup_stats *stats)
{
	struct place place = place_of(group, "memory");
	stats->memory_limit_bytes = CGROUP_UNLIMITED; /* v2: a group that is no controller's has no memory.max */
	if (!read_number(place.dir_fd, MEMORY_NAMES[place.v2].usage, text, &stats->memory_bytes))
		return;
	stats->known |= CGROUP_MEMORY;
	uint64_t limit = 0;
	if (read_number(place.dir_fd, MEMORY_NAMES[place.v2].limit, text, &limit))
		stats->memory_limit_bytes = place.v2 ? limit : v1_limit(limit);
	scoped_done(buf_done) struct buf stat = {.max = FILE_BYTES_MAX};
	if (!read_text(place.dir_fd, "memory.stat", &stat))
		return;
	if (cgroup_stats_parse_key(stat.data, MEMORY_NAMES[place.v2].inactive_file, &stats->inactive_file_bytes) &&
	    cgroup_stats_parse_key(stat.data, MEMORY_NAMES[place.v2].rss, &stats->rss_bytes))
		stats->known |= CGROUP_MEMORY_STAT;
	if (cgroup_stats_parse_key(stat.data, MEMORY_NAMES[place.v2].faults, &stats->page_faults) &&
	    cgroup_stats_parse_key(stat.data, MEMORY_NAMES[place.v2].major_faults, &stats->major_page_faults))
		stats->known |= CGROUP_FAULTS;
	read_swap(place, stat.data, text, stats);
}

/* Pressure is counted in every v2 group, also where the controllers are on v1; v1 has none. */
static void read_pressure(const struct cgroup *group, struct buf *text, struct cgroup_stats *stats)
{
	const struct {
		const char *name;
		struct cgroup_psi *psi;
		unsigned bit;
	} files[] = {{"cpu.pressure", &stats->cpu_psi, CGROUP_CPU_PSI},
		     {"memory.pressure", &stats->memory_psi, CGROUP_MEMORY_PSI},
		     {"io.pressure", &stats->io_psi, CGROUP_IO_PSI}};
	int dir_fd = cgroup_v2_fd(group);
	for (size_t i = 0; i < ARRAY_COUNT(files); i++)
		if (read_text(dir_fd, files[i].name, text) && cgroup_stats_parse_psi(text->data, files[i].psi))
			stats->known |= files[i].bit;
}

void cgroup_stats_read(const struct cgroup *group, struct cgroup_stats *ret_stats)
{
	struct cgroup_stats stats = {0};
	scoped_done(buf_done) struct buf text = {.max = FILE_BYTES_MAX};
	read_cpu(group, &text, &stats);
	read_memory(group, &text, &stats);
	struct place pids = place_of(group, "pids");
	if (read_number(pids.dir_fd, "pids.current", &text, &stats.processes))
		stats.known |= CGROUP_PIDS;
	read_pressure(group, &text, &stats);
	*ret_stats = stats;
}

/* A main() for fuzz targets without libFuzzer: feeds each file of the folders (or files) named on the command line to the
 * target once, and with them the empty input and every truncation of small files, so that a plain build under the
 * sanitizers replays what fuzzing has found. Exits 1 where there was no file at all: an empty corpus tests nothing. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/scoped.h"
#include "core/fuzz/target.h"

/* Truncations of files up to this size are replayed as well; of larger ones they would take too long. */
#define TRUNCATE_BELOW_BYTES 1024

#define INPUT_BYTES_MAX (16U << 20)

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

/* Each input is a block of its own size, so that a read behind its end is seen by the address sanitizer. */
static int feed(const uint8_t *data, size_t size)
{
	scoped_free uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return -1;
	if (size)
		memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size); /* -1 only means: do not add this to the corpus */
	return 0;
}

static int replay_file(const char *path, size_t size)
{
	__attribute__((cleanup(close_file))) FILE *file = fopen(path, "rb");
	scoped_free uint8_t *data = malloc(size + 1);
	if (!file || !data || size > INPUT_BYTES_MAX || fread(data, 1, size, file) != size) {
		(void)fprintf(stderr, "%s: cannot be read\n", path);
		return -1;
	}
	for (size_t part = 0; size <= TRUNCATE_BELOW_BYTES && part < size; part++)
		if (feed(data, part) < 0)
			return -1;
	return feed(data, size);
}

/* Returns the number of files that were replayed, or -1. */
static int replay(const char *path)
{
	struct stat status = {0};
	if (stat(path, &status) < 0) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(status.st_mode))
		return replay_file(path, (size_t)status.st_size) < 0 ? -1 : 1;

	__attribute__((cleanup(close_folder))) DIR *folder = opendir(path);
	int files = 0;
	for (struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
		if (entry->d_name[0] == '.')
			continue;
		scoped_free char *child = NULL;
		if (asprintf(&child, "%s/%s", path, entry->d_name) < 0)
			return -1;
		int below = replay(child);
		if (below < 0)
			return -1;
		files += below;
	}
	return files;
}

int main(int argc, char **argv)
{
	int files = 0;
	for (int i = 1; i < argc; i++) {
		int below = replay(argv[i]);
		if (below < 0)
			return EXIT_FAILURE;
		files += below;
	}
	if (!files) {
		(void)fprintf(stderr, "%s: no corpus: expected the files or folders to replay\n", argv[0]);
		return EXIT_FAILURE;
	}
	(void)printf("%d files replayed\n", files);
	return EXIT_SUCCESS;
}

/* Requests of the FUSE protocol against the whole face of files: parsed and served, answers thrown away. The input is a
 * row of requests, each led by its length (two bytes); headers are made whole, so that most get through. */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/fuzz/target.h"
#include "signals/src/catalogue.h"
#include "signals/src/files/files.h"
#include "signals/src/fuse/wire.h"
#include "signals/src/store.h"
#include "signals/src/table.h"

static const char CATALOGUE[] = "{\"V\": {\"type\": \"branch\", \"children\": {"
				"\"S\": {\"type\": \"sensor\", \"datatype\": \"float\"},"
				"\"N\": {\"type\": \"attribute\", \"datatype\": \"string\", \"default\": \"n\"},"
				"\"A\": {\"type\": \"actuator\", \"datatype\": \"uint8\"}}}}";

struct world {
	int kernel; /* our end of the connection */
	struct table *table;
	struct store *store;
	struct files *files;
	struct connection *connection;
};

static void must(int r)
{
	if (r < 0)
		abort();
}

/* A socket of packets behaves as /dev/fuse does: whole requests, whole answers. */
static void world_open(struct world *world)
{
	int pair[2];
	struct catalogue_source source = {"fuzz", CATALOGUE, sizeof CATALOGUE - 1};
	struct catalogue *catalogue = NULL;
	int memory = table_create_memory();
	must(memory);
	must(table_open(memory, &world->table, NULL));
	must(close(memory));
	must(store_new(world->table, &world->store));
	must(catalogue_load(&source, 1, &catalogue, NULL));
	must(store_set_catalogue(world->store, catalogue, NULL));
	must(files_new(world->store, world->table, NULL, &world->files));
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
	world->kernel = pair[0];
	must(files_connect(world->files, pair[1], 0, NULL, NULL, false, &world->connection, NULL));
}

static void world_close(struct world *world)
{
	must(close(world->kernel));
	files_free(world->files);
	store_free(world->store);
	table_free(world->table);
}

static void drain(const struct world *world)
{
	static char answer[1 << 17];
	while (recv(world->kernel, answer, sizeof answer, MSG_DONTWAIT) > 0)
		;
}

static void serve(struct world *world, const uint8_t *data, size_t size, uint64_t unique)
{
	char request[8192] = {0};
	struct fuse_in_header header = {0};
	if (size < sizeof header || size > sizeof request)
		return;
	memcpy(request, data, size);
	memcpy(&header, request, sizeof header);
	header.len = (uint32_t)size;
	header.opcode %= 64;
	header.unique = unique | (header.unique & FUSE_WIRE_UNIQUE_RESEND);
	memcpy(request, &header, sizeof header);
	if (send(world->kernel, request, size, MSG_DONTWAIT) > 0)
		(void)connection_serve(world->connection);
	files_flush(world->files);
	drain(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = {0};
	struct fuse_request raw;
	(void)fuse_request_parse((const char *)data, size, &raw);
	world_open(&world);
	for (uint64_t unique = 2; size >= 2; unique += 2) {
		size_t length = (size_t)data[0] | (size_t)data[1] << 8;
		data += 2;
		size -= 2;
		length = length < size ? length : size;
		serve(&world, data, length, unique);
		data += length;
		size -= length;
	}
	world_close(&world);
	return 0;
}

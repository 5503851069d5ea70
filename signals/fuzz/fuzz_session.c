/* Whole conversations: whatever a client says, the service lives, and what it says are lines that a client can read. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/fuzz/target.h"
#include "signals/src/line/line.h"
#include "signals/src/line/session.h"
#include "signals/src/store.h"
#include "signals/src/table.h"

static const char CATALOGUE[] =
	"{\"V\": {\"type\": \"branch\", \"children\": {"
	"\"S\": {\"type\": \"sensor\", \"datatype\": \"float\", \"max\": 300},"
	"\"T\": {\"type\": \"sensor\", \"datatype\": \"string\"},"
	"\"L\": {\"type\": \"attribute\", \"datatype\": \"uint8[]\"},"
	"\"B\": {\"type\": \"branch\", \"children\": {\"A\": {\"type\": \"actuator\", \"datatype\": \"uint8\"}}}}}}";

static void has_output(struct line_carrier *carrier)
{
	(void)carrier;
}

/* Takes all that waits, and reads it as a client would. */
static void take_output(struct line_session *session)
{
	size_t size = 0;
	const char *output = line_session_output(session, &size);
	scoped_free char *copy = size ? strndup(output, size) : NULL;
	for (char *line = copy, *next = NULL; line && *line; line = next) {
		char *end = strchr(line, '\n');
		if (!end)
			abort();
		*end = '\0';
		next = end + 1;
		struct line_message message = {0};
		if (end == line || line_parse_event(line, (size_t)(end - line), &message, NULL) < 0 ||
		    message.verb == LINE_UNKNOWN_EVENT)
			abort();
	}
	line_session_sent(session, size);
}

static void talk(struct store *store, const uint8_t *data, size_t size)
{
	static const struct subject ROOT = {.name = "uid:0"};
	struct line_carrier carrier = {.has_output = has_output};
	struct line_session *sessions[2] = {NULL, NULL};
	for (int i = 0; i < 2; i++)
		if (line_session_new(store, &ROOT, &carrier, &sessions[i]) < 0)
			abort();
	/* A byte of value 1 hands the word to the other client. */
	for (size_t at = 0, who = 0; at < size; who ^= 1) {
		const uint8_t *end = memchr(data + at, 1, size - at);
		size_t part = end ? (size_t)(end - data) - at : size - at;
		for (size_t left = part; left > 0;) {
			char *tail = NULL;
			size_t room = 0;
			if (line_session_tail(sessions[who], &tail, &room) < 0)
				abort();
			size_t chunk = left < room ? left : room;
			memcpy(tail, data + at + part - left, chunk);
			line_session_received(sessions[who], chunk);
			left -= chunk;
		}
		at += part + 1;
	}
	take_output(sessions[0]);
	take_output(sessions[1]);
	line_session_free(sessions[0]);
	line_session_free(sessions[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct table *table = NULL;
	struct catalogue *catalogue = NULL;
	struct catalogue_source source = {"fuzz.json", CATALOGUE, sizeof CATALOGUE - 1};
	scoped_fd int fd = table_create_memory();
	struct store *store = NULL;
	if (fd < 0 || table_open(fd, &table, NULL) < 0)
		return 0;
	if (store_new(table, &store) == 0 && catalogue_load(&source, 1, &catalogue, NULL) == 0 &&
	    store_set_catalogue(store, catalogue, NULL) == 0)
		talk(store, data, size);
	store_free(store);
	table_free(table);
	return 0;
}

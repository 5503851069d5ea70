#include "cli/src/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "cli/src/format.h"
#include "core/base/arena.h"
#include "core/base/str.h"

#define LAYERS_MAX 512
#define BAR_WIDTH 30
#define REDRAW_NS 100000000ULL

struct layer {
	const char *digest;
	Axle__LayerState state;
	uint64_t done, total;
};

struct progress {
	struct arena *arena;
	const char *name;
	bool quiet;
	bool terminal;
	struct layer layers[LAYERS_MAX];
	size_t count;
	size_t drawn; /* lines that are on the screen */
	uint64_t drawn_at_ns;
	bool dirty;
};

struct progress *progress_new(struct arena *arena, const char *name, bool quiet)
{
	struct progress *progress = arena_alloc(arena, sizeof *progress);
	if (!progress)
		return NULL;
	progress->arena = arena;
	progress->name = name;
	progress->quiet = quiet;
	const char *term = getenv("TERM");
	progress->terminal = isatty(STDERR_FILENO) && term && !str_equal(term, "dumb");
	return progress;
}

static const char *state_name(Axle__LayerState state)
{
	static const char *const NAMES[] = {
		[AXLE__LAYER_STATE__LAYER_WAITING] = "waiting",
		[AXLE__LAYER_STATE__LAYER_DOWNLOADING] = "downloading",
		[AXLE__LAYER_STATE__LAYER_UNPACKING] = "unpacking",
		[AXLE__LAYER_STATE__LAYER_DONE] = "done",
		[AXLE__LAYER_STATE__LAYER_EXISTS] = "already there",
	};
	return (size_t)state < sizeof NAMES / sizeof *NAMES ? NAMES[state] : "";
}

void progress_bar(char *ret_text, unsigned width, uint64_t done, uint64_t total)
{
	uint64_t part = done < total ? done : total;
	unsigned filled = total > 0 ? (unsigned)((double)part / (double)total * width) : 0;
	ret_text[0] = '[';
	for (unsigned i = 0; i < width; i++)
		ret_text[1 + i] = i < filled ? '=' : i == filled && total > 0 && filled < width ? '>' : ' ';
	ret_text[1 + width] = ']';
	ret_text[2 + width] = '\0';
}

static void draw_layer(const struct layer *layer)
{
	char bar[BAR_WIDTH + 3];
	struct arena scratch = {.max = 1024};
	bool moving = layer->state == AXLE__LAYER_STATE__LAYER_DOWNLOADING && layer->total > 0;
	if (moving) {
		progress_bar(bar, BAR_WIDTH, layer->done, layer->total);
		(void)fprintf(stderr, "%s  %s  %s / %s\033[K\n", format_id(&scratch, layer->digest, false), bar,
			      format_size(&scratch, layer->done), format_size(&scratch, layer->total));
	} else {
		(void)fprintf(stderr, "%s  %s\033[K\n", format_id(&scratch, layer->digest, false),
			      state_name(layer->state));
	}
	arena_done(&scratch);
}

static void draw(struct progress *progress, bool now)
{
	uint64_t time = uv_hrtime();
	if (!progress->terminal || progress->quiet || !progress->dirty ||
	    (!now && time - progress->drawn_at_ns < REDRAW_NS))
		return;
	if (progress->drawn > 0)
		(void)fprintf(stderr, "\033[%zuA", progress->drawn);
	for (size_t i = 0; i < progress->count; i++)
		draw_layer(&progress->layers[i]);
	progress->drawn = progress->count;
	progress->drawn_at_ns = time;
	progress->dirty = false;
	(void)fflush(stderr);
}

/* A line above the bars, or just a line. */
static void say(struct progress *progress, const char *text)
{
	if (progress->quiet)
		return;
	if (progress->drawn > 0)
		(void)fprintf(stderr, "\033[%zuA", progress->drawn);
	(void)fprintf(stderr, "%s%s\n", text, progress->drawn > 0 ? "\033[K" : "");
	progress->drawn = 0; /* they are drawn below the line */
	progress->dirty = progress->count > 0;
}

static struct layer *find(struct progress *progress, const char *digest)
{
	for (size_t i = 0; i < progress->count; i++)
		if (str_equal(progress->layers[i].digest, digest))
			return &progress->layers[i];
	char *copy = progress->count < LAYERS_MAX ? arena_strdup(progress->arena, digest) : NULL;
	if (!copy)
		return NULL;
	struct layer *layer = &progress->layers[progress->count++];
	layer->digest = copy;
	return layer;
}

static void take_layer(struct progress *progress, const Axle__LayerProgress *message)
{
	struct layer *layer = find(progress, message->digest);
	if (!layer)
		return; /* more layers than anybody looks at */
	bool changed = layer->state != message->state;
	layer->state = message->state;
	layer->done = message->done_bytes;
	layer->total = message->total_bytes;
	progress->dirty = true;
	bool last = message->state == AXLE__LAYER_STATE__LAYER_DONE || message->state == AXLE__LAYER_STATE__LAYER_EXISTS;
	if (!progress->terminal && changed && last) {
		char line[128];
		char id[SHORT_ID + 1];
		const char *colon = strchr(message->digest, ':');
		(void)snprintf(id, sizeof id, "%s", colon ? colon + 1 : message->digest);
		(void)snprintf(line, sizeof line, "%s: %s", id, state_name(message->state));
		say(progress, line);
	}
}

static void take_resolved(struct progress *progress, const Axle__PullResolved *resolved)
{
	struct arena scratch = {.max = 4096};
	const char *name = *resolved->reference ? resolved->reference : progress->name;
	const char *line = resolved->total_bytes > 0 ?
				   arena_printf(&scratch, "%s: %u layer%s, %s", name, resolved->layers,
						resolved->layers == 1 ? "" : "s",
						format_size(&scratch, resolved->total_bytes)) :
				   arena_printf(&scratch, "%s", name);
	if (line)
		say(progress, line);
	arena_done(&scratch);
}

void progress_take(struct progress *progress, const Axle__PullResponse *response)
{
	switch (response->what_case) {
	case AXLE__PULL_RESPONSE__WHAT_RESOLVED:
		take_resolved(progress, response->resolved);
		break;
	case AXLE__PULL_RESPONSE__WHAT_LAYER:
		take_layer(progress, response->layer);
		break;
	case AXLE__PULL_RESPONSE__WHAT_NOTE:
		say(progress, response->note);
		break;
	default:
		break;
	}
	draw(progress, false);
}

void progress_end(struct progress *progress)
{
	draw(progress, true);
}

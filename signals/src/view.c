#include "signals/src/view.h"

#include <stdlib.h>

unsigned view_rights(const struct view *view, signal_id id)
{
	return id < view->count ? view->rights[id] : 0;
}

int64_t view_interval_ns(const struct view *view, signal_id id)
{
	return view->intervals_ns && id < view->count ? view->intervals_ns[id] : 0;
}

struct view_sample *view_sample(const struct view *view, signal_id id)
{
	if (!view->samples || id >= view->count)
		return NULL;
	if (!view->samples[id])
		view->samples[id] = calloc(1, sizeof *view->samples[id]);
	return view->samples[id];
}

void view_done(struct view *view)
{
	for (uint32_t i = 0; view->samples && i < view->count; i++) {
		if (view->samples[i])
			free(view->samples[i]->text);
		free(view->samples[i]);
	}
	free(view->samples);
	free(view->rights);
	free(view->intervals_ns);
	*view = (struct view){0};
}

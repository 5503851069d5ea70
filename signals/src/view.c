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

void view_done(struct view *view)
{
	free(view->rights);
	free(view->intervals_ns);
	*view = (struct view){0};
}

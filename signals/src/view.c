#include "signals/src/view.h"

unsigned view_rights(const struct view *view, signal_id id)
{
	return id < view->count ? view->rights[id] : 0;
}

/* What containers were granted, for whoever may look at all of them (`views` of the line protocol). */
#include "core/base/buf.h"
#include "core/codec/json.h"
#include "signals/src/grant.h"
#include "signals/src/store.h"
#include "signals/src/views.h"

#define TEXT_MAX 60000 /* one item of the line protocol */

/* ,"name":"text"; nothing for NULL */
static int add_text(struct buf *json, const char *name, const char *text)
{
	if (!text)
		return 0;
	int r = buf_printf(json, ",\"%s\":", name);
	return r < 0 ? r : json_add_string(json, text);
}

static int add_identity(const struct view_request *request, struct buf *json)
{
	const struct view_identity *identity = &request->identity;
	int r = buf_add_text(json, "{\"container\":");
	if (r == 0)
		r = json_add_string(json, request->id);
	if (r == 0)
		r = add_text(json, "manager", identity->manager ? identity->manager : "unmanaged");
	if (r == 0)
		r = add_text(json, "namespace", identity->pod_namespace);
	if (r == 0)
		r = add_text(json, "pod", identity->pod);
	if (r == 0)
		r = add_text(json, "service_account", identity->service_account);
	return r < 0 ? r : add_text(json, "image", identity->image);
}

int views_add_one(const struct store *store, const struct view_request *request, const struct view *view,
		  struct buf *ret_json)
{
	const struct subject subject = {.view = view};
	ret_json->max = TEXT_MAX;
	int r = add_identity(request, ret_json);
	if (r == 0)
		r = store_add_rights(store, &subject, ret_json);
	return r < 0 ? r : buf_add_char(ret_json, '}');
}

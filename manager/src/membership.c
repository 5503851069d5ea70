#include "manager/src/membership.h"

#include "core/base/arena.h"
#include "manager/src/cni_result.h"

void membership_done(struct membership *membership)
{
	json_decref(membership->record.list);
	json_decref(membership->record.capabilities);
	json_decref(membership->record.result);
	*membership = (struct membership){0};
}

int membership_take_addresses(struct membership *membership, const struct cni_result *result, struct arena *arena)
{
	return cni_result_addresses(result, membership->record.interface, arena, &membership->addresses,
				    &membership->addresses_count);
}

int membership_load(struct membership *membership, struct pod_record *record, struct arena *arena, struct err *err)
{
	if (!record->network)
		return 0;
	membership->record = *record->network;
	(void)json_incref(membership->record.list);
	(void)json_incref(membership->record.capabilities);
	(void)json_incref(membership->record.result);
	record->network = &membership->record;
	if (!membership->record.result)
		return 0;
	struct cni_result result = {0};
	int r = cni_result_decode(membership->record.name, membership->record.result, arena, &result, err);
	return r < 0 ? r : membership_take_addresses(membership, &result, arena);
}

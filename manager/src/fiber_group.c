#include "manager/src/fiber_group.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/scoped.h"

struct fiber_member {
	struct fiber_group *group;
	fiber_function *function;
	void *data;
	struct fiber *fiber;
	struct fiber_member *next;
};

static void leave(struct fiber_member *member)
{
	struct fiber_member **place = &member->group->members;
	while (*place != member)
		place = &(*place)->next;
	*place = member->next;
	fiber_signal_all(&member->group->ended);
	free(member);
}

static void run(void *data)
{
	struct fiber_member *member = data;
	member->function(member->data);
	leave(member);
}

int fiber_group_start(struct fiber_group *group, fiber_function *function, void *data)
{
	scoped_free struct fiber_member *member = malloc(sizeof *member);
	if (!member)
		return -ENOMEM;
	*member = (struct fiber_member){.group = group, .function = function, .data = data, .next = group->members};
	int r = fiber_start(group->fibers, run, member, &member->fiber);
	if (r < 0)
		return r;
	group->members = TAKE(member);
	return 0;
}

void fiber_group_cancel(struct fiber_group *group)
{
	for (struct fiber_member *member = group->members; member; member = member->next)
		fiber_cancel(member->fiber);
}

bool fiber_group_is_busy(const struct fiber_group *group, fiber_function *except)
{
	for (const struct fiber_member *member = group->members; member; member = member->next)
		if (!except || member->function != except)
			return true;
	return false;
}

bool fiber_group_runs(const struct fiber_group *group, fiber_function *function)
{
	for (const struct fiber_member *member = group->members; member; member = member->next)
		if (member->function == function)
			return true;
	return false;
}

void fiber_group_join(struct fiber_group *group, bool cancel)
{
	if (cancel)
		fiber_group_cancel(group);
	fiber_shield(group->fibers);
	while (group->members)
		(void)fiber_signal_wait(group->fibers, &group->ended);
	fiber_unshield(group->fibers);
}

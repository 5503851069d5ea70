/* How containers end: StopContainer, RemoveContainer, and what follows the end of a process. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"
#include "core/sys/pidfd.h"
#include "image/include/axle/image.h"
#include "manager/src/container_bundle.h"
#include "manager/src/container_life.h"
#include "manager/src/container_volumes.h"
#include "manager/src/exec.h"
#include "manager/src/monitor_link.h"
#include "manager/src/runtimes.h"

#define KILL_WAIT_MS 10000
#define STOP_TIMEOUT_MAX_S (365 * 86400)

/* --- cleaning --- */

static int remove_left(struct container *container, const char *const *trees, struct err *err)
{
	scoped_free char *target = container_state_path(container, "rootfs");
	bool has_volumes = container_has_image_volumes(container); /* its record may be older than their mounts */
	scoped_free char *volumes = has_volumes ? container_state_path(container, "volumes") : NULL;
	if (!target || (has_volumes && !volumes))
		return -ENOMEM;
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	const struct helper_container_remove remove = {
		.target = target,
		.volumes = volumes,
		.cgroup = container->record.cgroup,
		.trees = trees,
		.kill = true,
	};
	struct helper_request request = {.container_remove = &remove};
	struct helper_reply reply = {0};
	return helper_run(&container->node->helper, &request, &arena, &reply, NULL, err);
}

/* The runtime forgets its state; a container that it does not know is success. */
static void delete_from_runtime(struct container *container)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct runtime runtime = {0};
	struct err err = {0};
	int r = runtime_find(container->node, container->record.runtime_handler, &arena, &runtime, &err);
	if (r == 0) {
		const char *const args[] = {"delete", "--force", container->id, NULL};
		r = runtime_run(container->node, &runtime, args, NULL, &err);
		if (r < 0) /* the command may have been killed, and may be repeated */
			r = runtime_run(container->node, &runtime, args, NULL, &err);
	}
	if (r < 0) /* what matters is ended by the helper; the runtime's own folder goes with the next reboot */
		log_err(&container->node->log, &err, r, "container %.12s: runtime delete", container->id);
}

static void close_descriptors(struct container *container)
{
	int *fds[] = {&container->pidfd,    &container->rootfs_fd, &container->stdio[0],
		      &container->stdio[1], &container->stdio[2],  &container->stdio[3]};
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (*fds[i] >= 0) {
			(void)close(*fds[i]);
			*fds[i] = -1;
		}
}

static void end_monitor(struct container *container)
{
	monitor_link_close(container->monitor); /* it ends by itself when its container has and nobody is connected */
	container->monitor = NULL;
	container->monitor_ready = false;
	container->monitor_pid = 0;
	exec_lost(container);
}

int container_clean(struct container *container, struct err *err)
{
	if (container->cleaned)
		return 0;
	container->running = false;
	end_monitor(container);
	close_descriptors(container);
	if (container->record.started_ns)
		delete_from_runtime(container);
	scoped_free char *state = container_state_path(container, NULL); /* its absence tells a restart that this was done */
	const char *const trees[] = {state, NULL};
	int r = state ? remove_left(container, trees, err) : -ENOMEM;
	container->pid = 0;
	container->cleaned = r == 0;
	return r;
}

/* --- the end of the process --- */

static const struct {
	const char *monitor;
	const char *cri;
} REASONS[] = {
	{"oom-killed", "OOMKilled"},
	{"start-failed", "StartError"},
};

/* The words that kubelets know; ours where they have none. */
static const char *cri_reason(const struct monitor_exit *exit)
{
	for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++)
		if (str_equal(exit->reason, REASONS[i].monitor))
			return REASONS[i].cri;
	if (str_equal(exit->reason, "exited") || str_equal(exit->reason, "signaled"))
		return exit->exit_code == 0 ? "Completed" : "Error";
	return exit->reason ? exit->reason : "Error";
}

static int record_end(struct container *container, const struct monitor_exit *exit)
{
	const struct exit_record ended = {
		.code = exit->exit_code,
		.signal = exit->signal,
		.oom_killed = exit->oom_killed,
		.reason = cri_reason(exit),
		.message = exit->message,
	};
	struct err err = {0};
	if (exit->started_ns)
		container->record.started_ns = exit->started_ns;
	container->running = false;
	int r = container_set_exit(container, &ended, exit->finished_ns ? exit->finished_ns : node_now_ns());
	if (r == 0)
		r = container_save(container, CONTAINER_EXITED, &err);
	if (r < 0)
		log_err(&container->node->log, &err, r, "container %.12s: record its end", container->id);
	container_event(container, exit->oom_killed ? "oom" : "exited");
	log_info(&container->node->log, "container.exited", "container %s, exit code %d (%s)", container->id,
		 ended.code, ended.reason);
	return r;
}

void container_ended(struct container *container, const struct monitor_exit *exit)
{
	struct fibers *fibers = container->node->fibers;
	fiber_shield(fibers);
	(void)fiber_lock(fibers, &container->lock);
	if (container->phase == CONTAINER_STARTED) {
		struct err err = {0};
		int r = record_end(container, exit);
		if (r == 0) /* else a start must find the monitor's note of it */
			r = container_clean(container, &err);
		if (r < 0)
			log_err(&container->node->log, &err, r, "container %.12s: clean up", container->id);
	}
	fiber_unlock(fibers, &container->lock);
	fiber_unshield(fibers);
}

int container_declare_lost(struct container *container, const char *reason, const char *message, struct err *err)
{
	const struct exit_record lost = {.code = 255, .reason = reason, .message = message};
	int r = container_clean(container, err);
	if (r == 0)
		r = container_set_exit(container, &lost, node_now_ns());
	if (r == 0)
		r = container_save(container, CONTAINER_EXITED, err);
	if (r == 0)
		container_event(container, "exited");
	return r;
}

/* --- waiting and signals --- */

static bool has_ended(const struct container *container)
{
	return container->gone || container->phase == CONTAINER_EXITED || container->phase == CONTAINER_REMOVING;
}

int container_wait(struct container *container, bool removed)
{
	int r = 0;
	while (r == 0 && !(removed ? container->gone : has_ended(container)))
		r = fiber_signal_wait(container->node->fibers, &container->changed);
	return r;
}

int container_signal(struct container *container, int signal, struct err *err)
{
	if (!container->running || container->pidfd < 0)
		return err_set(err, -EBUSY, "container.state", "container %s does not run", container->id);
	int r = pidfd_signal(container->pidfd, signal);
	return r < 0 ? err_sys(err, r, "container.signal", "send signal %d to container %s", signal, container->id) : 0;
}

/* Everything in its cgroup, also what has a pid namespace of its own or shares the host's. */
static void kill_all(struct container *container)
{
	scoped_done(cgroup_done) struct cgroup group = {0};
	if (cgroup_open(&container->node->cgroups, container->record.cgroup, &group) == 0)
		(void)cgroup_kill(&group); /* the first process is signalled as well, in any case */
	if (container->pidfd >= 0)
		(void)pidfd_signal(container->pidfd, SIGKILL); /* it may have ended */
}

/* Waits for the end until @deadline_ns at most. Returns 1 where that has passed. */
static int wait_until(struct container *container, uint64_t deadline_ns)
{
	struct fibers *fibers = container->node->fibers;
	uint64_t own = fiber_set_deadline(fibers, deadline_ns);
	if (own < deadline_ns)
		(void)fiber_set_deadline(fibers, own);
	int r = container_wait(container, false);
	(void)fiber_set_deadline(fibers, own);
	return r == -ETIMEDOUT && deadline_ns < own ? 1 : r;
}

static uint64_t from_now_ns(uint64_t ms)
{
	return uv_hrtime() + ms * UINT64_C(1000000);
}

/* A start that is under way is waited for. */
static int await_start(struct container *container, struct err *err)
{
	struct fibers *fibers = container->node->fibers;
	if (container->phase != CONTAINER_STARTED || container->running)
		return 0;
	int r = fiber_lock(fibers, &container->lock);
	if (r < 0)
		return err_set(err, r, "container.busy", "container %s: another call is not done with it", container->id);
	fiber_unlock(fibers, &container->lock);
	return 0;
}

int container_stop(struct container *container, int64_t timeout_s, struct err *err)
{
	int r = await_start(container, err);
	if (r < 0 || container->phase != CONTAINER_STARTED)
		return r;
	if (timeout_s > STOP_TIMEOUT_MAX_S)
		timeout_s = STOP_TIMEOUT_MAX_S;
	r = 1;
	if (timeout_s > 0 && container->running) {
		(void)container_signal(container, container->record.stop_signal, NULL); /* it may just have ended */
		r = wait_until(container, from_now_ns((uint64_t)timeout_s * 1000));
	}
	if (r > 0) {
		kill_all(container);
		r = wait_until(container, from_now_ns(KILL_WAIT_MS));
	}
	if (r > 0)
		return err_set(err, -ETIMEDOUT, "container.stuck", "container %s has not ended %d s after SIGKILL",
			       container->id, KILL_WAIT_MS / 1000);
	if (r < 0)
		return err_set(err, r, "container.stop", "container %s: the call ended before the container did",
			       container->id);
	return 0;
}

/* --- removing --- */

static int remove_files(struct container *container, struct err *err)
{
	scoped_free char *rootfs = container_rootfs_path(container);
	scoped(strv_free) char **trees = NULL;
	if (!rootfs || strv_add(&trees, rootfs) < 0)
		return -ENOMEM;
	if (container->record.log_is_ours && strv_add(&trees, container->record.log_path) < 0)
		return -ENOMEM;
	for (uint32_t i = 1; container->record.log_is_ours && i <= container->node->config.container_logs.files; i++)
		if (strv_printf(&trees, "%s.%u", container->record.log_path, i) < 0)
			return -ENOMEM;
	return remove_left(container, (const char *const *)trees, err);
}

static int remove_locked(struct container *container, struct err *err)
{
	struct node *node = container->node;
	if (container->gone)
		return 0;
	if (container->phase == CONTAINER_STARTED)
		return err_set(err, -EBUSY, "container.state", "container %s was started again", container->id);
	int r = container_save(container, CONTAINER_REMOVING, err);
	r = record_end_noted(&node->log, container->id, r);
	if (r == 0)
		r = container_clean(container, err);
	if (r == 0)
		r = remove_files(container, err);
	if (r == 0)
		r = record_remove(node->fibers, node->places.container_records_fd, container->id, err);
	if (r < 0)
		return r;
	if (container->image_held)
		image_store_release(node->images, container->record.image_id);
	container_volumes_release(container);
	container_event(container, "removed");
	log_info(&node->log, "container.removed", "container %s", container->id);
	container_forget(container);
	return 0;
}

int container_remove(struct container *container, struct err *err)
{
	struct fibers *fibers = container->node->fibers;
	int r = container_stop(container, 0, err);
	if (r < 0)
		return r;
	r = fiber_lock(fibers, &container->lock);
	if (r < 0)
		return err_set(err, r, "container.busy", "container %s: another call is not done with it", container->id);
	r = remove_locked(container, err);
	fiber_unlock(fibers, &container->lock);
	return r;
}

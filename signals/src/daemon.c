#include "signals/src/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/str.h"
#include "core/sys/mount.h"
#include "core/sys/path.h"
#include "core/sys/usocket.h"
#include "signals/src/catalogue.h"
#include "signals/src/files/files.h"
#include "signals/src/holder.h"
#include "signals/src/line/server.h"
#include "signals/src/setup.h"
#include "signals/src/store.h"
#include "signals/src/table.h"
#include "signals/src/views.h"

#define STATE_ROOT "/run/axsignald"
#define NS_PER_MS 1000000
#define DEAD_MOUNTS_MAX 16

/* What the holder kept, until there is somebody to take it. */
struct kept {
	struct kept *next;
	struct holder_item item; /* its text lies here */
	char text[];
};

struct daemon {
	const struct log *log;
	struct log audit;
	int audit_fd; /* -1: with the log */
	struct store_auditor auditor;
	struct views *views;
	struct kept *kept;
	int control_fd;
	char *control_path;
	struct setup setup;
	struct table *table;
	struct store *store;
	struct files *files;
	struct connection *host;
	struct holder holder;
	struct line_server *line;
	int line_fd; /* listens; -1: none, or the server's */
	uv_loop_t loop;
	uv_poll_t fuse;
	uv_poll_t holder_watch;
	uv_timer_t timer;
	uv_prepare_t prepare;
	int64_t armed_ns; /* what the timer is set to */
	uv_signal_t signals[3];
	bool abandoned; /* what an earlier daemon left is not ours to end */
};

/* ---- mounting ---- */

/* A mount whose server is gone answers nothing but this. */
static void clear_dead_mounts(const char *mount)
{
	for (int i = 0; i < DEAD_MOUNTS_MAX && mount_is_dead(AT_FDCWD, mount); i++)
		if (umount2(mount, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return;
}

static int attach(int tree, const char *mount, struct err *err)
{
	scoped_fd int target = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return err_sys(err, -errno, "signal.mount", "%s", mount);
	int r = mount_tree_attach(tree, target);
	return r < 0 ? err_sys(err, r, "signal.mount", "mount on %s", mount) : 0;
}

static int mount_files(const char *mount, int *ret_fuse, struct err *err)
{
	clear_dead_mounts(mount);
	scoped_fd int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fuse < 0)
		return err_sys(err, -errno, "signal.mount", "/dev/fuse");
	char number[16];
	(void)snprintf(number, sizeof number, "%d", fuse);
	const struct mount_option options[] = {
		{"source", "axsignald"}, {"fd", number},	{"rootmode", "40000"},	      {"user_id", "0"},
		{"group_id", "0"},	 {"allow_other", NULL}, {"default_permissions", NULL},
	};
	scoped_fd int tree = -1;
	int r = mount_filesystem("fuse", options, ARRAY_COUNT(options), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
				 &tree, err);
	if (r == 0)
		r = attach(tree, mount, err);
	if (r < 0)
		return r;
	*ret_fuse = TAKE_FD(fuse);
	return 0;
}

/* Where the holder of a mount listens: STATE/holder.sock; without a configured place one by the mount's path. */
static char *holder_path(const struct config_daemon *config, const char *mount, struct err *err)
{
	scoped_free char *folder = config->state ? strdup(config->state) : str_printf("%s/%s", STATE_ROOT, mount + 1);
	for (char *c = folder && !config->state ? folder + sizeof STATE_ROOT : NULL; c && *c; c++)
		if (*c == '/')
			*c = '-';
	if (!folder || path_make_directories(folder, 0755, err) < 0)
		return NULL;
	return str_printf("%s/holder.sock", folder);
}

static void close_item(const struct holder_item *item)
{
	for (size_t i = 0; i < ARRAY_COUNT(item->fds); i++)
		if (item->fds[i] >= 0)
			(void)close(item->fds[i]);
}

static void keep(void *user, const struct holder_item *item)
{
	struct daemon *daemon = user;
	struct kept *kept = malloc(sizeof *kept + item->size);
	if (!kept) {
		close_item(item);
		return;
	}
	*kept = (struct kept){.next = daemon->kept, .item = *item};
	memcpy(kept->text, item->text, item->size);
	kept->item.text = kept->text;
	daemon->kept = kept;
}

/* Only root makes views: who connects here is believed what it says of a container. */
static int bind_control(struct daemon *daemon, const char *holder_path, struct err *err)
{
	scoped_free char *path = str_printf("%.*s/control.sock", (int)(strrchr(holder_path, '/') - holder_path), holder_path);
	if (!path)
		return -ENOMEM;
	daemon->control_path = strdup(path);
	daemon->control_fd = usocket_listen(path, SOCK_SEQPACKET, 0600, 64, err);
	return daemon->control_fd < 0 ? daemon->control_fd : 0;
}

/* 1: an earlier daemon's mount goes on; 0: a new one. */
static int get_mount(struct daemon *daemon, const char *mount, struct err *err)
{
	scoped_free char *path = holder_path(&daemon->setup.config.daemon, mount, err);
	if (!path)
		return -EIO;
	int r = holder_connect(path, &daemon->holder, keep, daemon, err);
	if (r >= 0) {
		int bound = bind_control(daemon, path, err);
		if (bound < 0)
			return bound;
	}
	if (r != 0)
		return r;
	int fuse = -1;
	r = mount_files(mount, &fuse, err);
	if (r < 0)
		return r;
	int memory = table_create_memory();
	if (memory < 0) {
		(void)close(fuse);
		return err_sys(err, memory, "table.memory", "make the table");
	}
	const int fds[] = {fuse, memory};
	return holder_start(path, mount, fds, keep, daemon, &daemon->holder, err);
}

/* ---- privileges ---- */

/* Each client is a descriptor: as many as we are allowed, not as many as programs with select(2) are given at first. */
static void allow_many_clients(void)
{
	struct rlimit limit = {0};
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* what is refused later is logged where it happens */
}

static int become_user(const char *name, struct err *err)
{
	const struct passwd *user = getpwnam(name);
	if (!user)
		return err_set(err, -EINVAL, "config.invalid", "daemon.user: expected a user of this system, found \"%s\"", name);
	if (initgroups(name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
		return err_sys(err, -errno, "signal.user", "become %s", name);
	return 0;
}

/* From here on the daemon has no capability, whoever started it: it has its descriptors. */
static int drop_privileges(const struct config_daemon *config, struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	if (config->user && geteuid() == 0) {
		int r = become_user(config->user, err);
		if (r < 0)
			return r;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
		return err_sys(err, -errno, "signal.capabilities", "drop capabilities");
	return 0;
}

/* ---- the loop ---- */

static void stop(struct daemon *daemon)
{
	uv_stop(&daemon->loop);
}

static void on_fuse(uv_poll_t *poll, int status, int events)
{
	struct daemon *daemon = poll->data;
	(void)events;
	(void)status; /* an aborted connection reads as -ENODEV too */
	int r = connection_serve(daemon->host);
	if (r == 0)
		return;
	log_info(daemon->log, "signal.unmounted", "the mount is gone: ending");
	stop(daemon);
}

static void on_view(void *user, const struct holder_item *item)
{
	const struct daemon *daemon = user;
	views_resume(daemon->views, item);
}

static void on_holder(uv_poll_t *poll, int status, int events)
{
	struct daemon *daemon = poll->data;
	(void)status;
	(void)events;
	int r = holder_hear(&daemon->holder, on_view, daemon);
	if (r >= 0 || r == -ENOMEM)
		return;
	(void)uv_poll_stop(poll);
	log_warning(daemon->log, "signal.holder-gone", "the holder is gone: a kill of this daemon would now end open files");
}

static void on_timer(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	daemon->armed_ns = INT64_MAX;
	store_tick(daemon->store);
}

/* Before each sleep: the one timer is set to what the store waits for. Nothing waiting, nothing set: no wake-ups. */
static void before_sleep(uv_prepare_t *prepare)
{
	struct daemon *daemon = prepare->data;
	files_flush(daemon->files);
	int64_t due = store_due(daemon->store);
	if (due == daemon->armed_ns)
		return;
	daemon->armed_ns = due;
	if (due == INT64_MAX) {
		(void)uv_timer_stop(&daemon->timer);
		return;
	}
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	int64_t wait = due - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	uv_update_time(&daemon->loop);
	(void)uv_timer_start(&daemon->timer, on_timer, wait > 0 ? (uint64_t)(wait + NS_PER_MS - 1) / NS_PER_MS : 0, 0);
}

/* All or nothing: what is broken is told, and the old stays in force. */
static void reload(struct daemon *daemon)
{
	struct err err = {0};
	struct setup fresh;
	int r = setup_read(daemon->setup.catalogue_files, daemon->setup.config_file, &fresh, &err);
	if (r == 0) {
		r = store_set_catalogue(daemon->store, fresh.catalogue, &err);
		if (r == 0)
			fresh.catalogue = NULL; /* the store's */
		else
			setup_done(&fresh);
	}
	if (r < 0) {
		log_err(daemon->log, &err, r, "reload: the old catalogue and configuration stay in force");
		return;
	}
	struct config old = daemon->setup.config;
	daemon->setup.config = fresh.config;
	store_set_policy(daemon->store, &daemon->setup.config.policy);
	config_done(&old);
	views_recheck(daemon->views);
	if (daemon->line)
		line_server_recheck(daemon->line);
	(void)malloc_trim(0);
	log_info(daemon->log, "signal.reloaded", "%zu signals", catalogue_leaf_count(store_catalogue(daemon->store)));
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;
	if (number == SIGHUP)
		reload(daemon);
	else
		stop(daemon);
}

static int start_loop(struct daemon *daemon)
{
	static const int NUMBERS[] = {SIGHUP, SIGTERM, SIGINT};
	int r = uv_loop_init(&daemon->loop);
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(NUMBERS); i++) {
		(void)uv_signal_init(&daemon->loop, &daemon->signals[i]);
		daemon->signals[i].data = daemon;
		r = uv_signal_start(&daemon->signals[i], on_signal, NUMBERS[i]);
	}
	(void)uv_timer_init(&daemon->loop, &daemon->timer);
	daemon->timer.data = daemon;
	(void)uv_prepare_init(&daemon->loop, &daemon->prepare);
	daemon->prepare.data = daemon;
	daemon->armed_ns = INT64_MAX;
	return r < 0 ? r : uv_prepare_start(&daemon->prepare, before_sleep);
}

static int watch(struct daemon *daemon, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
	int r = uv_poll_init(&daemon->loop, poll, fd);
	poll->data = daemon;
	return r < 0 ? r : uv_poll_start(poll, UV_READABLE, callback);
}

/* ---- audit ---- */

static void audit(struct store_auditor *auditor, enum audit_action action, const struct subject *subject, signal_id id,
		  const char *text, int result)
{
	static const char *const EVENTS[] = {
		[AUDIT_ACTUATE] = "audit.actuate",
		[AUDIT_FORCE] = "audit.force",
		[AUDIT_UNFORCE] = "audit.unforce",
		[AUDIT_DENY] = "audit.deny",
	};
	const struct daemon *daemon = (struct daemon *)((char *)auditor - offsetof(struct daemon, auditor));
	char path[CATALOGUE_PATH_MAX];
	store_path(daemon->store, id, path);
	log_info(&daemon->audit, EVENTS[action], "%s %s%s%.100s: %s", subject->name, path, text ? " = " : "", text ? text : "",
		 result < 0 ? strerror(-result) : "done");
}

static int open_audit(struct daemon *daemon, struct err *err)
{
	const char *path = daemon->setup.config.daemon.audit;
	daemon->audit = *daemon->log;
	if (!path)
		return 0;
	daemon->audit_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (daemon->audit_fd < 0)
		return err_sys(err, -errno, "audit.file", "%s", path);
	daemon->audit.fd = daemon->audit_fd;
	daemon->audit.level = LOG_INFO;
	daemon->audit.format = LOG_JSON;
	return 0;
}

/* ---- life ---- */

static int make_store(struct daemon *daemon, int memory_fd, struct err *err)
{
	int r = table_open(memory_fd, &daemon->table, err);
	if (r == 0)
		r = store_new(daemon->table, &daemon->store);
	if (r < 0)
		return r;
	store_set_policy(daemon->store, &daemon->setup.config.policy);
	daemon->auditor.acted = audit;
	store_set_auditor(daemon->store, &daemon->auditor);
	r = store_set_catalogue(daemon->store, daemon->setup.catalogue, err);
	if (r == 0)
		daemon->setup.catalogue = NULL; /* the store's */
	return r;
}

static int start_files(struct daemon *daemon, bool resume, struct err *err)
{
	int r = files_new(daemon->store, daemon->table, daemon->log, &daemon->files);
	if (r < 0)
		return r;
	int fd = daemon->holder.fuse_fd;
	daemon->holder.fuse_fd = -1; /* the connection's */
	r = files_connect(daemon->files, fd, 0, NULL, NULL, resume, &daemon->host, err);
	if (r == 0)
		r = watch(daemon, &daemon->fuse, fd, on_fuse);
	return r;
}

/* ---- views ---- */

static int start_views(struct daemon *daemon, struct err *err)
{
	const struct views_options options = {.loop = &daemon->loop, .store = daemon->store, .files = daemon->files,
					      .holder = &daemon->holder, .config = &daemon->setup.config,
					      .log = daemon->log, .audit = &daemon->audit};
	int r = views_new(&options, &daemon->views);
	if (r < 0)
		return r;
	while (daemon->kept) {
		struct kept *kept = daemon->kept;
		daemon->kept = kept->next;
		views_resume(daemon->views, &kept->item);
		free(kept);
	}
	r = watch(daemon, &daemon->holder_watch, daemon->holder.socket, on_holder);
	return r < 0 ? r : views_listen(daemon->views, TAKE_FD(daemon->control_fd), err);
}

static void drop_kept(struct daemon *daemon)
{
	while (daemon->kept) {
		struct kept *kept = daemon->kept;
		daemon->kept = kept->next;
		close_item(&kept->item);
		free(kept);
	}
}

/* Everybody may connect: what each may do is decided signal by signal, by the user behind the socket. */
static int bind_socket(struct daemon *daemon, struct err *err)
{
	const char *path = daemon->setup.config.daemon.socket;
	return path ? line_server_bind(path, 0666, &daemon->line_fd, err) : 0;
}

static int each_view(void *user, int (*say)(void *say_user, const char *json), void *say_user)
{
	const struct daemon *daemon = user;
	return views_each(daemon->views, say, say_user);
}

static int start_socket(struct daemon *daemon, struct err *err)
{
	const struct line_server_options options = {.loop = &daemon->loop, .store = daemon->store, .log = daemon->log,
						    .each_view = each_view, .user = daemon};
	if (daemon->line_fd < 0)
		return 0;
	int r = line_server_new(&options, daemon->line_fd, &daemon->line, err);
	if (r == 0)
		daemon->line_fd = -1; /* the server's */
	return r;
}

/* The loop gives the server's handles back in its own time: it turns until they are closed. */
static void stop_socket(struct daemon *daemon)
{
	bool any = daemon->line || daemon->views;
	line_server_close(daemon->line);
	views_free(daemon->views);
	if (any)
		(void)uv_run(&daemon->loop, UV_RUN_NOWAIT);
	if (daemon->line_fd >= 0)
		(void)close(daemon->line_fd);
}

static int start(struct daemon *daemon, const char *mount, struct err *err)
{
	int r = get_mount(daemon, mount, err);
	bool resume = r == 1;
	if (r >= 0)
		r = bind_socket(daemon, err);
	if (r == 0)
		r = open_audit(daemon, err);
	if (r == 0)
		r = drop_privileges(&daemon->setup.config.daemon, err);
	allow_many_clients();
	if (r == 0)
		r = make_store(daemon, daemon->holder.memory_fd, err);
	if (r == 0)
		r = start_loop(daemon);
	if (r == 0)
		r = start_files(daemon, resume, err);
	if (r == 0)
		r = start_views(daemon, err);
	if (r == 0)
		r = start_socket(daemon, err);
	daemon->abandoned = resume && r < 0;
	if (r == 0)
		log_info(daemon->log, "signal.serving", "%zu signals at %s%s",
			 catalogue_leaf_count(store_catalogue(daemon->store)), mount, resume ? " (resumed)" : "");
	return r;
}

/* The mount goes before the store: whoever waits in it is told by the kernel, and no invalidation can be left waiting. */
static void finish(struct daemon *daemon)
{
	if (daemon->host)
		(void)uv_poll_stop(&daemon->fuse);
	if (daemon->holder_watch.loop)
		(void)uv_poll_stop(&daemon->holder_watch);
	drop_kept(daemon);
	stop_socket(daemon);
	if (daemon->abandoned && daemon->holder.socket >= 0)
		(void)close(TAKE_FD(daemon->holder.socket));
	if (daemon->control_fd >= 0)
		(void)close(daemon->control_fd);
	if (daemon->control_path)
		(void)unlink(daemon->control_path);
	free(daemon->control_path);
	holder_end(&daemon->holder);
	if (daemon->holder.fuse_fd >= 0)
		(void)close(daemon->holder.fuse_fd);
	files_free(daemon->files);
	store_free(daemon->store);
	table_free(daemon->table);
	if (daemon->holder.memory_fd >= 0)
		(void)close(daemon->holder.memory_fd);
	if (daemon->audit_fd >= 0)
		(void)close(daemon->audit_fd);
	setup_done(&daemon->setup);
}

int daemon_run(struct setup *setup, const char *mount, const struct log *log, struct err *err)
{
	struct daemon *daemon = calloc(1, sizeof *daemon);
	if (!daemon)
		return -ENOMEM;
	*daemon = (struct daemon){.log = log, .setup = *setup, .line_fd = -1, .audit_fd = -1, .control_fd = -1,
				   .holder = {.socket = -1, .fuse_fd = -1, .memory_fd = -1}};
	*setup = (struct setup){.catalogue_files = setup->catalogue_files};
	int r = start(daemon, mount, err);
	(void)malloc_trim(0); /* the catalogue's text and the tokens of it are gone */
	if (r == 0)
		(void)uv_run(&daemon->loop, UV_RUN_DEFAULT);
	finish(daemon);
	free(daemon);
	return r;
}

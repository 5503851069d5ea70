#include "cli/src/run_options.h"

#include <stddef.h>

#define AT(member) offsetof(struct run_options, member)

const struct run_options RUN_DEFAULTS = {.pull = "missing", .network = "private", .sig_proxy = true};

const struct opt RUN_OPTIONS[] = {
	{'d', "detach", NULL, OPT_FLAG, AT(detach), "run in the background and print the id"},
	{0, "detach-keys", "KEYS", OPT_STRING, AT(detach_keys), "leave the container with these (ctrl-p,ctrl-q)"},
	{0, "sig-proxy", NULL, OPT_FLAG, AT(sig_proxy), "pass signals on to the container (default; --sig-proxy=false)"},

	{0, "annotation", "KEY=VALUE", OPT_STRINGS, AT(annotations), "annotate the container"},
	{0, "cap-add", "CAPABILITY", OPT_STRINGS, AT(cap_add), "add a capability, or all"},
	{0, "cap-drop", "CAPABILITY", OPT_STRINGS, AT(cap_drop), "drop a capability, or all"},
	{'c', "cpu-shares", "N", OPT_I64, AT(cpu_shares), "relative weight of its processor time"},
	{0, "cpus", "NUMBER", OPT_STRING, AT(cpus), "at most so many processors: 0.5"},
	{0, "cpuset-cpus", "LIST", OPT_STRING, AT(cpuset_cpus), "only these processors: 0-2,4"},
	{0, "cpuset-mems", "LIST", OPT_STRING, AT(cpuset_mems), "only these memory nodes"},
	{0, "device", "HOST[:PATH[:rwm]]", OPT_STRINGS, AT(devices), "give it a device of the host"},
	{0, "dns", "ADDRESS", OPT_STRINGS, AT(dns), "a name server"},
	{0, "dns-search", "DOMAIN", OPT_STRINGS, AT(dns_search), "a search domain"},
	{0, "entrypoint", "PROGRAM", OPT_STRING, AT(entrypoint), "run this in place of the image's entry point"},
	{'e', "env", "NAME[=VALUE]", OPT_STRINGS, AT(env), "set a variable, or take it over from here"},
	{0, "env-file", "FILE", OPT_STRINGS, AT(env_files), "set the variables of a file, NAME=VALUE a line"},
	{0, "group-add", "GID", OPT_STRINGS, AT(groups), "a supplementary group"},
	{'h', "hostname", "NAME", OPT_STRING, AT(hostname), "the host name it sees"},
	{'i', "interactive", NULL, OPT_FLAG, AT(interactive), "keep standard input open"},
	{0, "ipc", "MODE", OPT_STRING, AT(ipc), "host, or private (default)"},
	{'l', "label", "KEY=VALUE", OPT_STRINGS, AT(labels), "label the container"},
	{'m', "memory", "SIZE", OPT_BYTES, AT(memory), "at most so much memory: 64m, 1g"},
	{0, "memory-swap", "SIZE", OPT_BYTES, AT(memory_swap), "at most so much memory and swap together"},
	{0, "name", "NAME", OPT_STRING, AT(name), "its name (one by chance)"},
	{0, "network", "MODE", OPT_STRING, AT(network), "host, none, or private: the node's network (default)"},
	{0, "net", "MODE", OPT_STRING, AT(network), NULL},
	{0, "oom-score-adj", "N", OPT_I64, AT(oom_score_adj), "how readily the kernel ends it when memory is short"},
	{0, "pid", "MODE", OPT_STRING, AT(pid), "host, or private (default)"},
	{0, "pids-limit", "N", OPT_I64, AT(pids_limit), "at most so many processes and threads"},
	{0, "platform", "OS/ARCH", OPT_STRING, AT(platform), "pull the image for this platform"},
	{0, "privileged", NULL, OPT_FLAG, AT(privileged), "all capabilities and devices, nothing hidden"},
	{'p', "publish", "PORTS", OPT_STRINGS, AT(publish), "let ports of the host lead to its own: 8080:80, 127.0.0.1:53:53/udp"},
	{'P', "publish-all", NULL, OPT_FLAG, AT(publish_all), NULL},
	{0, "pull", "POLICY", OPT_STRING, AT(pull), "missing (default), always, or never"},
	{'q', "quiet", NULL, OPT_FLAG, AT(quiet), "no progress of a pull"},
	{0, "read-only", NULL, OPT_FLAG, AT(read_only), "a read-only root file system"},
	{0, "restart", "POLICY", OPT_STRING, AT(restart), "no (the only one yet)"},
	{0, "rm", NULL, OPT_FLAG, AT(remove), "remove it when it has ended"},
	{0, "runtime", "NAME", OPT_STRING, AT(runtime), "the runtime handler, as axled is configured"},
	{0, "security-opt", "OPTION", OPT_STRINGS, AT(security), "seccomp=unconfined|FILE, no-new-privileges"},
	{0, "stop-signal", "SIGNAL", OPT_STRING, AT(stop_signal), "the signal that stops it"},
	{0, "sysctl", "NAME=VALUE", OPT_STRINGS, AT(sysctls), "set a kernel parameter of its namespaces"},
	{'t', "tty", NULL, OPT_FLAG, AT(tty), "give it a terminal"},
	{'u', "user", "USER[:GROUP]", OPT_STRING, AT(user), "who it runs as, by name or number"},
	{'v', "volume", "HOST:PATH[:OPTIONS]", OPT_STRINGS, AT(volumes), "mount a file or folder of the host"},
	{'w', "workdir", "FOLDER", OPT_STRING, AT(workdir), "where it starts"},
	{0},
};

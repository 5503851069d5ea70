/* CRI servers side by side, driven by one client:
 *
 *	cri life ROUNDS host|pod PEER...		each call of a pod's life, in turn, and ratios to the last peer
 *	cri burst ROUNDS PODS host|pod PEER...		PODS pods and their containers started at once
 *	cri answers ROUNDS PEER				Status and lists as they are now, against an echo of the same size
 *	cri fill PODS host|pod PEER			starts pods called fillN, one after the other
 *	cri clear PEER					stops and removes every pod
 *
 * A PEER is four words: LABEL SOCKET HANDLER IMAGE. Contenders take turns within a round, in an order that rotates. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/cri_peer.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/usocket.h"

#define PEERS_MAX 4
#define PODS_MAX 1000
#define ROUNDS_MAX 10000
#define WARM_UP_ROUNDS 2
#define WORDS_OF_PEER 4

struct bench {
	struct cri_peer peers[PEERS_MAX];
	size_t count;
	uint64_t rounds;
};

static double now_ms(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

struct percentiles {
	double p10, p50;
};

static struct percentiles summarise(double *samples, size_t count)
{
	qsort(samples, count, sizeof *samples, compare_doubles);
	return (struct percentiles){samples[count / 10], samples[count / 2]};
}

static void name_pod(struct cri_pod *pod, const char *kind, uint64_t number)
{
	*pod = (struct cri_pod){0};
	(void)snprintf(pod->name, sizeof pod->name, "%s%d-%llu", kind, (int)getpid(), (unsigned long long)number);
}

/* --- life --- */

/* What is compared: one step, or several together. */
static const struct row {
	const char *name;
	unsigned steps; /* bits */
} ROWS[] = {
	{"RunPodSandbox", 1U << CRI_RUN_POD},
	{"CreateContainer", 1U << CRI_CREATE},
	{"StartContainer", 1U << CRI_START},
	{"Create + Start", 1U << CRI_CREATE | 1U << CRI_START},
	{"StopContainer", 1U << CRI_STOP},
	{"RemoveContainer", 1U << CRI_REMOVE},
	{"Stop + Remove", 1U << CRI_STOP | 1U << CRI_REMOVE},
	{"StopPodSandbox", 1U << CRI_STOP_POD},
	{"RemovePodSandbox", 1U << CRI_REMOVE_POD},
};

struct life {
	double ms[CRI_STEPS];
};

static int live_once(struct cri_peer *peer, uint64_t number, struct life *ret_life, struct err *err)
{
	struct cri_pod pod;
	name_pod(&pod, "life", number);
	for (int step = 0; step < CRI_STEPS; step++) {
		double begin = now_ms();
		int r = cri_peer_step(peer, (enum cri_step)step, &pod, err);
		if (r < 0)
			return r;
		ret_life->ms[step] = now_ms() - begin;
	}
	cri_peer_forget(peer);
	return 0;
}

static struct percentiles summarise_row(const struct life *lives, size_t count, unsigned steps, double *scratch)
{
	for (size_t i = 0; i < count; i++) {
		scratch[i] = 0;
		for (int step = 0; step < CRI_STEPS; step++)
			scratch[i] += steps & 1U << step ? lives[i].ms[step] : 0;
	}
	return summarise(scratch, count);
}

static void print_lives(const struct bench *bench, struct life *const *lives, double *scratch)
{
	(void)printf("%-18s", "ms: p50 (p10)");
	for (size_t i = 0; i < bench->count; i++)
		(void)printf(" %18s", bench->peers[i].label);
	(void)printf("   ratio to %s: p50, p10\n", bench->peers[bench->count - 1].label);
	for (size_t row = 0; row < ARRAY_COUNT(ROWS); row++) {
		struct percentiles found[PEERS_MAX];
		(void)printf("%-18s", ROWS[row].name);
		for (size_t i = 0; i < bench->count; i++) {
			found[i] = summarise_row(lives[i], bench->rounds, ROWS[row].steps, scratch);
			(void)printf("    %7.2f (%5.2f)", found[i].p50, found[i].p10);
		}
		struct percentiles last = found[bench->count - 1];
		for (size_t i = 0; i + 1 < bench->count; i++)
			(void)printf("   %.2f %.2f", found[i].p50 / last.p50, found[i].p10 / last.p10);
		(void)printf("\n");
	}
}

static int run_lives(struct bench *bench, struct err *err)
{
	struct life *lives[PEERS_MAX] = {0};
	scoped_free double *scratch = calloc(bench->rounds, sizeof *scratch);
	scoped_free struct life *all = calloc(bench->rounds * bench->count, sizeof *all);
	if (!scratch || !all)
		return err_memory(err, "bench");
	for (size_t i = 0; i < bench->count; i++)
		lives[i] = all + i * bench->rounds;
	for (uint64_t round = 0; round < bench->rounds + WARM_UP_ROUNDS; round++) {
		for (size_t turn = 0; turn < bench->count; turn++) {
			size_t i = (round + turn) % bench->count;
			struct life life = {0};
			int r = live_once(&bench->peers[i], round, &life, err);
			if (r < 0)
				return r;
			if (round >= WARM_UP_ROUNDS)
				lives[i][round - WARM_UP_ROUNDS] = life;
		}
	}
	print_lives(bench, lives, scratch);
	return 0;
}

/* --- burst --- */

static int end_pods(struct cri_peer *peer, struct cri_pod *pods, uint64_t count, struct err *err)
{
	int r = 0;
	for (uint64_t i = 0; i < count && r == 0; i++)
		for (int step = CRI_STOP; step < CRI_STEPS && r == 0; step++)
			r = cri_peer_step(peer, (enum cri_step)step, &pods[i], err);
	cri_peer_forget(peer);
	return r;
}

static int burst_once(struct cri_peer *peer, uint64_t round, uint64_t count, double *ret_ms, struct err *err)
{
	scoped_free struct cri_pod *pods = calloc(count, sizeof *pods);
	if (!pods)
		return err_memory(err, "bench");
	for (uint64_t i = 0; i < count; i++)
		name_pod(&pods[i], "burst", round * PODS_MAX + i);
	double begin = now_ms();
	int r = cri_peer_start_all(peer, pods, count, err);
	if (r < 0)
		return r;
	*ret_ms = now_ms() - begin;
	return end_pods(peer, pods, count, err);
}

static int run_bursts(struct bench *bench, uint64_t pods, struct err *err)
{
	scoped_free double *all = calloc(bench->rounds * bench->count, sizeof *all);
	if (!all)
		return err_memory(err, "bench");
	for (uint64_t round = 0; round < bench->rounds; round++) {
		for (size_t turn = 0; turn < bench->count; turn++) {
			size_t i = (round + turn) % bench->count;
			int r = burst_once(&bench->peers[i], round, pods, &all[i * bench->rounds + round], err);
			if (r < 0)
				return r;
		}
	}
	double last = summarise(all + (bench->count - 1) * bench->rounds, bench->rounds).p50;
	for (size_t i = 0; i < bench->count; i++) {
		double own = summarise(all + i * bench->rounds, bench->rounds).p50;
		(void)printf("%-18s %9.1f ms (p50)   ratio %.2f\n", bench->peers[i].label, own, own / last);
	}
	return 0;
}

/* --- answers --- */

/* A server whose Version answers with a text of the wanted size, in a process of its own. */
struct echo {
	pid_t pid;
	struct cri_peer peer;
};

static void on_echo(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	(void)request;
	Cri__VersionResponse reply = CRI__VERSION_RESPONSE__INIT;
	reply.runtime_name = context;
	grpc_call_reply(call, &reply.base);
}

static int serve_echo(int fd, size_t bytes)
{
	static const struct grpc_method METHODS[] = {{"Version", GRPC_UNARY, on_echo, 0}};
	uv_loop_t loop;
	struct grpc_server *server = NULL;
	char *text = malloc(bytes + 1);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!text || uv_loop_init(&loop) < 0 || grpc_server_new(&loop, NULL, NULL, &server) < 0)
		return EXIT_FAILURE;
	memset(text, 'x', bytes);
	text[bytes] = '\0';
	struct err err = {0};
	if (grpc_server_add(server, &(struct grpc_service){&cri__runtime_service__descriptor, METHODS, 1, text}, &err) < 0 ||
	    grpc_server_listen(server, fd, &err) < 0)
		return EXIT_FAILURE;
	return uv_run(&loop, UV_RUN_DEFAULT);
}

static int echo_start(struct echo *echo, const char *folder, size_t bytes, struct err *err)
{
	scoped_free char *path = str_printf("%s/echo%d", folder, (int)getpid());
	if (!path)
		return err_memory(err, "bench");
	scoped_fd int fd = usocket_listen(path, SOCK_STREAM, 0600, 16, err);
	if (fd < 0)
		return fd;
	echo->pid = fork();
	if (echo->pid < 0)
		return err_sys(err, -errno, "bench.fork", "echo");
	if (echo->pid == 0)
		_exit(serve_echo(fd, bytes));
	echo->peer = (struct cri_peer){.label = "echo", .socket = path};
	int r = cri_peer_connect(&echo->peer, err);
	(void)unlink(path);
	return r;
}

static void echo_stop(struct echo *echo)
{
	cri_peer_done(&echo->peer);
	(void)kill(echo->pid, SIGKILL);
	(void)waitpid(echo->pid, NULL, 0);
}

struct question {
	const char *method;
	const ProtobufCMessage *request;
};

static int time_call(struct cri_peer *peer, const struct question *question, double *ret_ms, size_t *ret_bytes, struct err *err)
{
	double begin = now_ms();
	const ProtobufCMessage *reply = cri_peer_call(peer, question->method, question->request, err);
	if (!reply)
		return err->code;
	*ret_ms = now_ms() - begin;
	*ret_bytes = protobuf_c_message_get_packed_size(reply);
	cri_peer_forget(peer);
	return 0;
}

static int compare_with_echo(struct bench *bench, struct echo *echo, const struct question *question, struct err *err)
{
	Cri__VersionRequest version = CRI__VERSION_REQUEST__INIT;
	const struct question plain = {"Version", &version.base};
	scoped_free double *own = calloc(bench->rounds, sizeof *own);
	scoped_free double *other = calloc(bench->rounds, sizeof *other);
	size_t bytes = 0, echoed = 0;
	int r = own && other ? 0 : err_memory(err, "bench");
	for (uint64_t i = 0; i < bench->rounds && r == 0; i++) {
		r = time_call(&bench->peers[0], question, &own[i], &bytes, err);
		if (r == 0)
			r = time_call(&echo->peer, &plain, &other[i], &echoed, err);
	}
	if (r < 0)
		return r;
	struct percentiles mine = summarise(own, bench->rounds), theirs = summarise(other, bench->rounds);
	(void)printf("%-18s %8zu bytes %9.3f ms   echo %9.3f ms   ratio p50 %.2f, p10 %.2f\n", question->method, bytes, mine.p50,
		     theirs.p50, mine.p50 / theirs.p50, mine.p10 / theirs.p10);
	return 0;
}

static int run_answers(struct bench *bench, struct err *err)
{
	Cri__StatusRequest status = CRI__STATUS_REQUEST__INIT;
	Cri__ListPodSandboxRequest pods = CRI__LIST_POD_SANDBOX_REQUEST__INIT;
	Cri__ListContainersRequest containers = CRI__LIST_CONTAINERS_REQUEST__INIT;
	const struct question questions[] = {
		{"Status", &status.base}, {"ListPodSandbox", &pods.base}, {"ListContainers", &containers.base}};
	const char *folder = getenv("TMPDIR");
	int r = 0;
	for (size_t i = 0; i < ARRAY_COUNT(questions) && r == 0; i++) {
		struct echo echo = {0};
		double ms = 0;
		size_t bytes = 0;
		r = time_call(&bench->peers[0], &questions[i], &ms, &bytes, err);
		if (r == 0)
			r = echo_start(&echo, folder ? folder : "/tmp", bytes, err);
		if (r == 0)
			r = compare_with_echo(bench, &echo, &questions[i], err);
		if (echo.pid > 0)
			echo_stop(&echo);
	}
	return r;
}

/* --- fill and clear --- */

static int fill(struct cri_peer *peer, uint64_t count, struct err *err)
{
	int r = 0;
	for (uint64_t i = 0; i < count && r == 0; i++) {
		struct cri_pod pod;
		name_pod(&pod, "fill", i);
		for (int step = 0; step <= CRI_START && r == 0; step++)
			r = cri_peer_step(peer, (enum cri_step)step, &pod, err);
		cri_peer_forget(peer);
	}
	return r;
}

static int clear(struct cri_peer *peer, struct err *err)
{
	Cri__ListPodSandboxRequest request = CRI__LIST_POD_SANDBOX_REQUEST__INIT;
	const Cri__ListPodSandboxResponse *pods = cri_peer_call(peer, "ListPodSandbox", &request.base, err);
	int r = pods ? 0 : err->code;
	for (size_t i = 0; r == 0 && i < pods->n_items; i++) {
		struct cri_pod pod = {0};
		(void)snprintf(pod.pod, sizeof pod.pod, "%s", pods->items[i]->id);
		r = cri_peer_step(peer, CRI_STOP_POD, &pod, err);
		if (r == 0)
			r = cri_peer_step(peer, CRI_REMOVE_POD, &pod, err);
	}
	return r;
}

/* --- the command line --- */

static int read_peers(struct bench *bench, char **words, bool host_network)
{
	size_t count = 0;
	while (words[count])
		count++;
	if (count == 0 || count % WORDS_OF_PEER != 0 || count / WORDS_OF_PEER > PEERS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i += WORDS_OF_PEER)
		bench->peers[bench->count++] = (struct cri_peer){.label = words[i],
								  .socket = words[i + 1],
								  .handler = words[i + 2],
								  .image = words[i + 3],
								  .host_network = host_network};
	return 0;
}

static int do_life(struct bench *bench, const uint64_t *numbers, struct err *err)
{
	(void)numbers;
	return run_lives(bench, err);
}

static int do_burst(struct bench *bench, const uint64_t *numbers, struct err *err)
{
	return run_bursts(bench, numbers[1], err);
}

static int do_answers(struct bench *bench, const uint64_t *numbers, struct err *err)
{
	(void)numbers;
	return run_answers(bench, err);
}

static int do_fill(struct bench *bench, const uint64_t *numbers, struct err *err)
{
	return fill(&bench->peers[0], numbers[0], err);
}

static int do_clear(struct bench *bench, const uint64_t *numbers, struct err *err)
{
	(void)numbers;
	return clear(&bench->peers[0], err);
}

static const struct mode {
	const char *name;
	int numbers;  /* how many follow */
	bool network; /* whether host or pod follows them */
	int (*run)(struct bench *bench, const uint64_t *numbers, struct err *err);
} MODES[] = {
	{"life", 1, true, do_life}, {"burst", 2, true, do_burst}, {"answers", 1, false, do_answers},
	{"fill", 1, true, do_fill}, {"clear", 0, false, do_clear},
};

/* Returns the mode that was read, or NULL. @numbers: two, 1 where not given. */
static const struct mode *read_words(char **words, struct bench *bench, uint64_t *numbers)
{
	const struct mode *mode = NULL;
	for (size_t i = 0; i < ARRAY_COUNT(MODES) && *words; i++)
		if (str_equal(*words, MODES[i].name))
			mode = &MODES[i];
	if (!mode)
		return NULL;
	words++;
	for (int i = 0; i < mode->numbers; i++)
		if (!*words || parse_u64(*words++, 1, ROUNDS_MAX, &numbers[i]) < 0)
			return NULL;
	bool host = mode->network && str_equal(*words, "host");
	if (mode->network && !host && !str_equal(*words, "pod"))
		return NULL;
	bench->rounds = numbers[0];
	return read_peers(bench, words + mode->network, host) < 0 ? NULL : mode;
}

static int run(struct bench *bench, const struct mode *mode, const uint64_t *numbers, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < bench->count && r == 0; i++)
		r = cri_peer_connect(&bench->peers[i], err);
	return r < 0 ? r : mode->run(bench, numbers, err);
}

int main(int argc, char **argv)
{
	struct bench bench = {0};
	uint64_t numbers[2] = {1, 1};
	const struct mode *mode = argc > 1 ? read_words(argv + 1, &bench, numbers) : NULL;
	if (!mode || numbers[1] > PODS_MAX) {
		(void)fprintf(stderr, "usage: cri life ROUNDS host|pod PEER... | burst ROUNDS PODS host|pod PEER... | answers ROUNDS PEER | "
				      "fill PODS host|pod PEER | clear PEER\nPEER: LABEL SOCKET HANDLER IMAGE\n");
		return EXIT_FAILURE;
	}
	struct err err = {0};
	int r = run(&bench, mode, numbers, &err);
	for (size_t i = 0; i < bench.count; i++)
		cri_peer_done(&bench.peers[i]);
	if (r < 0)
		(void)fprintf(stderr, "cri: %s\n", err_text(&err, r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

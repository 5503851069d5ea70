/* axinit: the first process of a pod whose containers share one pid namespace. It holds the namespace, and orphans that
 * become its children vanish when they end. Nothing else: it never wakes up.
 *
 * Freestanding, without a C library: a few pages of memory for each pod. axhelper copies it into a sealed memory file and
 * runs it with an empty root, no rights and no descriptors (helper_init.c, docs/man/axinit.8). */
#include <linux/prctl.h>
#include <linux/signal.h>
#include <sys/syscall.h>

static long call(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	long result = 0;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#else
#error "axinit: the system call of this architecture is missing"
#endif
}

static void __attribute__((noreturn)) leave(long code)
{
	for (;;)
		(void)call(SYS_exit_group, code, 0, 0, 0);
}

static long length_of(const char *text)
{
	long length = 0;
	while (text[length])
		length++;
	return length;
}

static void __attribute__((noreturn)) explain(const char *word)
{
	static const char VERSION[] = "axinit " AXLE_VERSION "\n";
	static const char USAGE[] = "axinit is the first process of a pod, started by axled; see axinit(8).\n";
	static const char WANTED[] = "--version";
	long i = 0;
	while (word && WANTED[i] && word[i] == WANTED[i])
		i++;
	const char *text = word && !WANTED[i] && !word[i] ? VERSION : USAGE;
	(void)call(SYS_write, 1, (long)text, length_of(text), 0);
	leave(0);
}

/* Children of an init that ignores SIGCHLD are reaped by the kernel (wait(2), "ECHILD"): also those that it inherits. */
static void __attribute__((noreturn)) hold(void)
{
	static const struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} IGNORE = {(void *)1, 0, 0, 0}; /* SIG_IGN, as the kernel lays out a sigaction */
	static const unsigned long NOTHING = 0;
	(void)call(SYS_prctl, PR_SET_NAME, (long)"axinit", 0, 0); /* not that of a memory file */
	if (call(SYS_rt_sigaction, SIGCHLD, (long)&IGNORE, 0, sizeof IGNORE.mask) < 0)
		leave(1);
	for (;;) /* stopped and continued it comes back */
		(void)call(SYS_rt_sigsuspend, (long)&NOTHING, sizeof NOTHING, 0, 0);
}

/* The stack as the kernel leaves it: argc, argv. */
__attribute__((noreturn, used)) void axinit_main(const long *stack);

void axinit_main(const long *stack)
{
	const char *const *argv = (const char *const *)(stack + 1);
	if (stack[0] > 1 || call(SYS_getpid, 0, 0, 0, 0) != 1)
		explain(stack[0] > 1 ? argv[1] : 0);
	hold();
}

#if defined(__x86_64__)
__asm__(".text\n.globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall axinit_main\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tb axinit_main\n");
#endif

/* axrun's entry point, in front of the C library's.
 *
 * What self.h promises needs a second execution of the program. The C library's start costs more than the kernel's part of
 * it (its CPU detection alone some 0.4 ms on a virtual machine, where every CPUID leaves the guest), so the first
 * execution does not get that far: this code runs on the bare stack that the kernel made, makes the read-only clone, and
 * executes it. Whatever fails here is left to self_protect(), which runs as usual.
 *
 * No library, no globals, no relocations: nothing is set up yet. Not part of builds with sanitizers. */
#include <fcntl.h>
#include <linux/mount.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#define READ_ONLY 1UL /* ST_RDONLY in statfs(2)'s f_flags */
#define STATFS_FLAGS_INDEX 10

/* The kernel's struct statfs has 15 words of 64 bits on the architectures below; f_flags is the eleventh. */
#define STATFS_WORDS 15

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
	".globl axrun_entry\n"
	".type axrun_entry, @function\n"
	"axrun_entry:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rbx\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call axrun_before_libc\n"
	"	mov %rbx, %rsp\n"
	"	xor %edx, %edx\n"
	"	jmp _start\n"
	".size axrun_entry, .-axrun_entry\n"
	".popsection\n");

static inline long call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result = 0;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
	".globl axrun_entry\n"
	".type axrun_entry, %function\n"
	"axrun_entry:\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	mov x19, sp\n"
	"	mov x0, sp\n"
	"	bl axrun_before_libc\n"
	"	mov sp, x19\n"
	"	mov x0, #0\n"
	"	b _start\n"
	".size axrun_entry, .-axrun_entry\n"
	".popsection\n");

static inline long call(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
#else
#error "axrun has no entry point for this architecture: write one here, or build without it (meson.build)"
#endif

static inline long address(const void *pointer)
{
	return (long)(uintptr_t)pointer;
}

static inline int is_word(const char *text, const char *word)
{
	while (*text && *text == *word) {
		text++;
		word++;
	}
	return *text == *word;
}

/* Is one of the arguments a command whose process enters a container? A container's name that reads like one costs an
 * execution and no more. */
static inline int enters_container(const char *const *argv)
{
	for (size_t i = 1; argv[0] && argv[i]; i++)
		if (is_word(argv[i], "run") || is_word(argv[i], "create") || is_word(argv[i], "exec"))
			return 1;
	return 0;
}

/* @stack: argc, argv[] and its NULL, the environment and its NULL, as execve(2) leaves them (System V ABI). */
__attribute__((used, no_stack_protector)) void axrun_before_libc(const long *stack);
void axrun_before_libc(const long *stack)
{
	const char *const *argv = (const char *const *)(stack + 1);
	const char *const *environment = argv + stack[0] + 1;
	uint64_t filesystem[STATFS_WORDS];
	if (!enters_container(argv))
		return;
	if (call(SYS_statfs, address("/proc/self/exe"), address(filesystem), 0, 0, 0) != 0 ||
	    filesystem[STATFS_FLAGS_INDEX] & READ_ONLY)
		return;
	long tree = call(SYS_open_tree, AT_FDCWD, address("/proc/self/exe"), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0);
	if (tree < 0)
		return;
	struct mount_attr attr;
	attr.attr_set = MOUNT_ATTR_RDONLY;
	attr.attr_clr = 0;
	attr.propagation = 0;
	attr.userns_fd = 0;
	if (call(SYS_mount_setattr, tree, address(""), AT_EMPTY_PATH, address(&attr), sizeof attr) == 0)
		(void)call(SYS_execveat, tree, address(""), address(argv), address(environment), AT_EMPTY_PATH);
	(void)call(SYS_close, tree, 0, 0, 0, 0); /* still here: self_protect() tries otherwise, and reports */
}

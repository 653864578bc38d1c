/*
 * rawcall.h: system calls that do not touch errno, for a child that runs in its parent's
 * memory while the parent goes on (spawn.c): errno would be the parent's too.
 *
 * Where it is not known here how to make such a call (or UDSD_VFORK is defined: under
 * valgrind, and to let calls fail in a test) RAW_CALLS is 0, libc makes it, and the
 * parent has to wait.
 */
#ifndef UDSD_RAWCALL_H
#define UDSD_RAWCALL_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The result, or the negative error. Arguments are integers or pointers. */
#define RAW(number, a, b, c, d) \
 raw_call(SYS_##number, (long)(a), (long)(b), (long)(c), (long)(d))

#if defined(__x86_64__) && defined(__LP64__) && !defined(UDSD_VFORK)
# define RAW_CALLS 1

static inline long raw_call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

#elif defined(__aarch64__) && defined(__LP64__) && !defined(UDSD_VFORK)
# define RAW_CALLS 1

static inline long raw_call(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
			 : "memory");
	return x0;
}

#else
# define RAW_CALLS 0

__attribute__((always_inline)) static inline long raw_call(long number, long a, long b,
							   long c, long d)
{
	long result = syscall(number, a, b, c, d);

	return result < 0 ? -errno : result;
}

#endif
#endif

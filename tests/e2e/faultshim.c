/*
 * faultshim.c: lets system calls of a program fail while a test wants it. Preloaded into udsd.
 *
 * The file that UDSD_FAULTS names is mapped by the program and, since they are forked, by all its
 * processes. A test writes into it which call is to fail, everywhere or where it is called (its
 * site: the offset of the return address in the program), and with which errno. While a test asks for
 * it, all sites that are passed are written down.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#define SITES 1000

/* Functions with their seven arguments as they come, whatever their types. */
typedef long function(long, long, long, long, long, long, long);

/* Which of the processes. */
enum role { SUPERVISOR, CHILD, LOGGER, WORKER };

/* As struct.pack() in more.py has it. */
static struct control {
	_Atomic uint32_t loaded, call, error, hits;
	_Atomic uint32_t once; /* only the first hit fails */
	_Atomic uint32_t role; /* only there, counted from 1; 0: everywhere */
	_Atomic uint32_t recording;
	_Atomic uint32_t used; /* sites */
	_Atomic uint64_t site; /* 0: all */
	struct {
		_Atomic uint32_t call, role;
		_Atomic uint64_t site;
	} sites[SITES];
} *control;

static uintptr_t begin, end; /* of the program's own code */
static enum role role;

int open_control(const char *path, int flags) __asm__("open");
void *map_control(void *, size_t, int, int, int, long) __asm__("mmap");
int close_control(int) __asm__("close");

static int find_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
			      info->dlpi_phdr[i].p_memsz;
	begin = info->dlpi_addr;
	return 1; /* the first one is the program */
}

__attribute__((constructor)) static void find_control(void)
{
	const char *path = getenv("UDSD_FAULTS");
	int fd = path != NULL ? open_control(path, 2 | 02000000) : -1;
	void *map;

	if (fd < 0)
		return;
	map = map_control(NULL, sizeof(*control), 3, 1, fd, 0);
	close_control(fd);
	if (map == (void *)-1)
		return;
	dl_iterate_phdr(find_program, NULL);
	control = map;
	control->loaded = 1;
}

static void record(uint32_t call, uint64_t site)
{
	uint32_t i, n = control->used;

	for (i = 0; i < n && i < SITES; i++)
		if (control->sites[i].site == site && control->sites[i].call == call &&
		    control->sites[i].role == role)
			return;
	i = control->used++;
	if (i >= SITES)
		return;
	control->sites[i].call = call;
	control->sites[i].role = role;
	control->sites[i].site = site;
}

static int fails(uint32_t call, const void *caller)
{
	uintptr_t at = (uintptr_t)caller;

	if (control == NULL || at < begin || at >= end)
		return 0;
	if (control->recording)
		record(call, at - begin);
	if (control->call != call || (control->site != 0 && control->site != at - begin) ||
	    (control->role != 0 && control->role != role + 1))
		return 0;
	if (control->hits++ > 0 && control->once)
		return 0;
	errno = (int)control->error;
	return 1;
}

static function *find(function **real, const char *name)
{
	if (*real == NULL)
		*real = (function *)dlsym(RTLD_NEXT, name);
	return *real;
}

enum {
	CALL_none,
#define CALL(name, ...) CALL_##name,
#include "faultcalls.h"
#undef CALL
};

/* `unless`: where it does not fail; `whatever`: what is done all the same. */
#define CALL(name, unless, whatever)                                                     \
	static function *real_##name;                                                    \
	long shim_##name(long a, long b, long c, long d, long e, long f, long g) __asm__(#name); \
	long shim_##name(long a, long b, long c, long d, long e, long f, long g)         \
	{                                                                                \
		function *real = find(&real_##name, #name);                              \
		long rc;                                                                 \
                                                                                         \
		if (!(unless) && fails(CALL_##name, __builtin_return_address(0))) {      \
			if (whatever)                                                    \
				real(a, b, c, d, e, f, g);                               \
			return -1;                                                       \
		}                                                                        \
		rc = real(a, b, c, d, e, f, g);                                          \
		if (CALL_##name == CALL_fork && rc == 0)                                 \
			role = CHILD;                                                    \
		if (CALL_##name == CALL_prctl && a == PR_SET_NAME && role == CHILD)      \
			role = strcmp((const char *)b, "udsd: log") == 0 ? LOGGER : WORKER; \
		return rc;                                                               \
	}
#include "faultcalls.h"

/* All are found now: a child that shares its parent's memory must not look for them. */
__attribute__((constructor)) static void find_all(void)
{
#undef CALL
#define CALL(name, ...) (void)find(&real_##name, #name);
#include "faultcalls.h"
}

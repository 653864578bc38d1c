/*
 * faultshim.c: lets calls of a program fail while a test wants it. Preloaded into udsd.
 *
 * The file that UDSD_FAULTS names is mapped by the program and, since they are forked, by all its
 * processes. A test writes into it which call is to fail, everywhere or where it is called (its
 * site: the offset of the return address in the program), which of the times that it is made, and
 * with which errno. While a test asks for it, all sites that are passed are written down.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
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
enum role { SUPERVISOR, CHILD, LOGGER, CONFIG, CONTROL, WORKER };

/* As struct.pack() in injection.py has it. */
static struct control {
	_Atomic uint32_t loaded, call, error, hits;
	_Atomic uint32_t first, last; /* hits that fail, from 1 on; last 0: no end */
	_Atomic uint32_t role; /* only there, counted from 1; 0: everywhere */
	_Atomic uint32_t recording;
	_Atomic uint32_t used; /* sites */
	_Atomic uint64_t site; /* 0: all */
	struct {
		_Atomic uint32_t call, role, hits;
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
		    control->sites[i].role == role) {
			control->sites[i].hits++;
			return;
		}
	i = control->used++;
	if (i >= SITES)
		return;
	control->sites[i].call = call;
	control->sites[i].role = role;
	control->sites[i].hits = 1;
	control->sites[i].site = site;
}

static int fails(uint32_t call, const void *caller)
{
	uintptr_t at = (uintptr_t)caller;
	uint32_t hit;

	if (control == NULL || at < begin || at >= end)
		return 0;
	if (control->recording)
		record(call, at - begin);
	if (control->call != call || (control->site != 0 && control->site != at - begin) ||
	    (control->role != 0 && control->role != role + 1))
		return 0;
	hit = ++control->hits;
	if (hit < control->first || (control->last != 0 && hit > control->last))
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

static enum role role_of(const char *title)
{
	if (strcmp(title, "udsd: log") == 0)
		return LOGGER;
	if (strcmp(title, "udsd: config") == 0)
		return CONFIG;
	return strcmp(title, "udsd: control") == 0 ? CONTROL : WORKER;
}

enum {
	CALL_none,
#define CALL(name, ...) CALL_##name,
#define MAKE(name) CALL_##name,
#define OTHER(name) CALL_##name,
#include "faultcalls.h"
#undef CALL
#undef MAKE
#undef OTHER
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
			role = role_of((const char *)b);                                 \
		return rc;                                                               \
	}
#define MAKE(name)                                                                       \
	static function *real_##name;                                                    \
	long shim_##name(long a, long b, long c, long d, long e, long f, long g) __asm__(#name); \
	long shim_##name(long a, long b, long c, long d, long e, long f, long g)         \
	{                                                                                \
		function *real = find(&real_##name, #name);                              \
                                                                                         \
		if (fails(CALL_##name, __builtin_return_address(0)))                     \
			return 0;                                                        \
		return real(a, b, c, d, e, f, g);                                        \
	}
#define OTHER(name)
#include "faultcalls.h"

/* asprintf(3) and its kin: where memory ends the pointer is undefined. */
static int print(char **text, const char *format, va_list args, const void *caller)
{
	static function *real;

	if (fails(CALL_asprintf, caller)) {
		*text = (char *)1;
		return -1;
	}
	return (int)find(&real, "vasprintf")((long)text, (long)format, (long)args, 0, 0, 0, 0);
}

int print_list(char **, const char *, va_list) __asm__("vasprintf");
int print_list_checked(char **, int, const char *, va_list) __asm__("__vasprintf_chk");
int print_these(char **, const char *, ...) __asm__("asprintf");
int print_these_checked(char **, int, const char *, ...) __asm__("__asprintf_chk");

int print_fd(int, const char *, ...) __asm__("dprintf");
int print_fd_checked(int, int, const char *, ...) __asm__("__dprintf_chk");

int print_list(char **text, const char *format, va_list args)
{
	return print(text, format, args, __builtin_return_address(0));
}

int print_list_checked(char **text, int flag, const char *format, va_list args)
{
	(void)flag;
	return print(text, format, args, __builtin_return_address(0));
}

int print_these(char **text, const char *format, ...)
{
	va_list args;
	int rc;

	va_start(args, format);
	rc = print(text, format, args, __builtin_return_address(0));
	va_end(args);
	return rc;
}

int print_these_checked(char **text, int flag, const char *format, ...)
{
	va_list args;
	int rc;

	(void)flag;
	va_start(args, format);
	rc = print(text, format, args, __builtin_return_address(0));
	va_end(args);
	return rc;
}

static int print_to(int fd, const char *format, va_list args, const void *caller)
{
	static function *real;

	if (fails(CALL_dprintf, caller))
		return -1;
	return (int)find(&real, "vdprintf")(fd, (long)format, (long)args, 0, 0, 0, 0);
}

int print_fd(int fd, const char *format, ...)
{
	va_list args;
	int rc;

	va_start(args, format);
	rc = print_to(fd, format, args, __builtin_return_address(0));
	va_end(args);
	return rc;
}

int print_fd_checked(int fd, int flag, const char *format, ...)
{
	va_list args;
	int rc;

	(void)flag;
	va_start(args, format);
	rc = print_to(fd, format, args, __builtin_return_address(0));
	va_end(args);
	return rc;
}

/* All are found now: a child that shares its parent's memory must not look for them. */
__attribute__((constructor)) static void find_all(void)
{
#undef CALL
#undef MAKE
#define CALL(name, ...) (void)find(&real_##name, #name);
#define MAKE(name) (void)find(&real_##name, #name);
#include "faultcalls.h"
}

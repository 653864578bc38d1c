/*
 * arena.c: a memfd, mapped shared for the child, then private for the parent.
 */
#include "arena.h"

#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int arena_open(struct arena *a)
{
	void *base;

	*a = (struct arena){.fd = memfd_create("udsd: config", MFD_CLOEXEC)};
	if (a->fd < 0)
		return -1;
	base = MAP_FAILED;
	if (ftruncate(a->fd, (off_t)ARENA_BYTES) == 0)
		base = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_NORESERVE, a->fd, 0);
	if (base != MAP_FAILED) {
		a->base = base;
		return 0;
	}
	close(a->fd);
	a->fd = -1;
	return -1;
}

void arena_close(struct arena *a)
{
	if (a->base != NULL)
		munmap(a->base, ARENA_BYTES);
	if (a->fd >= 0)
		close(a->fd);
	*a = (struct arena){.fd = -1};
}

int arena_enter(struct arena *a)
{
	return madvise(a->base, ARENA_BYTES, MADV_DONTFORK);
}

void *arena_take(struct arena *a, size_t bytes)
{
	const size_t unit = alignof(max_align_t);
	void *at = a->base + a->used;

	if (bytes > ARENA_BYTES - unit - a->used)
		_exit(ARENA_FULL);
	a->used += (bytes + unit - 1) / unit * unit;
	return at;
}

char *arena_text(struct arena *a, const char *text)
{
	size_t len = text != NULL ? strlen(text) + 1 : 0;

	return len > 0 ? memcpy(arena_take(a, len), text, len) : NULL;
}

int arena_seal(struct arena *a)
{
	void *base = mmap(a->base, ARENA_BYTES, PROT_READ,
			  MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, a->fd, 0);

	close(a->fd);
	a->fd = -1;
	return base == MAP_FAILED ? -1 : 0;
}

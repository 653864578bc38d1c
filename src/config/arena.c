/*
 * arena.c: reserved address space of which the front is made writable as it is filled, so
 * that a system that commits no more memory than it has need not find 256 MiB.
 */
#include "config/arena.h"

#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_STEP ((size_t)1024 * 1024)

int arena_open(struct arena *a)
{
	void *base = mmap(NULL, ARENA_BYTES, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*a = (struct arena){.base = base != MAP_FAILED ? base : NULL};
	return a->base != NULL ? 0 : -1;
}

void arena_close(struct arena *a)
{
	if (a->base != NULL)
		munmap(a->base, ARENA_BYTES);
	*a = (struct arena){0};
}

void *arena_take(struct arena *a, size_t bytes)
{
	const size_t unit = alignof(max_align_t);
	void *at = a->base + a->used;

	if (bytes > ARENA_BYTES - unit - a->used)
		_exit(ARENA_FULL);
	a->used += (bytes + unit - 1) / unit * unit;
	if (a->used > a->ready) {
		a->ready = (a->used + ARENA_STEP - 1) / ARENA_STEP * ARENA_STEP;
		if (mprotect(a->base, a->ready, PROT_READ | PROT_WRITE) < 0)
			_exit(ARENA_FULL);
	}
	return at;
}

char *arena_copy(struct arena *a, const char *text, size_t len)
{
	return memcpy(arena_take(a, len + 1), text, len);
}

char *arena_text(struct arena *a, const char *text)
{
	return text != NULL ? arena_copy(a, text, strlen(text)) : NULL;
}

void *arena_keep(struct arena *a, const void *array, size_t bytes)
{
	void *copy = arena_take(a, bytes);

	return bytes > 0 ? memcpy(copy, array, bytes) : copy;
}

void *arena_grow(struct arena *a, void *array, size_t count, size_t size)
{
	void *more;

	if ((count & (count - 1)) != 0)
		return array;
	more = arena_take(a, (count > 0 ? 2 * count : 1) * size);
	return count > 0 ? memcpy(more, array, count * size) : more;
}

int arena_write(const struct arena *a, int fd)
{
	ssize_t n;

	for (size_t at = 0; at < a->used; at += (size_t)n) {
		n = write(fd, a->base + at, a->used - at);
		if (n < 0)
			return -1;
	}
	return 0;
}

int arena_map(struct arena *a, int fd)
{
	struct stat st;
	void *base = MAP_FAILED;

	if (fstat(fd, &st) == 0)
		base = mmap(a->base, (size_t)st.st_size, PROT_READ,
			    MAP_PRIVATE | MAP_FIXED, fd, 0);
	return base == MAP_FAILED ? -1 : 0;
}

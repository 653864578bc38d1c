/*
 * arena.h: memory that is filled piece by piece and freed as a whole.
 *
 * What one process has built, pointers and all, another can have at the same address: the
 * parent opens an arena and forks, the child fills it and writes it to a descriptor, and
 * when the child has ended the parent maps what was written, read-only. The two never
 * share memory, nor does what is forked by either.
 */
#ifndef UDSD_ARENA_H
#define UDSD_ARENA_H

#include <stddef.h>

/* Bytes of address space; memory is used only as far as it is filled. */
#define ARENA_BYTES ((size_t)256 * 1024 * 1024)

/* Exit status of a process that found its arena full. */
#define ARENA_FULL 75

struct arena {
	char *base; /* NULL: none */
	size_t used;
	size_t ready; /* bytes from the beginning that may be written to */
};

/* 0, or -1 and errno. */
int arena_open(struct arena *arena);
void arena_close(struct arena *arena);

/* Zeroed memory, aligned for anything. Ends the process with ARENA_FULL if there is no
 * more. */
void *arena_take(struct arena *arena, size_t bytes);

/* A copy of a string; NULL for NULL. */
char *arena_text(struct arena *arena, const char *text);

/* `len` bytes, terminated. */
char *arena_copy(struct arena *arena, const char *text, size_t len);

/* A copy of an array. */
void *arena_keep(struct arena *arena, const void *array, size_t bytes);

/* An array that has `count` elements, with room for one more: it doubles, and so moves,
 * when count is a power of two. NULL is an empty one. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t size);

/* In the child: writes all that was taken. 0, or -1 and errno. */
int arena_write(const struct arena *arena, int fd);

/* In the parent: what the child has written takes the place of the arena. 0, or -1 and
 * errno. */
int arena_map(struct arena *arena, int fd);

#endif

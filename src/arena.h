/*
 * arena.h: memory that one process fills and another reads, at the same address in both.
 *
 * The parent maps it and forks; the child builds there what has pointers into it, and ends. Then the
 * parent makes its mapping private and read-only: nobody who was forked before or is later can
 * change what it sees.
 */
#ifndef UDSD_ARENA_H
#define UDSD_ARENA_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of address space; memory is used only as far as it is filled. */
#define ARENA_BYTES ((size_t)256 * 1024 * 1024)

/* Exit status of a child that found the arena full. */
#define ARENA_FULL 75

struct arena {
	char *base; /* NULL: none */
	size_t used;
	int fd; /* the memory, until it is sealed */
};

/* 0, or -1 and errno. */
int arena_open(struct arena *arena);
void arena_close(struct arena *arena);

/* In the child, first: its own children do not get the memory. 0, or -1 and errno. */
int arena_enter(struct arena *arena);

/* In the child: zeroed memory, aligned for anything. Ends the process with ARENA_FULL if there is
 * no more. */
void *arena_take(struct arena *arena, size_t bytes);

/* A copy of a string; NULL for NULL. */
char *arena_text(struct arena *arena, const char *text);

/* In the parent, when the child has ended. 0, or -1 and errno. */
int arena_seal(struct arena *arena);

#endif

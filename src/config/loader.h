/*
 * loader.h: reads a config in a process of its own, so that a parser that exits, a name
 * service that hangs and the memory that they leave stay out of udsd.
 *
 * The start, the reload and the check before an upgrade are one: loader_start(), and when
 * the process has ended loader_take(). What was loaded is shared by its users and never
 * changes.
 */
#ifndef UDSD_LOADER_H
#define UDSD_LOADER_H

#include "config/arena.h"
#include "config/config.h"

#include <sys/types.h>

/* A config with the memory that it is in. */
struct loaded {
	unsigned users;
	const struct config *config;
	struct arena arena;
};

/* What is wrong with a config: see faults_finish(). */
struct findings {
	const char *text; /* NULL: nothing */
	size_t errors;    /* problems of services among them */
	size_t problems;  /* if these are all of them, it is not refused */
	size_t lasting;   /* of all errors, those that do not pass by themselves */
	size_t warnings;
};

struct loader {
	pid_t pid; /* 0: none runs */
	struct arena arena;
	int fd; /* where the process writes it; -1: none */
	/* what went wrong apart from faults of the config; "": nothing */
	char error[128];
};

/* Starts a process that loads. 0, or -1 and errno. */
int loader_start(struct loader *loader, const struct load_source *source);

/* Its process has ended with this wait status: the config with one user, or NULL; then
 * loader_findings() or loader->error tell why. */
struct loaded *loader_take(struct loader *loader, int status);

/* Valid from loader_take() until loader_close(), or, of what was taken, as long as that.
 * NULL: there is nothing to be had from the process. */
const struct findings *loader_findings(const struct loader *loader);
const struct findings *loaded_findings(const struct loaded *loaded);

/* Ends it, whatever it is at: its process is killed, and to be waited for by the
 * caller. */
void loader_close(struct loader *loader);

struct loaded *loaded_hold(struct loaded *loaded);
void loaded_release(struct loaded *loaded); /* NULL: nothing */

#endif

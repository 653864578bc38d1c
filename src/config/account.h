/*
 * account.h: users and groups, asked of the name service.
 *
 * Every question is put in a child that then exits: a name service may hang, and it
 * leaves hundreds of KiB in the process that calls it.
 */
#ifndef UDSD_ACCOUNT_H
#define UDSD_ACCOUNT_H

#include "config/arena.h"

#include <stddef.h>
#include <sys/types.h>

#define ACCOUNT_GROUPS 1024 /* supplementary groups of one user at most */

struct account {
	struct account *next;
	char *key; /* what was asked for */
	uid_t uid;
	gid_t gid;
	size_t ngroups;
	gid_t *groups; /* supplementary, the primary one among them */
	char *name;
	char *home;
	char *shell;
};

/* Looks up a user by name or number. A number that has no entry is an account of its own:
 * that number, the same gid, no other group, home /. What is in the list already is not
 * asked for again, and what was found is added to it. NULL with errno ENOENT: there is
 * none; ETIMEDOUT or another: the name service does not answer. */
const struct account *account_find(struct arena *arena, struct account **list,
				   const char *user);

/* Looks up just the id of a user by name or number. 0, or -1 and errno as above. */
int account_user(const char *user, uid_t *uid);

/* Looks up a group by name or number. 0, or -1 and errno as above. */
int account_group(const char *group, gid_t *gid);

/* Reads an id: a decimal number below (uid_t)-1. 0, or -1. */
int account_number(const char *text, unsigned *id);

/* Runs `ask` in a child and returns what it wrote to the descriptor it was given: at most
 * `size` bytes into `answer`. The child has no other descriptor of ours above standard
 * error. The number of bytes, or -1 and errno; ETIMEDOUT after 3 s, and sooner where that
 * has happened before. */
ssize_t account_ask(void (*ask)(int fd, const void *arg), const void *arg, void *answer,
		    size_t size);

#endif

/*
 * privilege.h: becoming another user, permanently.
 */
#ifndef UDSD_PRIVILEGE_H
#define UDSD_PRIVILEGE_H

#include "common/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct identity {
	uid_t uid;
	gid_t gid;
	size_t ngroups; /* supplementary groups */
	gid_t *groups;
};

bool identity_same(const struct identity *a, const struct identity *b);

/* Makes this process that user's: groups, gid, uid, no capability that root lent, no way
 * back (which is tried). An ordinary user's udsd keeps its ids. If it fails the process
 * must not go on. */
struct failure privilege_drop(const struct identity *identity);

/* Sends a signal to process groups (and to their leaders themselves, if `leaders`) as
 * this user. If we are another it is sent by a process that has become it: the kernel
 * decides whether it may. That process is not waited for, because the user may stop it;
 * nor is it sure that the signals arrive. 0, or -1: there is no process to be had. */
int privilege_signal(uid_t uid, gid_t gid, const pid_t *pids, size_t count, int signal,
		     bool leaders);

#endif

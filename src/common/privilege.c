/*
 * privilege.c: root becomes an ordinary user, permanently.
 *
 * Order: what needs root first, then groups, gid, uid; then the proof. A service of root
 * keeps root's capabilities. Invariant: success is reported only if every operation was
 * seen to have its effect, and no way back was found.
 */
#include "common/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool identity_same(const struct identity *a, const struct identity *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->ngroups == b->ngroups &&
	       (a->ngroups == 0 ||
		memcmp(a->groups, b->groups, a->ngroups * sizeof(gid_t)) == 0);
}

/* EINVAL: a kernel without ambient capabilities. */
static int clear_ambient(void)
{
	int rc = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

	return rc < 0 && errno != EINVAL ? -1 : 0;
}

/* Leaves what a parent may have set up so that capabilities outlive setuid(). */
static int forget_capabilities(void)
{
	int bits = prctl(PR_GET_SECUREBITS);

	if (bits < 0 || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return -1;
	if ((bits & ~(int)SECBIT_KEEP_CAPS) != 0 && prctl(PR_SET_SECUREBITS, 0) < 0)
		return -1;
	return clear_ambient();
}

/* Empties the inheritable set, and with `all` the others too. */
static int drop_capabilities(bool all)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	if (!all && syscall(SYS_capget, &head, data) < 0)
		return -1;
	data[0].inheritable = data[1].inheritable = 0;
	return (int)syscall(SYS_capset, &head, data);
}

/* A session keyring of our own: that of udsd's session may hold secrets of its own. Where
 * there are no keyrings or a filter forbids them, handlers have none either. */
static int leave_keyring(void)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
		return 0;
	return errno == ENOSYS || errno == EPERM || errno == EACCES ? 0 : -1;
}

/* Whether all ids are those of `id`, and none of the old ones can be had again. */
static bool is_proved(const struct identity *id)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	errno = EPERM;
	if (getresuid(&r, &e, &s) < 0 || r != id->uid || e != id->uid || s != id->uid)
		return false;
	if (getresgid(&rg, &eg, &sg) < 0 || rg != id->gid || eg != id->gid ||
	    sg != id->gid)
		return false;
	if (getgroups(0, NULL) != (int)id->ngroups)
		return false;
	return id->uid == 0 ||
	       (setuid(0) < 0 && seteuid(0) < 0 && setresuid(0, 0, 0) < 0);
}

static struct failure become_user(const struct identity *id)
{
	if (forget_capabilities() < 0)
		return failure("capabilities");
	if (setgroups(id->ngroups, id->groups) < 0)
		return failure("groups");
	if (setresgid(id->gid, id->gid, id->gid) < 0)
		return failure("group");
	if (setresuid(id->uid, id->uid, id->uid) < 0)
		return failure("user");
	if (leave_keyring() < 0)
		return failure("keyring");
	if (drop_capabilities(id->uid != 0) < 0)
		return failure("capabilities");
	return is_proved(id) ? SUCCESS : failure("proof that privileges are gone");
}

struct failure privilege_drop(const struct identity *id)
{
	if (geteuid() == 0)
		return become_user(id);
	/* an ordinary user may have capabilities for udsd, not for its handlers */
	if (clear_ambient() < 0 || drop_capabilities(true) < 0)
		return failure("capabilities");
	return SUCCESS;
}

static void signal_all(const pid_t *pids, size_t count, int signal, bool leaders)
{
	for (size_t i = 0; i < count; i++) {
		bool missed = kill(-pids[i], signal) < 0 || getpgid(pids[i]) != pids[i];

		if (leaders && missed) /* it is in another group */
			(void)kill(pids[i], signal);
	}
}

/* SIGKILL in a second, which also ends a stopped process. */
static void limit_life(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	const struct itimerspec when = {.it_value = {.tv_sec = 1}};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
		(void)timer_settime(timer, 0, &when, NULL);
}

int privilege_signal(uid_t uid, gid_t gid, const pid_t *pids, size_t count, int signal,
		     bool leaders)
{
	pid_t child;

	if (geteuid() == uid) {
		signal_all(pids, count, signal, leaders);
		return 0;
	}
	child = fork();
	if (child != 0)
		return child < 0 ? -1 : 0;
	/* its user may stop it from here on: it holds nothing, and does not last */
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	limit_life();
	if (setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 &&
	    setresuid(uid, uid, uid) == 0)
		signal_all(pids, count, signal, leaders);
	_exit(0);
}

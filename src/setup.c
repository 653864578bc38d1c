/*
 * setup.c: from a child of the supervisor to a process of a service.
 *
 * What needs root comes first: limit and nice. Invariant: 0 is returned only if privileges are proved to
 * be gone.
 */
#include "setup.h"

#include "privilege.h"
#include "title.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

int setup_process(const struct service *s, const struct rlimit *nofile, const char **step)
{
	title_set(s->name);
	*step = "session";
	if (setsid() < 0)
		return -1;
	*step = "limit";
	if (setrlimit(RLIMIT_NOFILE, nofile) < 0)
		return -1;
	*step = "nice";
	errno = 0;
	if (s->nice != 0 && nice(s->nice) == -1 && errno != 0)
		return -1;
	if (privilege_drop(&s->identity, step) < 0)
		return -1;
	*step = "no-new-privileges";
	if (s->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	*step = "directory";
	if (chdir(s->directory) < 0)
		return -1;
	umask(s->umask);
	return 0;
}

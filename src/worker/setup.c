/*
 * setup.c: descriptors and identity of a child of the supervisor.
 *
 * The service's user may stop the process as soon as it has that user's uid: before then
 * it has closed what belongs to other services. The limit and nice need root, so they
 * come first.
 */
#include "worker/setup.h"

#include "common/privilege.h"
#include "config/limits.h"
#include "common/title.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

int setup_descriptors(int *from, int end, int error)
{
	for (int i = SETUP_FIRST; i < end; i++) /* out of the way of each other first */
		if (from[i] >= 0 && (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, end)) < 0)
			return -1;
	if (dup2(error, STDERR_FILENO) < 0)
		return -1;
	for (int i = SETUP_FIRST; i < end; i++)
		if (from[i] < 0)
			close(i);
		else if (dup3(from[i], i, O_CLOEXEC) < 0)
			return -1;
	return close_range((unsigned)end, ~0U, 0);
}

struct failure setup_process(const struct service *s, const struct rlimit *nofile)
{
	const char *limit;
	struct failure f;

	title_set(s->name);
	if (setsid() < 0)
		return failure("session");
	if (setrlimit(RLIMIT_NOFILE, nofile) < 0)
		return failure("limit");
	limit = limits_raise(s);
	if (limit != NULL)
		return failure(limit);
	errno = 0;
	if (s->nice != 0 && nice(s->nice) == -1 && errno != 0)
		return failure("nice");
	f = privilege_drop(&s->identity);
	if (failed(f))
		return f;
	if (s->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failure("no-new-privileges");
	if (chdir(s->directory) < 0)
		return failure("directory");
	umask(s->umask);
	return SUCCESS;
}

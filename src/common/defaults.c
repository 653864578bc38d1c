/*
 * defaults.c: default places, the same for udsd and udsctl.
 *
 * Root has the directories of the build. An ordinary user has those of the XDG Base
 * Directory Specification: the config in $XDG_CONFIG_HOME, else ~/.config; pid file and
 * control socket below $XDG_RUNTIME_DIR. A variable that is not an absolute path counts
 * as not set, and so does one that is too long. Results live until the function is called
 * again.
 */
#include "common/defaults.h"

#include "directories.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SYSTEM_DIRECTORY RUNSTATEDIR "/udsd"
#define CONTROL_SOCKET "/control.sock"

/* "$variable/name" in `path`, or false and "". */
static bool below(char path[PATH_MAX], const char *variable, const char *name)
{
	const char *dir = getenv(variable);

	if (dir != NULL && *dir == '/' &&
	    snprintf(path, PATH_MAX, "%s%s", dir, name) < PATH_MAX)
		return true;
	*path = '\0';
	return false;
}

const char *defaults_config(void)
{
	static char path[PATH_MAX];

	if (geteuid() == 0)
		return SYSCONFDIR "/udsd.conf";
	if (!below(path, "XDG_CONFIG_HOME", "/udsd.conf"))
		(void)below(path, "HOME", "/.config/udsd.conf");
	return path;
}

const char *defaults_directory(void)
{
	static char path[PATH_MAX];

	if (geteuid() == 0)
		return SYSTEM_DIRECTORY;
	(void)below(path, "XDG_RUNTIME_DIR", "/udsd");
	return path;
}

const char *defaults_pid_file(void)
{
	static char path[PATH_MAX];

	if (geteuid() == 0)
		return SYSTEM_DIRECTORY "/udsd.pid";
	(void)below(path, "XDG_RUNTIME_DIR", "/udsd/udsd.pid");
	return path;
}

const char *defaults_control_socket(void)
{
	static char path[PATH_MAX];

	if (geteuid() == 0)
		return SYSTEM_DIRECTORY CONTROL_SOCKET;
	(void)below(path, "XDG_RUNTIME_DIR", "/udsd" CONTROL_SOCKET);
	return path;
}

const char *defaults_supervisor(void)
{
	const char *own = defaults_control_socket();

	return access(own, F_OK) == 0 ? own : SYSTEM_DIRECTORY CONTROL_SOCKET;
}

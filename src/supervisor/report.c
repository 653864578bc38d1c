/*
 * report.c: faults and the verdict on standard error, services on standard output.
 */
#include "supervisor/report.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static const char *report_plural(size_t count)
{
	return count == 1 ? "" : "s";
}

void report_findings(const struct findings *found, bool refused)
{
	if (found == NULL)
		return;
	if (found->text != NULL)
		fputs(found->text, stderr);
	if (found->errors > 0 && refused)
		fprintf(stderr, "udsd: %zu error%s\n", found->errors,
			report_plural(found->errors));
}

/* The name of an id, or its number. */
static void report_id(const char *before, id_t id, const char *name)
{
	if (name != NULL)
		printf("%s%s", before, name);
	else
		printf("%s%u", before, id);
}

void report_service(const struct service *s)
{
	uid_t owner = s->socket_owner != (uid_t)-1 ? s->socket_owner : geteuid();
	gid_t group = s->socket_group != (gid_t)-1 ? s->socket_group : getegid();
	const struct passwd *pw = getpwuid(owner);
	const struct group *gr = getgrgid(group);

	printf("service %s: socket %s", s->name, s->socket);
	if (*s->socket != '@') {
		report_id(", owner ", owner, pw != NULL ? pw->pw_name : NULL);
		report_id(":", group, gr != NULL ? gr->gr_name : NULL);
		printf(", mode %04o", s->socket_mode);
	}
	printf(", handler %s, user %s%s%s\n", s->handler[0], s->account->name,
	       s->wait ? ", wait" : "", s->enabled ? "" : ", disabled");
}

void report_verdict(size_t services, size_t warnings)
{
	fprintf(stderr, "udsd: config ok, %zu service%s", services,
		report_plural(services));
	if (warnings > 0)
		fprintf(stderr, ", %zu warning%s", warnings, report_plural(warnings));
	fputc('\n', stderr);
}

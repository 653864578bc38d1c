/*
 * problem.c: notes and logs an instance's problem.
 */
#include "service/problem.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void problem_clear(struct instance *i)
{
	free((void *)(uintptr_t)i->problem.text);
	free((void *)(uintptr_t)i->problem.step);
	i->problem = (struct problem){0};
}

bool problem_set(struct instance *i, const struct problem *p)
{
	const struct problem *old = &i->problem;

	if (old->kind == p->kind && old->text != NULL && strcmp(old->text, p->text) == 0)
		return false;
	problem_clear(i);
	i->problem = (struct problem){p->kind, strdup(p->step), strdup(p->text)};
	return true;
}

bool problem_set_failure(struct instance *i, struct failure f)
{
	const struct service *s = i->service;
	struct problem p = {PROBLEM_FAILED,
			    instance_is_control(i) ? "control-socket" : "socket", NULL};
	char text[1024], place[512] = "";

	if (s->at.file != NULL)
		snprintf(place, sizeof(place), "%s:%u: ", s->at.file, s->at.line);
	snprintf(text, sizeof(text), "%s%s %s: %s: %s", place, p.step, s->socket,
		 f.operation, strerror(f.error));
	if (f.error == EADDRINUSE)
		p.kind = PROBLEM_DISPLACED;
	p.text = text;
	return problem_set(i, &p);
}

bool problem_is_socket(const struct instance *i)
{
	const char *step = i->problem.step;

	return service_can_run(i->service) && i->problem.kind != PROBLEM_NONE &&
	       step != NULL &&
	       (strcmp(step, "socket") == 0 || strcmp(step, "control-socket") == 0);
}

bool problem_is_path(const struct instance *i)
{
	return problem_is_socket(i) &&
	       (i->listener.fd >= 0 || i->problem.kind == PROBLEM_DISPLACED);
}

size_t problem_place(const char *text)
{
	const char *end = strstr(text, ": ");

	if (end == NULL || end == text || end[-1] < '0' || end[-1] > '9')
		return 0;
	return (size_t)(end + 2 - text);
}

void problem_log(const struct instance *i)
{
	struct log_line line;

	log_begin(&line, LOG_ERR, "fail");
	log_str(&line, "service", i->service->name);
	log_str(&line, "step", i->problem.step);
	log_str(&line, "error", i->problem.text);
	log_sec(&line, "retry", problem_is_path(i) ? PROBLEM_LOOK : PROBLEM_RETRY);
	log_end(&line);
}

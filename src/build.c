/*
 * build.c: from sources to an immutable struct config.
 *
 * Each option's texts go through the table in options.c, the finished services through preflight.c.
 * Faults are gathered all the way; any of them refuses the config.
 */
#include "config.h"

#include "preflight.h"
#include "globals.h"
#include "value.h"
#include "service.h"
#include "options.h"
#include "parse.h"

#include <errno.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One option of a service: from its own section, else from defaults, else the fallback. */
static void apply(struct config *c, struct service *s, const struct setting *setting,
		  const struct section *own, const struct section *defaults,
		  struct faults *faults)
{
	struct setter x = {.config = c, .service = s, .setting = setting, .text = ""};
	const struct section *from = own;
	unsigned line = section_texts(own, setting->name, &x.texts, &x.count, faults);
	const char *error;

	if (line == 0) {
		from = defaults;
		line = section_texts(defaults, setting->name, &x.texts, &x.count, faults);
	}
	if (x.count > 0)
		x.text = x.texts[0];
	if (line == 0 && setting->fallback == NULL)
		return;
	if (line == 0)
		x.text = setting->fallback;
	else if (setting->accepting)
		s->accepting = setting->name;
	error = setting->set(&x);
	if (setting->place != 0)
		*(struct place *)(void *)((char *)s + setting->place) =
			(struct place){from->source->path, line};
	if (error != NULL)
		fault_add(faults, from->source->path, line, "%s: \"%s\" %s",
			  setting->name, x.text, error);
	free(x.texts);
}

static void apply_all(struct config *c, struct service *s, const struct section *own,
		      const struct section *defaults, struct faults *faults)
{
	s->socket_owner = (uid_t)-1;
	s->socket_group = s->identity.gid = (gid_t)-1;
	s->log_level = -1;
	s->stderr_kind = STDERR_DEFAULT;
	for (const struct setting *t = settings; t->name != NULL; t++)
		apply(c, s, t, own, defaults, faults);
}

static void add_service(struct config *c, const struct section *own,
			const struct section *defaults, struct faults *faults)
{
	struct service *s = reallocarray(c->services, c->count + 1, sizeof(*s));
	const char *error, *file = own->source->path;

	if (s == NULL) {
		fault_add(faults, file, own->line, "no memory left");
		return;
	}
	c->services = s;
	s = &c->services[c->count++];
	*s = (struct service){.name = strdup(own->title), .at = {file, own->line}};
	error = s->name != NULL ? value_service_name(s->name) : "finds no memory left";
	if (error != NULL)
		fault_add(faults, file, own->line, "service: \"%s\" %s", own->title,
			  error);
	apply_all(c, s, own, defaults, faults);
	service_finish(c, s, geteuid() == 0, faults);
}

static void add_services(struct config *c, const struct source *source,
			 const struct section *defaults, struct faults *faults)
{
	for (unsigned i = 0; i < source_services(source); i++) {
		struct section own = source_service(source, i);

		if (own.parsed != NULL)
			add_service(c, &own, defaults, faults);
	}
}

/* A directory that is not there matches nothing. */
static int glob_error(const char *path, int error)
{
	(void)path;
	return error != ENOENT && error != ENOTDIR;
}

/* A copy of a file's name that lives as long as the config. */
static const char *keep_name(struct config *c, const char *path)
{
	char **more = reallocarray(c->files, c->nfiles + 1, sizeof(*more));

	if (more == NULL)
		return NULL;
	c->files = more;
	more[c->nfiles] = strdup(path);
	return more[c->nfiles++];
}

static void add_pattern(struct config *c, const char *pattern, const struct section *top,
			unsigned line, const struct section *defaults,
			struct faults *faults)
{
	const char *error = value_path(pattern);
	glob_t found;
	int rc = error == NULL ? glob(pattern, 0, glob_error, &found) : GLOB_NOMATCH;

	if (rc != 0 && rc != GLOB_NOMATCH)
		error = "cannot be read";
	if (error != NULL)
		fault_add(faults, top->source->path, line, "include: \"%s\" %s", pattern,
			  error);
	if (rc != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = keep_name(c, found.gl_pathv[i]);
		struct source source = {.path = path};

		if (path == NULL)
			fault_add(faults, found.gl_pathv[i], 0, "no memory left");
		else if (source_read(&source, path, true, faults) == 0)
			add_services(c, &source, defaults, faults);
		source_close(&source);
	}
	globfree(&found);
}

static void add_includes(struct config *c, const struct section *top,
			 const struct section *defaults, struct faults *faults)
{
	const char **patterns;
	size_t n;
	unsigned line = section_texts(top, "include", &patterns, &n, faults);

	if (line == 0)
		return;
	for (size_t i = 0; i < n; i++)
		add_pattern(c, patterns[i], top, line, defaults, faults);
	free(patterns);
}

/* Refuses names and sockets that two services have. */
static void check_unique(const struct config *c, struct faults *faults)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct service *a = &c->services[i];

		if (a->socket != NULL && c->control.socket != NULL &&
		    strcmp(a->socket, c->control.socket) == 0)
			fault_add(faults, a->at.file, a->at.line,
				  "socket %s is the control-socket already", a->socket);
		for (size_t k = 0; k < i; k++) {
			const struct service *b = &c->services[k];

			if (strcmp(a->name, b->name) == 0 &&
			    strcmp(a->at.file, b->at.file) != 0)
				fault_add(faults, a->at.file, a->at.line,
					  "service %s is there already: %s:%u", a->name,
					  b->at.file, b->at.line);
			if (a->socket != NULL && b->socket != NULL &&
			    strcmp(a->socket, b->socket) == 0)
				fault_add(faults, a->at.file, a->at.line,
					  "socket %s is that of service %s already",
					  a->socket, b->name);
		}
	}
}

/* The overflow ids are a setting of the kernel. */
static uint32_t read_overflow(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned id = 65534;

	if (f != NULL && fscanf(f, "%u", &id) != 1)
		id = 65534;
	if (f != NULL)
		fclose(f);
	return id;
}

static void fill(struct config *c, const struct source *source, struct faults *faults)
{
	struct section top = source_top(source), defaults = source_defaults(source);
	struct service scratch = {0};

	globals_apply(c, &top, faults);
	/* Defaults are checked also where no service needs them. */
	apply_all(c, &scratch, &defaults, &defaults, faults);
	service_free(&scratch);
	add_services(c, source, &defaults, faults);
	add_includes(c, &top, &defaults, faults);
	globals_finish(c, faults);
	check_unique(c, faults);
	check_services(c, faults);
}

/* Everything after the source was opened. Its path must outlive the config. */
static struct config *build(const struct source *source, struct faults *faults)
{
	struct config *c = calloc(1, sizeof(*c));

	if (c == NULL || globals_init(c) < 0) {
		fault_add(faults, source->path, 0, "no memory left");
		config_free(c);
		return NULL;
	}
	rule_set_overflow(read_overflow("/proc/sys/kernel/overflowuid"),
			  read_overflow("/proc/sys/kernel/overflowgid"));
	fill(c, source, faults);
	if (faults->errors > 0) {
		config_free(c);
		return NULL;
	}
	return c;
}

struct config *config_load(const char *path, struct faults *faults)
{
	struct config *c = NULL;
	struct source source;

	*faults = (struct faults){0};
	if (source_read(&source, path, false, faults) == 0)
		c = build(&source, faults);
	source_close(&source);
	return c;
}

struct config *config_parse(char *text, struct faults *faults)
{
	struct config *c = NULL;
	struct source source;

	*faults = (struct faults){0};
	if (source_take(&source, text, faults) == 0)
		c = build(&source, faults);
	source_close(&source);
	return c;
}

size_t config_sockets(const struct config *c)
{
	return c->count + (c->control.socket != NULL);
}

const struct service *config_socket(const struct config *c, size_t i)
{
	return i < c->count ? &c->services[i] : &c->control;
}

void config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->count; i++)
		service_free(&c->services[i]);
	for (size_t i = 0; i < c->naccounts; i++)
		account_free(c->accounts[i]);
	for (size_t i = 0; i < c->nfiles; i++)
		free(c->files[i]);
	free(c->files);
	free(c->services);
	service_free(&c->control);
	free(c->accounts);
	free(c->pid_file);
	free(c);
}

/*
 * build.c: from sources to a struct config.
 *
 * Says what may stand where (the tables of options), has sources parsed, and sets each
 * option's field: from the service's own section, else from defaults, else the fallback.
 * Finished services go through service.c and preflight.c. Faults are gathered all the
 * way; any of them refuses the config. What is kept is in one arena, what is not in
 * another that goes with this function.
 */
#include "config/config.h"

#include "common/directory.h"
#include "config/cmdline.h"
#include "config/globals.h"
#include "config/options.h"
#include "config/parse.h"
#include "config/preflight.h"
#include "config/service.h"
#include "config/value.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYNTAX_MAX 100 /* rows of a table of options, and the sections */

/* What may stand in a service, in defaults, and in the main file. */
static struct syntax in_service[SYNTAX_MAX], in_defaults[SYNTAX_MAX], in_main[SYNTAX_MAX];
static struct syntax in_included[SYNTAX_MAX];

static struct syntax *syntax_fill(struct syntax *to, const struct option_row *rows,
				  unsigned without)
{
	for (; rows->name != NULL; rows++)
		if ((rows->flags & without) == 0)
			*to++ = (struct syntax){.name = rows->name,
						.list = option_is_list(rows),
						.adds = option_is_list(rows) &&
							(rows->flags & OPTION_OWN) == 0};
	return to;
}

/* Options that may be meant here, but stand elsewhere. */
static struct syntax *syntax_fill_others(struct syntax *to, const struct option_row *rows,
					 const char *elsewhere)
{
	for (; rows->name != NULL; rows++)
		*to++ = (struct syntax){.name = rows->name, .elsewhere = elsewhere};
	return to;
}

static void syntax_init(void)
{
	static const char outside[] =
		"is for all services: it stands outside of sections",
			  inside[] = "is an option of a service: it stands in a service "
				     "section, or in defaults",
			  own[] = "is of one service only: it stands there, not in "
				  "defaults",
			  included[] =
				  "stands in the main file: an included file may hold "
				  "service sections only";
	const struct syntax service = {"service", .titled = true, .section = in_service},
			    defaults = {"defaults", .section = in_defaults};
	struct syntax *end = syntax_fill(in_main, global_options, 0);

	*end++ = service;
	*end++ = defaults;
	syntax_fill_others(end, service_options, inside);
	end = syntax_fill(in_service, service_options, 0);
	syntax_fill_others(end, global_options, outside);
	end = syntax_fill(in_defaults, service_options, OPTION_OWN);
	end = syntax_fill_others(end, service_options, own);
	syntax_fill_others(end, global_options, outside);
	end = in_included;
	*end++ = service;
	*end = defaults;
	end++->elsewhere = included;
	end = syntax_fill_others(end, global_options, included);
	syntax_fill_others(end, service_options, inside);
}

/* A list that adds to that of defaults. */
static const struct statement *build_joined(const struct build *b,
					    const struct statement *before,
					    const struct statement *given)
{
	struct statement *all = arena_take(b->scratch, sizeof(*all));

	*all = *given;
	all->append = before->append;
	all->bad = given->bad || before->bad;
	all->count = before->count + given->count;
	all->texts = arena_take(b->scratch, (all->count + 1) * sizeof(*all->texts));
	for (size_t i = 0; i < all->count; i++)
		all->texts[i] = i < before->count ? before->texts[i]
						  : given->texts[i - before->count];
	return all;
}

static void build_options(const struct build *b, struct service *s,
			  const struct section *own, const struct section *defaults)
{
	s->socket_owner = (uid_t)-1;
	s->socket_group = s->identity.gid = (gid_t)-1;
	s->log_level = b->config->log_level;
	for (const struct option_row *row = service_options; row->name != NULL; row++) {
		const struct statement *before = section_find(defaults, row->name),
				       *given = section_find(own, row->name);

		if (given == NULL)
			given = before;
		else if (given->append && before != NULL)
			given = build_joined(b, before, given);
		option_set(b, s, row, given);
		if (given != NULL)
			service_note(b, b->scratch, s, row, given);
	}
	s->given = arena_keep(b->arena, s->given, s->ngiven * sizeof(*s->given));
}

static void build_service(const struct build *b, const struct section *own,
			  const struct section *defaults)
{
	struct config *c = b->config;
	const char *error = value_service_name(own->title);
	struct service *s;

	c->services = arena_grow(b->scratch, c->services, c->count, sizeof(*s));
	s = &c->services[c->count++];
	*s = (struct service){.name = arena_text(b->arena, own->title), .at = own->at};
	if (error != NULL && *own->title != '\0') /* else that was reported */
		fault_add(b->faults, own->at, "service: \"%s\" %s", own->title, error);
	build_options(b, s, own, defaults);
	if (!own->bad)
		service_finish(b, s, geteuid() == 0);
}

static void build_services(const struct build *b, const struct section *sections,
			   const struct section *defaults)
{
	for (; sections != NULL; sections = sections->next)
		if (strcmp(sections->name, "service") == 0)
			build_service(b, sections, defaults);
}

/* Parses a text, which is changed, and keeps it as it was. The path is in the arena. */
static struct section *build_text(const struct build *b, const char *path, char *text,
				  size_t len, const struct syntax *syntax)
{
	struct config_text *kept = arena_take(b->arena, sizeof(*kept));
	struct config_text **end = &b->config->texts;

	while (*end != NULL)
		end = &(*end)->next;
	*end = kept;
	*kept = (struct config_text){NULL, path, arena_copy(b->arena, text, len), len};
	return parse_text(b->scratch, kept->path, text, len, syntax, b->faults);
}

static struct section *build_file(const struct build *b, const char *path,
				  const struct syntax *syntax)
{
	size_t len;
	char *text;
	struct section *top = NULL;

	path = arena_text(b->arena, path);
	text = parse_read(path, &len, b->faults);
	if (text != NULL)
		top = build_text(b, path, text, len, syntax);
	free(text);
	return top;
}

/* A text of an earlier load, whatever the file holds now. */
static struct section *build_again(const struct build *b, const struct config_text *t,
				   const struct syntax *syntax)
{
	return build_text(b, arena_text(b->arena, t->path),
			  arena_copy(b->scratch, t->text, t->len), t->len, syntax);
}

/* A directory that is not there matches nothing. */
static int glob_error(const char *path, int error)
{
	(void)path;
	return error != ENOENT && error != ENOTDIR;
}

static void build_included(const struct build *b, const char *pattern, struct place at,
			   const struct section *defaults)
{
	const char *error = value_path(pattern);
	glob_t found;
	int rc = error == NULL ? glob(pattern, 0, glob_error, &found) : GLOB_NOMATCH;

	if (rc != 0 && rc != GLOB_NOMATCH)
		error = "cannot be read";
	if (error != NULL)
		fault_add(b->faults, at, "include: \"%s\" %s", pattern, error);
	if (rc != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		build_services(b, build_file(b, found.gl_pathv[i], in_included),
			       defaults);
	globfree(&found);
}

static bool is_same_socket(const struct service *a, const struct directory_place *x,
			   const struct service *b, const struct directory_place *y)
{
	if (a->socket == NULL || b->socket == NULL)
		return false;
	return strcmp(a->socket, b->socket) == 0 ||
	       (x->inode != 0 && x->inode == y->inode && x->device == y->device &&
		strcmp(x->rest, y->rest) == 0);
}

/* Refuses names and sockets that two services have. `places`: of their sockets. */
static void check_unique(const struct build *b, size_t i,
			 const struct directory_place *places)
{
	const struct config *c = b->config;
	const struct service *s = &c->services[i];
	const struct directory_place *place = &places[i];

	if (s->socket != NULL && c->control.socket != NULL &&
	    directory_is_same(s->socket, c->control.socket))
		fault_add(b->faults, s->at, "socket %s is the control-socket already",
			  s->socket);
	if (s->socket != NULL && c->pid_file != NULL &&
	    directory_is_same(s->socket, c->pid_file))
		fault_add(b->faults, s->at, "socket %s is the pid-file already",
			  s->socket);
	while (i-- > 0) {
		const struct service *other = &c->services[i];

		if (strcmp(s->name, other->name) == 0)
			fault_add(b->faults, s->at, "service %s is there already: %s:%u",
				  s->name, other->at.file, other->at.line);
		if (is_same_socket(s, place, other, &places[i]))
			fault_add(b->faults, s->at,
				  "socket %s is that of service %s already", s->socket,
				  other->name);
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

static void build_all_included(const struct build *b, const struct section *top,
			       const struct section *defaults)
{
	for (char **pattern = b->config->include; pattern != NULL && *pattern != NULL;
	     pattern++)
		build_included(b, *pattern, section_find(top, "include")->at, defaults);
}

/* The main file's text is the first. */
static void build_included_again(const struct build *b, const struct config_text *t,
				 const struct section *defaults)
{
	while (t != NULL && (t = t->next) != NULL)
		build_services(b, build_again(b, t, in_included), defaults);
}

static void build_all(const struct build *b, const struct section *top,
		      const struct load_source *source)
{
	const struct section *defaults = top;
	struct service scratch = {0};
	struct directory_place *places;
	struct config *c = b->config;

	while (defaults != NULL && strcmp(defaults->name, "defaults") != 0)
		defaults = defaults->next;
	globals_build(b, top, source);
	/* Defaults are checked also where no service needs them. */
	build_options(b, &scratch, NULL, defaults);
	build_services(b, top, defaults);
	if (source->again != NULL)
		build_included_again(b, source->again->texts, defaults);
	else
		build_all_included(b, top, defaults);
	c->services = arena_keep(b->arena, c->services, c->count * sizeof(*c->services));
	places = arena_take(b->scratch, (c->count + 1) * sizeof(*places));
	for (size_t i = 0; i < c->count; i++) {
		if (c->services[i].socket != NULL)
			directory_find_place(c->services[i].socket, &places[i]);
		check_unique(b, i, places);
	}
	if (c->control.socket != NULL && c->pid_file != NULL && *c->pid_file == '/' &&
	    directory_is_same(c->control.socket, c->pid_file))
		fault_add(b->faults, c->control.at,
			  "control-socket %s is the pid-file already", c->control.socket);
	preflight_check(c, source->test, b->faults);
}

/* `text`: of the config; NULL: it is in the file. */
static const struct config *build(struct arena *arena, char *text,
				  const struct load_source *source, struct faults *faults)
{
	struct arena scratch;
	struct build b = {arena, &scratch, NULL, faults};
	struct section *top;

	if (arena_open(&scratch) < 0) {
		fault_system(faults, PLACE_NONE, "load the config");
		return NULL;
	}
	b.config = arena_take(arena, sizeof(*b.config));
	syntax_init();
	rule_set_overflow(read_overflow("/proc/sys/kernel/overflowuid"),
			  read_overflow("/proc/sys/kernel/overflowgid"));
	if (text != NULL)
		top = parse_text(&scratch, NULL, text, strlen(text), in_main, faults);
	else if (source->again != NULL)
		top = build_again(&b, source->again->texts, in_main);
	else
		top = build_file(&b, source->path, in_main);
	if (top != NULL)
		build_all(&b, top, source);
	arena_close(&scratch);
	return faults->errors == 0 ? b.config : NULL;
}

const struct config *config_load(struct arena *arena, const struct load_source *source,
				 struct faults *faults)
{
	const struct config *c = NULL;
	char *text = NULL;

	*faults = (struct faults){.arena = arena};
	if (source->command != NULL) {
		text = command_config(source->options, source->count, source->command);
		if (text == NULL)
			fault_system(faults, PLACE_NONE, "load the command");
	}
	if (faults->errors == 0)
		c = build(arena, text, source, faults);
	free(text);
	faults_finish(faults);
	return c;
}

const struct config *config_parse(struct arena *arena, char *text, struct faults *faults)
{
	const struct load_source none = {.log_level = -1};

	const struct config *c;

	*faults = (struct faults){.arena = arena};
	c = build(arena, text, &none, faults);
	faults_finish(faults);
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

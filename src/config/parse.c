/*
 * parse.c: reads a file, has it scanned, and has libconfuse parse each section of it.
 *
 * libconfuse parses from memory (its lexer calls exit() on a directory), one flat list of
 * options at a time, each of which is a string to it. It is given those that the scan has
 * found.
 */
#include "config/parse.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libconfuse has no argument for us; one section is parsed at a time. */
static struct faults *parse_faults;
static struct place parse_at; /* the beginning of its text */

static void parse_error(cfg_t *cfg, const char *format, va_list args)
{
	const struct place at = {parse_at.file, parse_at.line + (unsigned)cfg->line - 1};
	char *text;

	if (vasprintf(&text, format, args) < 0)
		return;
	fault_add(parse_faults, at, "%s", text);
	free(text);
}

static cfg_t *parse_init(struct arena *arena, const struct section *section)
{
	cfg_opt_t *options = NULL;
	const cfg_opt_t end = CFG_END();
	size_t n = 0;

	for (const struct statement *o = section->statements; o != NULL; o = o->next) {
		const cfg_opt_t one = CFG_STR(o->syntax->name, 0, CFGF_NODEFAULT);
		const cfg_opt_t many = CFG_STR_LIST(o->syntax->name, 0, CFGF_NODEFAULT);

		options = arena_grow(arena, options, n, sizeof(*options));
		options[n++] = o->syntax->list ? many : one;
	}
	options = arena_grow(arena, options, n, sizeof(*options));
	options[n] = end;
	return cfg_init(options, CFGF_NONE);
}

static void parse_values(struct arena *arena, struct statement *o, cfg_t *cfg)
{
	cfg_opt_t *opt = cfg_getopt(cfg, o->syntax->name);

	o->count = cfg_opt_size(opt);
	o->texts = arena_take(arena, (o->count + 1) * sizeof(*o->texts));
	for (size_t i = 0; i < o->count; i++)
		o->texts[i] = arena_text(arena, cfg_opt_getnstr(opt, (unsigned)i));
}

/* 0, or -1 after a fault. */
static int parse_section(struct arena *arena, struct section *section,
			 struct faults *faults)
{
	size_t errors = faults->errors;
	cfg_t *cfg = parse_init(arena, section);
	int rc = -1;

	parse_faults = faults;
	parse_at = (struct place){section->at.file, section->text_line};
	if (cfg != NULL) {
		cfg_set_error_function(cfg, parse_error);
		rc = cfg_parse_buf(cfg, section->text) == CFG_SUCCESS ? 0 : -1;
	}
	if (rc < 0 && faults->errors == errors)
		fault_add(faults, section->at, "cannot be parsed: out of memory");
	for (struct statement *o = section->statements; rc == 0 && o != NULL; o = o->next)
		parse_values(arena, o, cfg);
	if (cfg != NULL)
		cfg_free(cfg);
	return rc;
}

struct section *parse_text(struct arena *arena, const char *path, char *text, size_t len,
			   const struct syntax *syntax, struct faults *faults)
{
	struct section *top = scan_text(arena, path, text, len, syntax, faults);
	bool good = top != NULL;

	for (struct section *s = top; s != NULL; s = s->next)
		good = parse_section(arena, s, faults) == 0 && good;
	return good ? top : NULL;
}

/* Whether only root could have written what root is about to obey. */
static bool parse_trusts(const struct stat *st, struct place at, struct faults *faults)
{
	if (!S_ISREG(st->st_mode))
		fault_add(faults, at, "not a regular file");
	else if (st->st_size > PARSE_MAX)
		fault_add(faults, at, "larger than 1 MiB");
	else if (geteuid() == 0 && st->st_uid != 0)
		fault_add(faults, at,
			  "owned by another user, and root does not obey that: "
			  "chown it to root");
	else if (geteuid() == 0 && (st->st_mode & 022) != 0)
		fault_add(faults, at,
			  "writable by group or others, and root does not obey "
			  "that: chmod go-w it");
	else
		return true;
	return false;
}

/* All of a file's text, terminated, to be freed; NULL after a fault. */
static char *parse_read_all(int fd, struct place at, size_t *len, struct faults *faults)
{
	char *text = malloc(PARSE_MAX + 1);
	ssize_t n = 1;

	for (*len = 0; text != NULL && n > 0 && *len < PARSE_MAX; *len += (size_t)n)
		n = read(fd, text + *len, PARSE_MAX - *len);
	if (text != NULL && n >= 0) {
		text[*len] = '\0';
		return text;
	}
	fault_system(faults, at, "cannot be read");
	free(text);
	return NULL;
}

char *parse_read(const char *path, size_t *len, struct faults *faults)
{
	const struct place at = {path, 0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		fault_system(faults, at, "cannot be opened");
	else if (parse_trusts(&st, at, faults))
		text = parse_read_all(fd, at, len, faults);
	if (fd >= 0)
		close(fd);
	return text;
}

/*
 * parse.c: reads, scans and parses one text; the only file that includes confuse.h.
 *
 * libconfuse parses from memory (its lexer calls exit() on a directory) with every option a
 * string. What it would let pass was reported by the scan before.
 */
#include "parse.h"

#include "options.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_OPTIONS 64

const char *const source_globals[] = {
	"log-level",      "syslog-facility", "pid-file",
	"control-socket", "control-mode",    "control-allow",
	"stop-timeout",   "include",         NULL,
};

static bool is_list(const char *global)
{
	return strcmp(global, "control-allow") == 0 || strcmp(global, "include") == 0;
}

/* For the scan: what may stand in a file that was included. */
static bool known_included(const char *section, const char *option)
{
	if (strcmp(section, "service") != 0 && strcmp(section, "defaults") != 0)
		return false;
	for (const struct setting *t = settings; option != NULL && t->name != NULL; t++)
		if (strcmp(t->name, option) == 0)
			return *section == 's' || !t->own;
	return option == NULL && *section == 's';
}

static bool known(const char *section, const char *option)
{
	for (size_t i = 0;
	     *section == '\0' && option != NULL && source_globals[i] != NULL; i++)
		if (strcmp(option, source_globals[i]) == 0)
			return true;
	return (option == NULL && strcmp(section, "defaults") == 0) ||
	       known_included(section, option);
}

/* libconfuse has no argument for us here; one text is parsed at a time. */
static struct faults *parse_faults;
static const char *parse_path;

static void confuse_error(cfg_t *cfg, const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		return;
	fault_add(parse_faults, parse_path, (unsigned)cfg->line, "%s", text);
	free(text);
}

static cfg_opt_t string_option(const char *name, bool list)
{
	const cfg_opt_t one = CFG_STR(name, 0, CFGF_NODEFAULT);
	const cfg_opt_t many = CFG_STR_LIST(name, 0, CFGF_NODEFAULT);

	return list ? many : one;
}

static int parse(struct source *src, struct faults *faults)
{
	cfg_opt_t options[MAX_OPTIONS], top[16];
	const cfg_opt_t end = CFG_END();
	const cfg_opt_t defaults = CFG_SEC("defaults", options, CFGF_NODEFAULT);
	const cfg_opt_t service = CFG_SEC("service", options, CFGF_MULTI | CFGF_TITLE);
	size_t n = 0;
	cfg_t *cfg;

	for (const struct setting *t = settings; t->name != NULL; t++)
		options[n++] = string_option(t->name, t->list);
	options[n] = end;
	for (n = 0; source_globals[n] != NULL; n++)
		top[n] = string_option(source_globals[n], is_list(source_globals[n]));
	top[n++] = defaults;
	top[n++] = service;
	top[n] = end;
	src->parsed = cfg = cfg_init(top, CFGF_NONE);
	if (cfg == NULL)
		return -1;
	parse_faults = faults;
	parse_path = src->path;
	cfg_set_error_function(cfg, confuse_error);
	return cfg_parse_buf(cfg, src->text) == CFG_SUCCESS ? 0 : -1;
}

static int scan_and_parse(struct source *src, size_t len, bool included,
			  struct faults *faults)
{
	if (scan_text(&src->scan, src->path, src->text, len,
		      included ? known_included : known, faults) < 0)
		return -1;
	if (parse(src, faults) == 0)
		return 0;
	if (faults->errors == 0)
		fault_add(faults, src->path, 0, "cannot be parsed");
	return -1;
}

/* Whether nobody but root could have written what root is about to obey. */
static bool is_trusted(const struct stat *st, const char *path, struct faults *faults)
{
	if (!S_ISREG(st->st_mode))
		fault_add(faults, path, 0, "not a regular file");
	else if (st->st_size > SOURCE_MAX)
		fault_add(faults, path, 0, "larger than 1 MiB");
	else if (geteuid() == 0 && st->st_uid != 0)
		fault_add(faults, path, 0,
			  "owned by another user, and root does not obey that: "
			  "chown it to root");
	else if (geteuid() == 0 && (st->st_mode & 022) != 0)
		fault_add(faults, path, 0,
			  "writable by group or others, and root does not obey "
			  "that: chmod go-w it");
	else
		return true;
	return false;
}

/* All of a file's text, terminated; -1 after a fault. */
static ssize_t read_all(int fd, struct source *src, struct faults *faults)
{
	size_t len = 0;
	ssize_t n = 1;

	src->text = malloc(SOURCE_MAX + 1);
	while (src->text != NULL && n > 0 && len < SOURCE_MAX) {
		n = read(fd, src->text + len, SOURCE_MAX - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (src->text == NULL || n < 0) {
		fault_add(faults, src->path, 0, "cannot be read: %s", strerror(errno));
		return -1;
	}
	src->text[len] = '\0';
	return (ssize_t)len;
}

int source_read(struct source *src, const char *path, bool included,
		struct faults *faults)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t len = -1;

	*src = (struct source){.path = path};
	if (fd < 0 || fstat(fd, &st) < 0)
		fault_add(faults, path, 0, "cannot be opened: %s", strerror(errno));
	else if (is_trusted(&st, path, faults))
		len = read_all(fd, src, faults);
	if (fd >= 0)
		close(fd);
	return len < 0 ? -1 : scan_and_parse(src, (size_t)len, included, faults);
}

int source_take(struct source *src, char *text, struct faults *faults)
{
	*src = (struct source){.text = text};
	return scan_and_parse(src, strlen(text), false, faults);
}

void source_close(struct source *src)
{
	if (src->parsed != NULL)
		cfg_free(src->parsed);
	scan_free(&src->scan);
	free(src->text);
}

static struct section section_of(const struct source *src, const char *name, cfg_t *cfg)
{
	const char *title = cfg != NULL ? cfg_title(cfg) : NULL;
	size_t at = scan_section(&src->scan, name, title != NULL ? title : "");

	if (at == SIZE_MAX)
		return (struct section){.source = src};
	return (struct section){src, cfg, title, at, src->scan.marks[at].line};
}

struct section source_top(const struct source *src)
{
	return (struct section){.source = src, .parsed = src->parsed, .mark = SIZE_MAX};
}

struct section source_defaults(const struct source *src)
{
	bool there =
		cfg_size(src->parsed, "defaults") > 0; /* else libconfuse complains */

	return section_of(src, "defaults",
			  there ? cfg_getsec(src->parsed, "defaults") : NULL);
}

struct section source_service(const struct source *src, unsigned index)
{
	return section_of(src, "service", cfg_getnsec(src->parsed, "service", index));
}

unsigned source_services(const struct source *src)
{
	return cfg_size(src->parsed, "service");
}

unsigned section_texts(const struct section *section, const char *name,
		       const char ***texts, size_t *count, struct faults *faults)
{
	unsigned line = 0;
	cfg_opt_t *opt;

	if (section->parsed != NULL)
		line = scan_line(&section->source->scan, section->mark, name);
	if (line == 0)
		return 0;
	opt = cfg_getopt(section->parsed, name);
	*count = opt != NULL ? cfg_opt_size(opt) : 0;
	*texts = calloc(*count + 1, sizeof(**texts));
	if (*texts == NULL) {
		fault_add(faults, section->source->path, line, "no memory left");
		*count = 0;
	}
	for (size_t i = 0; i < *count; i++)
		(*texts)[i] = cfg_opt_getnstr(opt, (unsigned)i);
	return line;
}

/*
 * executable.c: what the kernel does with a program: an ELF file of this machine with its
 * loader, or a script whose #! line names an interpreter that is a program itself.
 *
 * Where other formats are registered (binfmt_misc) no unknown one is refused.
 */
#include "config/executable.h"

#include <elf.h>
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAIN_MAX 4 /* interpreters of interpreters that the kernel follows */

void executable_read(const char *path, struct executable_head *head)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	head->len = fd >= 0 ? pread(fd, head->text, EXECUTABLE_HEAD, 0) : -1;
	head->text[head->len > 0 ? head->len : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

static bool has_other_formats(void)
{
	DIR *dir = opendir("/proc/sys/fs/binfmt_misc");
	const struct dirent *e;
	bool found = false;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		found = found || (*e->d_name != '.' && strcmp(e->d_name, "status") != 0 &&
				  strcmp(e->d_name, "register") != 0);
	if (dir != NULL)
		closedir(dir);
	return found;
}

/* Whether it may be executed at all. */
static bool may_execute(const char *path, char *text, size_t size)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		snprintf(text, size, "is a directory");
	else if (access(path, X_OK) < 0)
		snprintf(text, size, "%s", strerror(errno));
	else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		snprintf(text, size, "is not a file");
	else
		return true;
	return false;
}

/* Whether the machine is the one that udsd was built for, or its 32-bit kind. */
static bool is_for_us(const char *head)
{
	struct executable_head own;
	Elf64_Ehdr theirs, ours;

	executable_read("/proc/self/exe", &own);
	memcpy(&theirs, head, sizeof(theirs));
	memcpy(&ours, own.text, sizeof(ours));
	return own.len < (long)sizeof(ours) || theirs.e_machine == ours.e_machine ||
	       (ours.e_machine == EM_X86_64 && theirs.e_machine == EM_386) ||
	       (ours.e_machine == EM_AARCH64 && theirs.e_machine == EM_ARM);
}

/* Whether the bytes could be read; else errno, 0: the file is too short. */
static bool read_at(int fd, void *to, size_t size, uint64_t at)
{
	ssize_t n;

	do {
		n = pread(fd, to, size, (off_t)at);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		errno = 0;
	return n == (ssize_t)size;
}

/* The loader that an ELF file of 64 bits names, into `loader`. False, and errno as
 * above. */
static bool find_loader(int fd, const Elf64_Ehdr *head, char loader[PATH_MAX])
{
	struct stat st;
	Elf64_Phdr part;

	*loader = '\0';
	for (unsigned i = 0; i < head->e_phnum; i++) {
		if (!read_at(fd, &part, sizeof(part), head->e_phoff + i * sizeof(part)))
			return false;
		if (part.p_type == PT_LOAD && fstat(fd, &st) == 0 &&
		    (off_t)(part.p_offset + part.p_filesz) > st.st_size)
			return false;
		if (part.p_type == PT_INTERP && part.p_filesz < PATH_MAX &&
		    !read_at(fd, loader, part.p_filesz, part.p_offset))
			return false;
	}
	errno = 0;
	return head->e_phnum > 0;
}

static void check_elf(const char *path, const struct executable_head *head, char *text,
		      size_t size)
{
	char loader[PATH_MAX] = "";
	Elf64_Ehdr elf;
	int fd;

	memcpy(&elf, head->text, sizeof(elf));
	if (head->len < (long)sizeof(elf)) {
		snprintf(text, size, "is cut short");
		return;
	}
	if (!is_for_us(head->text)) {
		if (!has_other_formats())
			snprintf(text, size, "is a program for another kind of machine");
		return;
	}
	if (elf.e_type != ET_EXEC && elf.e_type != ET_DYN) {
		snprintf(text, size, "is no program, but an object file");
		return;
	}
	fd = elf.e_ident[EI_CLASS] == ELFCLASS64 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0 && !find_loader(fd, &elf, loader))
		snprintf(text, size, "%s", errno == 0 ? "is cut short" : strerror(errno));
	else if (*loader != '\0' && access(loader, X_OK) < 0)
		snprintf(text, size, "needs %s, which cannot be executed: %s", loader,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* Whether env(1) would find the command that the rest of a #! line names. */
static bool is_found(const char *word, const char *search)
{
	char path[PATH_MAX], name[EXECUTABLE_HEAD + 1];

	while (*word == '-' ||
	       word[strcspn(word, "= \t")] == '=') { /* options, variables */
		word += strcspn(word, " \t");
		word += strspn(word, " \t");
	}
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, " \t"), word);
	if (*name == '\0' || strchr(name, '/') != NULL)
		return *name == '\0' || access(name, X_OK) == 0;
	for (size_t len; *search != '\0'; search += len + (search[len] == ':')) {
		len = strcspn(search, ":");
		snprintf(path, sizeof(path), "%.*s/%s", (int)len, search, name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* Cuts the #! line to the interpreter; returns what follows that. */
static char *cut_line(char *line, char **interpreter)
{
	char *end = line + strcspn(line, "\n"), *rest;

	*end = '\0';
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	*interpreter = line + 2 + strspn(line + 2, " \t");
	rest = *interpreter + strcspn(*interpreter, " \t");
	if (*rest != '\0')
		*rest++ = '\0';
	return rest + strspn(rest, " \t");
}

static bool check(const char *path, const struct executable_head *head, int depth,
		  const char *search, char *text, size_t size);

static bool check_script(const char *path, const struct executable_head *head, int depth,
			 const char *search, char *text, size_t size)
{
	char line[EXECUTABLE_HEAD + 1], why[300] = "", *interpreter, *rest;
	const char *base;
	struct executable_head next;

	memcpy(line, head->text, sizeof(line));
	rest = cut_line(line, &interpreter);
	base = strrchr(interpreter, '/');
	if (strchr(interpreter, '\r') != NULL || strchr(rest, '\r') != NULL)
		snprintf(text, size,
			 "is a script whose #! line ends with CR LF: take the CR out");
	else if (*interpreter == '\0')
		snprintf(text, size, "is a script whose #! line names no interpreter");
	else if (access(path, R_OK) < 0)
		snprintf(text, size, "is a script that cannot be read: %s",
			 strerror(errno));
	else if (depth >= CHAIN_MAX)
		snprintf(text, size, "is a script of too many interpreters");
	if (*text != '\0')
		return false;
	executable_read(interpreter, &next);
	if (!may_execute(interpreter, why, sizeof(why)) ||
	    (check(interpreter, &next, depth + 1, search, why, sizeof(why)),
	     *why != '\0')) {
		snprintf(text, size,
			 "is a script, and its interpreter %s cannot be executed: %s",
			 interpreter, why);
		return false;
	}
	if (base == NULL || strcmp(base, "/env") != 0 || is_found(rest, search))
		return false;
	snprintf(text, size, "is a script for %s, which env does not find in %s", rest,
		 search);
	return true;
}

/* What the first bytes say. Whether it is only a warning. */
static bool check(const char *path, const struct executable_head *head, int depth,
		  const char *search, char *text, size_t size)
{
	if (head->len >= 2 && memcmp(head->text, "#!", 2) == 0)
		return check_script(path, head, depth, search, text, size);
	if (head->len >= SELFMAG && memcmp(head->text, ELFMAG, SELFMAG) == 0)
		check_elf(path, head, text, size);
	else if (head->len == 0)
		snprintf(text, size, "is empty");
	else if (head->len > 0 && !has_other_formats())
		snprintf(text, size,
			 "is no program, and no script either: its first line is to "
			 "begin with #! and an interpreter, such as #!/bin/sh");
	return false;
}

bool executable_fault(const char *path, const struct executable_head *head,
		      const char *search, char *text, size_t size)
{
	*text = '\0';
	return may_execute(path, text, size) && check(path, head, 0, search, text, size);
}

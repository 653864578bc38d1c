/*
 * syntax.c: looks names up, and says what is wrong with one that may not stand where it
 * stands.
 */
#include "config/syntax.h"

#include "common/near.h"

#include <string.h>

const struct syntax *syntax_find(const struct syntax *syntax, const char *name)
{
	for (; syntax != NULL && syntax->name != NULL; syntax++)
		if (strcmp(syntax->name, name) == 0)
			return syntax;
	return NULL;
}

const char *syntax_hint(const struct syntax *syntax, const char *name, bool section)
{
	struct near near = {.word = name};

	for (; syntax->name != NULL; syntax++)
		if ((syntax->section != NULL) == section)
			near_try(&near, syntax->name);
	return near_hint(near.name);
}

struct statement *statement_find(const struct section *section, const char *option)
{
	for (struct statement *o = section->statements; o != NULL; o = o->next)
		if (strcmp(o->syntax->name, option) == 0)
			return o;
	return NULL;
}

const struct statement *section_find(const struct section *section, const char *option)
{
	return section != NULL ? statement_find(section, option) : NULL;
}

bool syntax_is_option(const struct syntax *syntax)
{
	return syntax != NULL && syntax->elsewhere == NULL && syntax->section == NULL;
}

bool syntax_allows(const struct section *in, const char *name, bool append, bool list,
		   struct place at, struct faults *faults)
{
	const struct syntax *syntax = syntax_find(in->syntax, name);

	if (syntax == NULL)
		fault_add(faults, at, "unknown option %s%s%s%s", name,
			  *in->name != '\0' ? " in " : "", in->name,
			  syntax_hint(in->syntax, name, false));
	else if (syntax->elsewhere != NULL)
		fault_add(faults, at, "%s %s", name, syntax->elsewhere);
	else if (list && !syntax->list)
		fault_add(faults, at,
			  "%s: one value is wanted, not a list: write it without braces",
			  name);
	else if (append && !syntax->adds)
		fault_add(faults, at, "%s: += adds to a list%s: write =", name,
			  syntax->list ? " of defaults, where this cannot stand" : "");
	else
		return true;
	return false;
}

/*
 * scan.c: walks a config's text before libconfuse parses it.
 *
 * libconfuse gives the values. It takes a file that ends inside a section for a whole one, lets a
 * repeated option win in silence, stops at the first unknown option, expands ${...} from the
 * environment, and keeps no lines. So all of that is found and reported here, and each section's
 * text is parsed on its own. A tokenizer with the rules of libconfuse's lexer, but stricter, and a
 * walker of statements:
 *     name = value        name = { value, ... }        name title { statements }
 * Invariant: a text that passes is one that libconfuse parses to its very end.
 */
#include "config/scan.h"

#include <string.h>

enum token {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_PUNCTUATION, /* one of { } = , */
	TOKEN_BAD,         /* reported */
};

struct scan {
	struct arena *arena;
	struct faults *faults;
	struct section *top, *last; /* of the sections that are known */
	char *next, *end;           /* of the text */
	struct place at;            /* where `next` is */
	enum token token;           /* the current one */
	char *start;                /* its text, */
	size_t len;                 /* without quotes */
	struct place token_at;
};

static const char environment_refused[] =
	"${ is refused: the environment does not change a config";

static void scan_bad(struct scan *s, struct place at, const char *what)
{
	if (s->token != TOKEN_BAD)
		fault_add(s->faults, at, "%s", what);
	s->token = TOKEN_BAD;
}

static bool scan_sees(const struct scan *s, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(s->end - s->next) >= len && memcmp(s->next, text, len) == 0;
}

/* Overwrites text that libconfuse is not to see, but keeps the lines. */
static void scan_blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

static void scan_block_comment(struct scan *s)
{
	struct place began = s->at;

	for (s->next += 2; s->next < s->end && !scan_sees(s, "*/"); s->next++)
		s->at.line += *s->next == '\n';
	if (s->next == s->end)
		scan_bad(s, began, "this comment does not end");
	else
		s->next += 2;
}

/* Skips white space and comments. These are overwritten: libconfuse takes none inside of lists. */
static void scan_skip(struct scan *s)
{
	while (s->next < s->end && s->token != TOKEN_BAD) {
		char *start = s->next;

		if (strchr(" \t\r\n", *s->next) != NULL)
			s->at.line += *s->next++ == '\n';
		else if (*s->next == '#' || scan_sees(s, "//"))
			s->next += strcspn(s->next, "\n");
		else if (scan_sees(s, "/*"))
			scan_block_comment(s);
		else
			break;
		scan_blank(start, s->next);
	}
}

/* Whether the escape at s->next stands for a byte 0, which would cut the string in silence. */
static bool scan_is_zero(const struct scan *s)
{
	const char *digits = s->next + 1;
	bool hex = *digits == 'x';
	size_t len, most = hex ? 2 : 3;

	digits += hex;
	len = strspn(digits, hex ? "0123456789abcdefABCDEF" : "01234567");
	return len > 0 && strspn(digits, "0") >= (len < most ? len : most);
}

static void scan_string(struct scan *s)
{
	char quote = *s->next++;

	s->token = TOKEN_STRING;
	s->start = s->next;
	while (s->next < s->end && *s->next != quote) {
		if (quote == '"' && scan_sees(s, "${"))
			scan_bad(s, s->at, environment_refused);
		if (quote == '"' && *s->next == '\\' && scan_is_zero(s))
			scan_bad(s, s->at, "a byte 0 in a string");
		if (*s->next == '\\' && s->next + 1 < s->end)
			s->next++;
		s->at.line += *s->next++ == '\n';
	}
	s->len = (size_t)(s->next - s->start);
	if (s->next == s->end)
		scan_bad(s, s->token_at, "this string does not end");
	else
		s->next++;
}

static void scan_word(struct scan *s)
{
	s->token = TOKEN_WORD;
	while (s->next < s->end && strchr(" #\"'\t\n\r={}()+,", *s->next) == NULL) {
		if (scan_sees(s, "${"))
			scan_bad(s, s->at, environment_refused);
		if (*s->next == '*' || scan_sees(s, "//"))
			scan_bad(s, s->at,
				 "* and // are taken for comments: quote this word");
		s->next++;
	}
	s->len = (size_t)(s->next - s->start);
	if (s->len == 0)
		scan_bad(s, s->at, "a character that has no meaning here");
}

static enum token scan_next(struct scan *s)
{
	scan_skip(s);
	if (s->token == TOKEN_BAD)
		return TOKEN_BAD;
	s->token_at = s->at;
	s->start = s->next;
	s->len = 1;
	if (s->next == s->end) {
		s->token = TOKEN_END;
	} else if (strchr("{}=,", *s->next) != NULL || scan_sees(s, "+=")) {
		s->token = TOKEN_PUNCTUATION;
		s->start += *s->next == '+'; /* the same as =, but may come again */
		s->next = s->start + 1;
	} else if (*s->next == '"' || *s->next == '\'') {
		scan_string(s);
	} else {
		scan_word(s);
	}
	return s->token;
}

static bool scan_is(const struct scan *s, char c)
{
	return s->token == TOKEN_PUNCTUATION && *s->start == c;
}

static bool scan_is_value(const struct scan *s)
{
	return s->token == TOKEN_WORD || s->token == TOKEN_STRING;
}

/* The rest of a list, up to its closing brace. */
static void scan_list(struct scan *s, const char *name)
{
	scan_next(s);
	if (scan_is(s, '}'))
		return;
	while (scan_is_value(s)) {
		scan_next(s);
		if (scan_is(s, '}'))
			return;
		if (!scan_is(s, ','))
			break;
		scan_next(s);
	}
	if (s->token != TOKEN_BAD)
		fault_add(s->faults, s->token_at,
			  "%s: the list does not end, or a comma is missing or out of "
			  "place",
			  name);
	s->token = TOKEN_BAD;
}

/* The value after `=`: one word or string, or a list of them in braces; whether it is a list. */
static bool scan_value(struct scan *s, const char *name)
{
	scan_next(s);
	if (scan_is(s, '{')) {
		scan_list(s, name);
		return true;
	}
	if (!scan_is_value(s))
		scan_bad(s, s->token_at, "a value is missing after =");
	return false;
}

static const struct syntax *syntax_find(const struct syntax *syntax, const char *name,
					bool section)
{
	for (; syntax->name != NULL; syntax++)
		if (strcmp(syntax->name, name) == 0 &&
		    (syntax->section != NULL) == section)
			return syntax;
	return NULL;
}

const struct statement *section_find(const struct section *section, const char *option)
{
	if (section == NULL)
		return NULL;
	for (const struct statement *o = section->statements; o != NULL; o = o->next)
		if (strcmp(o->syntax->name, option) == 0)
			return o;
	return NULL;
}

static void scan_already(struct scan *s, struct place at, const char *what,
			 const char *name, struct place before)
{
	fault_add(s->faults, at, "%s %s is there already, on line %u", what, name,
		  before.line);
}

/* Whether an option with a good form may stand here; if so it is noted. */
static bool scan_note(struct scan *s, struct section *in, const char *name,
		      struct place at, bool append, bool list)
{
	const struct syntax *syntax = syntax_find(in->syntax, name, false);
	const struct statement *before = section_find(in, name);
	struct statement *o;

	if (syntax == NULL)
		fault_add(s->faults, at, "unknown option %s%s%s", name,
			  *in->name != '\0' ? " in " : "", in->name);
	else if (list && !syntax->list)
		fault_add(s->faults, at, "%s: one value is wanted, not a list", name);
	else if (before != NULL && !append)
		scan_already(s, at, "option", name, before->at);
	else if (before != NULL)
		return true;
	else {
		o = arena_take(s->arena, sizeof(*o));
		*o = (struct statement){in->statements, syntax, at, 0, NULL};
		in->statements = o;
		return true;
	}
	return false;
}

static void scan_option(struct scan *s, struct section *in, const char *name, char *start,
			struct place at)
{
	bool append = s->start[-1] == '+';
	bool list = scan_value(s, name);

	if (s->token == TOKEN_BAD || in->syntax == NULL)
		return;
	if (!scan_note(s, in, name, at, append, list))
		scan_blank(start, s->next);
}

/* What a section's name and title are worth: whether it is noted. */
static bool scan_introduce(struct scan *s, struct section *section)
{
	const struct syntax *syntax = syntax_find(s->top->syntax, section->name, true);

	if (syntax == NULL) {
		fault_add(s->faults, section->at, "unknown section %s", section->name);
		return false;
	}
	section->syntax = syntax->section;
	if (syntax->titled != (*section->title != '\0'))
		fault_add(s->faults, section->at,
			  syntax->titled ? "%s: its name is missing"
					 : "%s: this section has no name",
			  section->name);
	for (struct section *before = s->top->next; before != NULL; before = before->next)
		if (strcmp(before->title, section->title) == 0 &&
		    strcmp(before->name, section->name) == 0) {
			scan_already(s, section->at, section->name, section->title,
				     before->at);
			return false;
		}
	return true;
}

static void scan_statements(struct scan *s, struct section *in);

/* A section from its title or opening brace on. */
static void scan_section(struct scan *s, const char *name, char *start, struct place at)
{
	struct section *section = arena_take(s->arena, sizeof(*section));
	bool noted;

	*section = (struct section){.name = name, .title = "", .at = at};
	if (scan_is_value(s)) {
		if (memchr(s->start, '\\', s->len) != NULL)
			scan_bad(s, s->token_at, "a name with a backslash");
		section->title = arena_copy(s->arena, s->start, s->len);
		scan_next(s);
	}
	if (!scan_is(s, '{')) {
		scan_bad(s, at, "= or { is missing after a name");
		return;
	}
	noted = scan_introduce(s, section);
	section->text = s->next;
	section->text_line = s->at.line;
	scan_statements(s, section);
	if (s->token == TOKEN_BAD)
		return;
	section->text =
		arena_copy(s->arena, section->text, (size_t)(s->start - section->text));
	scan_blank(start, s->next);
	if (noted)
		s->last = s->last->next = section;
}

/* Statements up to the closing brace of a section, or to the end of the text outside of any. */
static void scan_statements(struct scan *s, struct section *in)
{
	struct place began = s->token_at;
	bool top = in == s->top;

	while (scan_next(s) == TOKEN_WORD) {
		char *start = s->start;
		const char *name = arena_copy(s->arena, start, s->len);
		struct place at = s->token_at;

		scan_next(s);
		if (scan_is(s, '=')) {
			scan_option(s, in, name, start, at);
		} else if (top) {
			scan_section(s, name, start, at);
		} else if (s->token != TOKEN_BAD) {
			fault_add(s->faults, at, "= is missing after %s", name);
			s->token = TOKEN_BAD;
		}
	}
	if (s->token == TOKEN_END && !top)
		scan_bad(s, began, "this section does not end");
	else if (s->token != TOKEN_END && (top || !scan_is(s, '}')))
		scan_bad(s, s->token_at, "a name is missing here");
}

struct section *scan_text(struct arena *arena, const char *file, char *text, size_t len,
			  const struct syntax *syntax, struct faults *faults)
{
	struct section *top = arena_take(arena, sizeof(*top));
	struct scan s = {.arena = arena,
			 .faults = faults,
			 .top = top,
			 .last = top,
			 .next = text,
			 .end = text + len,
			 .at = {file, 1}};

	*top = (struct section){.name = "",
				.title = "",
				.at = {file, 0},
				.syntax = syntax,
				.text = text,
				.text_line = 1};
	if (memchr(text, '\0', len) != NULL) {
		fault_add(faults, s.at, "not a text: it has a byte 0");
		return NULL;
	}
	scan_statements(&s, top);
	return s.token == TOKEN_BAD ? NULL : top;
}

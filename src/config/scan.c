/*
 * scan.c: walks a config's text before libconfuse parses it.
 *
 * libconfuse gives the values. It takes a file that ends inside a section for a whole
 * one, lets a repeated option win in silence, stops at the first fault, expands ${...}
 * from the environment, and keeps no lines. So all of that is found and reported here,
 * statement by statement:
 *     name = value        name = { value, ... }        name title { statements }
 * After a fault the walk goes on with the next statement. An opening quote, brace or
 * comment without its end is reported where it stands. Invariant: what is left of the
 * text is what libconfuse parses whole.
 */
#include "config/scan.h"

#include "config/scan_state.h"

#include <string.h>

/* ---- Options
 * --------------------------------------------------------------------------- */

static void scan_already(struct scan *s, struct place at, const char *what,
			 const char *name, struct place before)
{
	fault_add(s->t.faults, at, "%s %s is there already, on line %u", what, name,
		  before.line);
}

/* Notes an option, which is at `at` and may be flawed; whether it has a value to be
 * parsed. */
static bool scan_note(struct scan *s, struct section *in, const char *name,
		      struct place at, bool append, bool list)
{
	const struct syntax *syntax = syntax_find(in->syntax, name);
	struct statement *before = statement_find(in, name);
	bool flawed = s->t.flawed;
	bool good = syntax_allows(in, name, append && !flawed, list && !flawed, at,
				  s->t.faults);

	if (good && before != NULL && !append) {
		scan_already(s, at, "option", name, before->at);
		return false;
	}
	good = good && !flawed;
	if (before != NULL) {
		before->bad = before->bad || !good;
	} else if (syntax_is_option(syntax)) {
		before = arena_take(s->arena, sizeof(*before));
		*before = (struct statement){.next = in->statements,
					     .syntax = syntax,
					     .at = at,
					     .append = append,
					     .bad = !good};
		in->statements = before;
	}
	return good;
}

static void scan_option(struct scan *s, struct section *in, const char *name, char *start,
			struct place at)
{
	bool append = s->t.start[-1] == '+';
	bool list;

	s->t.option = name;
	list = scan_value(s, name);
	s->t.option = NULL;
	if (in->syntax == NULL || !scan_note(s, in, name, at, append, list))
		token_blank(start, s->t.next);
}

/* ---- Sections
 * -------------------------------------------------------------------------- */

/* What a section's name and title are worth: whether it is noted. */
static bool scan_introduce(struct scan *s, struct section *section,
			   const struct section *in)
{
	const struct syntax *syntax = syntax_find(in->syntax, section->name);

	if (syntax != NULL && syntax->elsewhere != NULL) {
		fault_add(s->t.faults, section->at, "%s %s", section->name,
			  syntax->elsewhere);
		return false;
	}
	if (syntax != NULL && syntax->section == NULL) {
		fault_add(s->t.faults, section->at, "%s is an option: %s = VALUE",
			  section->name, section->name);
		return false;
	}
	if (syntax == NULL && syntax_find(s->top->syntax, section->name) != NULL) {
		fault_add(s->t.faults, section->at, "%s cannot stand in another section",
			  section->name);
		return false;
	}
	if (syntax == NULL) {
		fault_add(s->t.faults, section->at, "unknown section %s%s", section->name,
			  syntax_hint(in->syntax, section->name, true));
		return false;
	}
	section->syntax = syntax->section;
	if (syntax->titled != (*section->title != '\0'))
		fault_add(s->t.faults, section->at,
			  syntax->titled ? "%s: its name is missing"
					 : "%s: this section has no name",
			  section->name);
	for (struct section *before = s->top->next; before != NULL; before = before->next)
		if (strcmp(before->title, section->title) == 0 &&
		    strcmp(before->name, section->name) == 0) {
			scan_already(s, section->at,
				     *section->title != '\0' ? section->name : "section",
				     *section->title != '\0' ? section->title
							     : section->name,
				     before->at);
			return false;
		}
	return true;
}

static char *scan_statements(struct scan *s, struct section *in);

/* The title and the opening brace of a section; the token behind its name is the current
 * one. False: there is none. */
static bool scan_heading(struct scan *s, struct section *section, bool known)
{
	unsigned line = section->at.line;

	if (token_is_value(&s->t) && !(token_is_name(&s->t) && s->t.place.line > line)) {
		if (memchr(s->t.start, '\\', s->t.len) != NULL)
			scan_fault(s, s->t.place, "a name with a backslash");
		section->title = scan_text_of(s);
		token_next(&s->t);
	}
	for (; known && token_is_value(&s->t) && s->t.place.line == line;
	     token_next(&s->t))
		scan_fault(s, section->at, "the name of a %s is one word", section->name);
	if (token_is(&s->t, '{'))
		return true;
	if (!known || !token_is_name(&s->t) || s->t.place.line == line)
		return false;
	scan_fault(s, section->at, "%s %s: { is missing", section->name, section->title);
	token_unread(&s->t); /* as if it were there */
	return true;
}

/* Neither = nor a section's brace follows a name. */
static void scan_no_heading(struct scan *s, struct section *in, const char *name,
			    struct place at)
{
	const struct syntax *syntax = syntax_find(in->syntax, name);

	if (syntax != NULL && syntax->section != NULL)
		scan_fault(s, at, "%s: { is missing", name);
	else if (syntax != NULL || in != s->top)
		scan_fault(s, at, "= is missing after %s", name);
	else
		scan_fault(s, at, "= or { is missing after %s%s", name,
			   syntax_hint(in->syntax, name, true));
	if (syntax_is_option(syntax))
		(void)scan_note(s, in, name, at, true, true);
	token_recover(&s->t, 0);
}

/* The text of a section within an unknown one. */
static char *scan_ignore(struct scan *s)
{
	token_recover(&s->t, 1);
	return s->t.next;
}

static size_t scan_column(const struct scan *s, const char *at)
{
	size_t column = 0;

	while (at > s->top->text && at[-1] != '\n' && column < 80) {
		at--;
		column++;
	}
	return column;
}

/* A section whose name is the token before the current one, and was at `mark`. */
static void scan_section(struct scan *s, struct section *in, struct tokens mark)
{
	struct section *section = arena_take(s->arena, sizeof(*section));
	const struct syntax *syntax;
	bool noted;
	char *end;

	*section = (struct section){.name = arena_copy(s->arena, mark.start, mark.len),
				    .title = "",
				    .at = mark.place};
	syntax = syntax_find(in->syntax, section->name);
	if (!scan_heading(s, section, syntax != NULL && syntax->section != NULL)) {
		mark.flawed = s->t.flawed;
		s->t = mark;
		scan_no_heading(s, in, section->name, section->at);
	} else {
		noted = in->syntax != NULL && scan_introduce(s, section, in);
		section->text = s->t.next;
		section->text_line = s->t.at.line;
		s->option = NULL;
		s->column = scan_column(s, mark.start);
		end = in->syntax != NULL ? scan_statements(s, section)
					 : scan_ignore(s); /* too deep for any */
		section->text = arena_copy(s->arena, section->text,
					   (size_t)(end - section->text));
		if (noted)
			s->last = s->last->next = section;
	}
	s->option = NULL;
	token_blank(mark.start, s->t.next);
}

/* Whether the name before the current token begins the next section, and so `in` has no
 * end: it is not indented further. */
static bool scan_is_next_section(const struct scan *s, const struct section *in,
				 const char *name, const char *start)
{
	const struct syntax *syntax = syntax_find(s->top->syntax, name);
	struct faults none = {0};
	struct tokens look = s->t;
	bool is;

	if (in == s->top || syntax == NULL || syntax->section == NULL ||
	    scan_column(s, start) > s->column)
		return false;
	look.faults = &none;
	if (token_is_value(&look))
		token_next(&look);
	is = token_is(&look, '{');
	faults_free(&none);
	return is;
}

/* What is no name stands where one should. */
static void scan_stray(struct scan *s, const struct section *in)
{
	struct tokens *t = &s->t;
	char *start = t->start - (t->token == TOKEN_STRING);

	if (token_is(t, '}') && in == s->top) {
		if (s->unclosed == 0)
			scan_fault(s, t->place, "} without a section that it could end");
		s->unclosed -= s->unclosed > 0;
	} else if (s->option != NULL && s->value_line == t->place.line &&
		   token_is(t, ',')) {
		scan_fault(s, t->place,
			   "%s: a list stands in braces: %s = { \"a\", \"b\" }",
			   s->option, s->option);
		token_recover(t, 0);
	} else if (s->option != NULL && s->value_line == t->place.line) {
		scan_fault(s, t->place,
			   "%s: something follows the value: quote a value with spaces, "
			   "and begin a new line for another option",
			   s->option);
		token_recover(t, 0);
	} else {
		scan_fault(s, t->place, "a name is missing here");
		token_recover(t, token_is(t, '{'));
	}
	token_blank(start, t->next);
}

/* A statement from its name on, which is the current token. False: it is the next
 * section. */
static bool scan_statement(struct scan *s, struct section *in)
{
	struct tokens mark = s->t;
	const char *name = scan_text_of(s);
	const struct syntax *syntax;

	if (s->t.flawed) {
		if (*mark.start != ';') /* which may follow a value */
			token_recover(&s->t, 0);
		token_blank(mark.start, s->t.next);
		return true;
	}
	token_next(&s->t);
	syntax = syntax_find(in->syntax, name);
	if (token_is(&s->t, '=') && syntax != NULL && syntax->section != NULL &&
	    syntax->elsewhere == NULL) {
		scan_fault(s, mark.place,
			   "%s is a section: write %s%s { ... }, without =", name, name,
			   syntax->titled ? " NAME" : "");
		token_next(&s->t);
	}
	if (token_is(&s->t, '=')) {
		scan_option(s, in, name, mark.start, mark.place);
	} else if (scan_is_next_section(s, in, name, mark.start)) {
		return false;
	} else if (s->option != NULL && s->value_line == mark.place.line &&
		   !token_is(&s->t, '{') && (syntax == NULL || syntax->section == NULL)) {
		s->t = mark;
		scan_stray(s, in);
	} else {
		scan_section(s, in, mark);
	}
	return true;
}

/* A section has no end. */
static void scan_unclosed(struct scan *s, struct section *in, struct place began)
{
	if (!s->t.in_comment)
		fault_add(s->t.faults, began,
			  "this section does not end: its } is missing");
	in->bad = true;
	s->unclosed++;
}

/* Statements up to the closing brace of a section, or to the end of the text outside of
 * any. Returns their end. */
static char *scan_statements(struct scan *s, struct section *in)
{
	struct place began = s->t.place;
	bool top = in == s->top;

	for (;;) {
		struct tokens mark;

		s->t.flawed = false;
		mark = s->t;
		token_next(&s->t);
		if (token_is(&s->t, '}') && !top)
			return s->t.start;
		if (s->t.token == TOKEN_END) {
			if (!top)
				scan_unclosed(s, in, began);
			return s->t.next;
		}
		if (s->t.token != TOKEN_WORD) {
			scan_stray(s, in);
		} else if (!scan_statement(s, in)) {
			scan_unclosed(s, in, began);
			s->t = mark;
			return s->t.next;
		}
	}
}

struct section *scan_text(struct arena *arena, const char *file, char *text, size_t len,
			  const struct syntax *syntax, struct faults *faults)
{
	struct section *top = arena_take(arena, sizeof(*top));
	struct scan s = {.arena = arena,
			 .top = top,
			 .last = top,
			 .t = {.faults = faults,
			       .next = text,
			       .end = text + len,
			       .at = {file, 1}}};

	*top = (struct section){.name = "",
				.title = "",
				.at = {file, 0},
				.syntax = syntax,
				.text = text,
				.text_line = 1};
	if (memchr(text, '\0', len) != NULL) {
		fault_add(faults, s.t.at, "not a text: it has a byte 0");
		return NULL;
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
		token_blank(text, text + 3);
	(void)scan_statements(&s, top);
	return top;
}

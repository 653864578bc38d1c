/*
 * token.c: a tokenizer with the rules of libconfuse's lexer, but stricter.
 *
 * libconfuse drops the backslash of an escape that it does not know, takes # and * inside
 * of a word for a comment's beginning, and a string for one that ends at whatever quote
 * comes next. Each of these would be silently another value than the one that is meant,
 * so it is refused.
 */
#include "config/token.h"

#include <stdio.h>
#include <string.h>

#define SPACE " \t\r\n"

static void flaw(struct tokens *t, struct place at, const char *what)
{
	fault_add(t->faults, at, "%s%s%s", t->option != NULL ? t->option : "",
		  t->option != NULL ? ": " : "", what);
	t->flawed = true;
}

static bool sees(const struct tokens *t, const char *at, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(t->end - at) >= len && memcmp(at, text, len) == 0;
}

void token_blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

static void skip_to(struct tokens *t, const char *to)
{
	while (t->next < to)
		t->at.line += *t->next++ == '\n';
}

static void skip_block_comment(struct tokens *t)
{
	char *end = memmem(t->next + 2, (size_t)(t->end - t->next - 2), "*/", 2);

	t->in_comment = end == NULL;
	if (end == NULL)
		flaw(t, t->at, "this comment does not end: its */ is missing");
	skip_to(t, end != NULL ? end + 2 : t->end);
}

/* Skips white space and comments. These are overwritten: libconfuse takes none inside of
 * lists. */
static void skip(struct tokens *t)
{
	while (t->next < t->end) {
		char *start = t->next;

		if (strchr(SPACE, *t->next) != NULL)
			skip_to(t, t->next + 1);
		else if (*t->next == '#' || sees(t, t->next, "//"))
			t->next += strcspn(t->next, "\n");
		else if (sees(t, t->next, "/*"))
			skip_block_comment(t);
		else
			break;
		token_blank(start, t->next);
	}
}

/* The closing quote of the string whose text begins at `s`; NULL: there is none. */
static char *find_quote(const struct tokens *t, char *s, char quote)
{
	for (; s < t->end && *s != quote; s++)
		if (*s == '\\' && s + 1 < t->end)
			s++;
	return s < t->end ? s : NULL;
}

/* Whether a string that goes on over lines may well end at `quote`: nothing stands close
 * behind it. Else that quote begins another string, and one is missing before. */
static bool ends_well(const struct tokens *t, const char *quote)
{
	const char *behind = quote + 1;

	return behind == t->end || strchr(SPACE ",};#", *behind) != NULL ||
	       sees(t, behind, "//") || sees(t, behind, "/*");
}

static const char environment_refused[] =
	"${ is refused: the environment does not change a config; in single quotes it is "
	"literal";

#define ESCAPE_REFUSED                                                                   \
 "\\%c is no escape in double quotes (\\r \\n \\t \\\" \\\\ are): write \\\\%c, or use " \
 "single quotes, where it is literal"

static void check_escapes(struct tokens *t)
{
	struct place at = t->place;
	char what[200];

	for (const char *s = t->start; s < t->start + t->len; s++) {
		if (sees(t, s, "${"))
			flaw(t, at, environment_refused);
		if (*s == '\\' && s[1] == '\n')
			flaw(t, at,
			     "a backslash at the end of a line: strings may just go on "
			     "over lines");
		else if (*s == '\\' && strchr("rnt\"\\", s[1]) == NULL) {
			snprintf(what, sizeof(what), ESCAPE_REFUSED, s[1], s[1]);
			flaw(t, at, what);
		}
		s += *s == '\\';
		at.line += *s == '\n';
	}
}

static void read_string(struct tokens *t)
{
	char quote = *t->next++, *end = find_quote(t, t->next, quote);
	char *line_end = t->next + strcspn(t->next, "\n");

	t->token = TOKEN_STRING;
	t->start = t->next;
	if (end == NULL || (line_end < end && !ends_well(t, end))) {
		flaw(t, t->place,
		     "this string does not end: its closing quote is missing");
		t->len = (size_t)(line_end - t->start);
		t->next = line_end;
		return;
	}
	t->len = (size_t)(end - t->start);
	if (quote == '"')
		check_escapes(t);
	skip_to(t, end + 1);
}

/* What is wrong with a word at `s`; NULL: nothing. */
static const char *word_fault(const struct tokens *t, const char *s)
{
	const unsigned char *c = (const unsigned char *)s;

	if (*s == ';')
		return "no ; ends anything: remove it, or quote it if it belongs to the "
		       "value";
	if (*s == '#')
		return "# inside of a word: quote the word, or put a space before a "
		       "comment";
	if (*s == '*' || sees(t, s, "//"))
		return "* and // are taken for comments: quote this word";
	if (strchr("+()", *s) != NULL)
		return "+ ( and ) have no meaning in a word: quote it";
	if (*s == '"' || *s == '\'')
		return "a quote inside of a word: quote all of it";
	if (sees(t, s, "${"))
		return environment_refused;
	if (sees(t, s, "\xe2\x80\x9c") || sees(t, s, "\xe2\x80\x9d") ||
	    sees(t, s, "\xe2\x80\x98") || sees(t, s, "\xe2\x80\x99"))
		return "typographic quotes: use \" or '";
	return *c < 0x20 || *c == 0x7f ? "a control character in a word" : NULL;
}

static void read_word(struct tokens *t)
{
	const char *fault = NULL;
	size_t comment = 0;
	char what[300];

	t->token = TOKEN_WORD;
	while (t->next < t->end && strchr(SPACE "={},", *t->next) == NULL &&
	       !sees(t, t->next, "+=")) {
		const char *close = NULL;

		if (fault == NULL)
			fault = word_fault(t, t->next);
		if (*t->next == '"' || *t->next == '\'')
			close = memchr(t->next + 1, *t->next, strcspn(t->next, "\n") - 1);
		if (sees(t, t->next, "${"))
			close = memchr(t->next, '}', strcspn(t->next, "\n"));
		if (*t->next == '#')
			t->next += comment = strcspn(t->next, "\n");
		else
			t->next += close != NULL ? close - t->next + 1 : 1;
	}
	t->len = (size_t)(t->next - t->start) - comment;
	if (fault == NULL)
		fault = fault_invisible(t->start, t->len)
				? "a character that cannot be seen, in or around this "
				  "word: type it anew"
				: NULL;
	if (fault != NULL) {
		snprintf(what, sizeof(what), "%.*s: %s",
			 (int)(t->len < 100 ? t->len : 100), t->start, fault);
		flaw(t, t->place, what);
	}
}

enum token token_next(struct tokens *t)
{
	skip(t);
	t->place = t->at;
	t->start = t->next;
	t->len = 1;
	if (t->next == t->end) {
		t->token = TOKEN_END;
	} else if (strchr("{}=,", *t->next) != NULL || sees(t, t->next, "+=")) {
		t->token = TOKEN_PUNCTUATION;
		t->start += *t->next == '+'; /* the same as =, but may come again */
		t->next = t->start + 1;
	} else if (*t->next == '"' || *t->next == '\'') {
		read_string(t);
	} else {
		read_word(t);
	}
	return t->token;
}

bool token_is(const struct tokens *t, char c)
{
	return t->token == TOKEN_PUNCTUATION && *t->start == c;
}

bool token_is_value(const struct tokens *t)
{
	return t->token == TOKEN_WORD || t->token == TOKEN_STRING;
}

bool token_is_name(const struct tokens *t)
{
	const char *behind = t->next + strspn(t->next, " \t");

	return t->token == TOKEN_WORD && (sees(t, behind, "=") || sees(t, behind, "+="));
}

void token_unread(struct tokens *t)
{
	t->next = t->start - (t->token == TOKEN_STRING);
	t->at = t->place;
}

/* Whether a line begins with a name, and = or an opening brace follows in it. */
static bool begins_statement(const char *line)
{
	const char *name = line + strspn(line, " \t");
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz-");
	const char *more = name + len + strspn(name + len, " \t");

	if (len == 0)
		return false;
	if (*more == '=' || *more == '{' || strncmp(more, "+=", 2) == 0)
		return true;
	return more > name + len && more[strcspn(more, "{,=\n")] == '{';
}

void token_recover(struct tokens *t, unsigned braces)
{
	const bool inside = braces > 0;

	for (; t->next < t->end; skip_to(t, t->next + 1)) {
		const char *line_end = t->next + strcspn(t->next, "\n"), *close = NULL;

		if (t->next == line_end &&
		    (braces == 0 || begins_statement(line_end + 1)))
			return;
		if (*t->next == '}' && braces == 0)
			return;
		braces = braces + (*t->next == '{') - (*t->next == '}');
		if (*t->next == '}' && inside && braces == 0) {
			t->next++;
			return;
		}
		if (*t->next == '"' || *t->next == '\'')
			close = memchr(t->next + 1, *t->next,
				       (size_t)(line_end - t->next) - 1);
		else if (*t->next == '#')
			close = line_end - 1;
		if (close != NULL)
			t->next += close - t->next;
	}
}

/*
 * test_scan.c: the walk over a config's text: what is refused, where, and what is noted.
 */
#include "config/scan.h"

#include "lib/cases.h"
#include "lib/expected_faults.h"

#include <stdlib.h>

/* Sections `one` and `many`, each with `a`, `b` and `list`; so has the top, and `t`. */
static const struct syntax inner[] = {
	{.name = "a"},
	{.name = "b"},
	{.name = "list", .list = true, .adds = true},
	{0},
};
static const struct syntax syntax[] = {
	{.name = "a"},
	{.name = "b"},
	{.name = "t"},
	{.name = "list", .list = true, .adds = true},
	{.name = "one", .section = inner},
	{.name = "many", .titled = true, .section = inner},
	{0},
};

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	return arena_open(&arena);
}

/* Scans a copy of the first `len` bytes, which is the text of what is returned. */
static struct section *scan_copy(const char *text, size_t len, struct faults *faults)
{
	struct section *top;

	*faults = (struct faults){0};
	top = scan_text(&arena, "f", arena_copy(&arena, text, len), len, syntax, faults);
	faults_finish(faults);
	return top;
}

static const struct {
	const char *text, *faults;
} forms[] = {
	{"", ""},
	{" \t\r\n\n", ""},
	{"# comment", ""},
	{"# comment\n// another\n/* and\n * one */ a = b", ""},
	{"/***/ /* ** / */ a=b", ""},
	{"a=b#c\nb=\"//\"", "1 b: # inside of a word"},
	{"a = b a2 = c", "1 unknown option a2"},
	{"a=word b='it''", "1 string does not end"},
	{"a = 'it\\'s' b = \"say \\\"\\\\\"", ""},
	{"a = 'two\nlines' b = \"two\nlines\" t = 1 t = 2",
	 "3 t is there already, on line 3"},
	{"list = {} a = 1", ""},
	{"list = { a }", ""},
	{"list = {\n a, # c\n 'b',\n\"c\" /* d */ }", ""},
	{"list = { a, }", "1 list"},
	{"list = { , a }", "1 list"},
	{"list = { a b }", "1 comma"},
	{"list = { a = b }", "1 = in a list"},
	{"list = { { a } }", "1 list"},
	{"list = { a\n", "1 list does not end"},
	{"list = { 'a\n", "1 string does not end"},
	{"list = { \"${A}\" }", "1 ${ is refused"},
	{"list = {\n\n", "1 list does not end"},
	{"list = { a,\n", "1 list does not end"},
	{"\nlist = {\n a,\n\nb = 1", "2 list does not end"},
	{"one {\nlist = { a\nb = 1\n}\na = 1", "2 list does not end"},
	{"many x {\na = 1\nmany y {\na = 2 }", "1 section does not end"},
	{"many x\na = 1\n}\na = 2", "1 { is missing"},
	{"a = \"x\nb = \"y\"\nt = = 1", "1 string does not end\n3 value is missing"},
	{"a = 1;\nb = \"c\";\nt = 1;2", "1 no ; ends\n2 no ; ends\n3 1;2: no ; ends"},
	{"a += 1\none { b += 1 }", "1 += adds to a list\n2 += adds"},
	{"\xef\xbb\xbf"
	 "a = 1",
	 ""},
	{"a = \xef\xbb\xbf"
	 "1",
	 "1 cannot be seen"},
	{"a = \xe2\x80\x9cx\xe2\x80\x9d", "1 typographic"},
	{"a = x\x01", "1 control character"},
	{"a = b'c d'", "1 b'c d': a quote inside"},
	{"a = b c\nt = 1", "1 something follows the value"},
	{"t\na = 1 a = 2\nl = 1", "1 missing after t\n2 already\n3 unknown option l"},
	{"a = 1 one { b = 1 } many x { a = 1 }", ""},
	{"one = {\na = 1 }", "1 one is a section"},
	{"b { c { d { e { f { } } } } }", "1 b is an option"},
	{"list = { a } list = { b }", "1 list is there already"},
	{"list = { a }\nlist += { b }\nlist += { c }", ""},
	{"list + = { a }", "1 "},
	{"one { a = 1 }", ""},
	{"many x { a = 1 b = 2 } many 'y' { a = 1 } many \"z\" {}", ""},
	{"many x { a = 1 } many x { a = 2 }", "1 many x is there already, on line 1"},
	{"one {} one {}", "1 one"},
	{"many {\n}", "1 many: its name is missing"},
	{"one x {}", "1 one: this section has no name"},
	{"a = { 1 }", "1 a: one value is wanted"},
	{"a {}", "1 a is an option"},
	{"one { a = 1 }\na = 2\none2 { a = 3 }", "3 unknown section one2"},
	{"many x {\n\tt = 1\n}", "2 unknown option t in many"},
	{"many x {\na = 1\n\na = 2\n}", "4 a is there already, on line 2"},
	{"many x {\na = 1\n", "1 section does not end"},
	{"\nmany x\n{", "3 section does not end"},
	{"many x {\na = 1 /* }", "2 comment does not end"},
	{"a = 1\n/* } */ /*\n*", "2 comment does not end"},
	{"/*/", "1 comment does not end"},
	{"a = '\n\n", "1 string does not end"},
	{"a = \"\\\"", "1 string does not end"},
	{"a = \"\\", "1 string does not end"},
	{"a", "1 missing"},
	{"\na\n\n", "2 missing"},
	{"a =", "1 value is missing"},
	{"a = \n= b", "1 value is missing"},
	{"a = }", "1 value is missing\n1 } without"},
	{"many x", "1 missing"},
	{"many x y {}", "1 is one word"},
	{"many = x {}", "1 many is a section"},
	{"many x {\na\n}", "2 missing"},
	{"many x { many y { } }", "1 cannot stand in another"},
	{"}", "1 } without"},
	{"a = 1 }", "1 } without"},
	{"one { } }", "1 } without"},
	{"one { { } }", "1 name is missing"},
	{"{ a = 1 }", "1 name is missing"},
	{"'a' = 1", "1 name is missing"},
	{"a = 1, b = 2", "1 a: a list stands in braces"},
	{"a = f(x)", "1 no meaning"},
	{"a + b", "1 no meaning"},
	{"a = ${HOME}", "1 ${ is refused"},
	{"a = b${HOME}", "1 ${ is refused"},
	{"\na = \"x\n${HOME}\"", "3 ${ is refused"},
	{"a = \"${\"", "1 ${ is refused"},
	{"a = '${HOME}' b = \"\\\\\" t = \"$HOME $ {\"", ""},
	{"a = \"x\\0y\"", "1 is no escape"},
	{"a = \"\\x00\"", "1 is no escape"},
	{"a = \"\\000\"", "1 is no escape"},
	{"a = \"\\001 \\x01 \\\\0\" b = '\\0'", "1 \\0 is no escape\n1 \\x is no escape"},
	{"a = \"\\d\" b = '\\d'\nt = \"\n\\b\"",
	 "1 \\d is no escape\n3 \\b is no escape"},
	{"# ${HOME}\n/* ${HOME} */ // ${HOME}", ""},
	{"a = x/*y*/", "1 quote this word"},
	{"a = x//y", "1 quote this word"},
	{"a = /dev/*", "1 quote this word"},
	{"a = /dev/null b = 'x//y' t = \"/*\"", ""},
	{"zz = 1\nyy { xx = 2\n}\nmany x { ww = 3 }\na = 1\na = 2",
	 "1 option zz\n2 section yy\n4 option ww in many\n6 a is there already"},
};

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct faults faults;
		bool whole =
			scan_copy(forms[i].text, strlen(forms[i].text), &faults) != NULL;

		check(whole, "%s: %s", forms[i].text, shown(faults.text));
		check(same_faults(faults.text, "f", forms[i].faults), "%s: %s",
		      forms[i].text, shown(faults.text));
		faults_free(&faults);
	}
}

/* What libconfuse gets to see, section by section: unknown statements are gone, lines are where they
 * were. */
static void test_blanks(void **state)
{
	static const struct {
		const char *text, *left; /* but for spaces */
	} rows[] = {
		{"a = 1", "a=1"},
		{"zz = 1", ""},
		{"zz = 'x\ny' a = 1", "\na=1"},
		{"a = 1\nzz = {\n1,\n2 }\nb = 2", "a=1\n\n\n\nb=2"},
		{"a = { 1,\n2 } b = 2", "\nb=2"},
		{"zz { a = 1\n} a = 2", "\na=2"},
		{"many x { zz = 1\na = 2\n}", "\n\n|\na=2\n"},
		{"many x { a = 1 }\nmany x { a =\n2 }\nmany y { a = 3 }",
		 "\n\n\n|a=1|a=3"},
		{"a = 1\na = 2", "a=1\n"},
		{"one { a = 1 } zz = 2 a = 3", "a=3|a=1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char left[100] = "";
		size_t to = 0;
		struct faults faults;
		struct section *top =
			scan_copy(rows[i].text, strlen(rows[i].text), &faults);

		assert_non_null(top);
		assert_int_equal(strlen(top->text), strlen(rows[i].text));
		for (struct section *s = top; s != NULL; s = s->next) {
			if (s != top)
				left[to++] = '|';
			for (const char *c = s->text; *c != '\0'; c++)
				if (*c != ' ')
					left[to++] = *c;
		}
		check(same(left, rows[i].left), "%s: %s", rows[i].text, left);
		faults_free(&faults);
	}
}

/* A text in pieces; it may end before and after each, and inside of those that are `open`. */
static const struct {
	const char *text;
	bool open;
} pieces[] = {
	{"# a line's comment { \" /*\n", true},
	{"// another ' {\n", true},
	{"t = \"quoted \\\" # { \\\\\"", false},
	{"\n\t \r\n", true},
	{"/* a block { ' \n * // ** */", false},
	{"a = 'single \\' \" } /* '", false},
	{"\n", true},
	{"list = { \"a\", # } \n 'b' /* } */, c\n}", false},
	{" # }\n", true},
	{"one { a = \"}\" }", false},
	{"many first {\n\ta = \"x\\\\\" # }\n\tlist = {}\n\t/* } */ b = 'y' // }\n}",
	 false},
	{"\n\n", true},
	{"many \"second\" { list = { '}' } }", false},
	{"many third{a=b}", false},
};

/* No prefix that is cut inside of a section, list, string or comment passes. */
static void test_prefixes(void **state)
{
	char text[1000] = "";
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++)
		strcat(text, pieces[i].text);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		for (size_t k = 0; k < strlen(pieces[i].text); k++, len++) {
			bool whole = k == 0 || pieces[i].open;
			struct faults faults;
			bool good;

			assert_non_null(scan_copy(text, len, &faults));
			good = faults.errors == 0;
			/* a comment's first slash is a word as yet */
			whole = whole && !(k == 1 && pieces[i].text[0] == '/');
			check(good == whole, "%.*s: %d", (int)len, text, good);
			faults_free(&faults);
		}
	}
}

static void test_byte_0(void **state)
{
	static const char text[] = "a = 1\n# \0\n";
	struct faults faults;

	(void)state;
	assert_null(scan_copy(text, sizeof(text) - 1, &faults));
	assert_true(same_faults(faults.text, "f", "1 byte 0"));
	faults_free(&faults);
}

/* A byte that stands alone: blank, or the beginning of something that is not whole. */
static void test_every_byte(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char text[] = {'a', '=', '1', ' ', (char)c};
		bool whole = strchr(" \t\r\n#", c) != NULL;
		struct faults faults;

		assert_non_null(scan_copy(text, sizeof(text), &faults));
		check(faults.errors == !whole, "byte %02x: %s", (unsigned)c,
		      shown(faults.text));
		faults_free(&faults);
	}
}

static void test_places(void **state)
{
	static const char text[] =
		"a = 1\n\none {\n a = 1\n}\nlist = 1\nmany x {\n list = 1\n"
		" b = 2\n}\nmany y { }\nt = 1\nb = 1\n";
	static const struct {
		const char *section, *title;
		unsigned begins;
		const char *option;
		unsigned line; /* 0: not there */
	} rows[] = {
		{"", "", 0, "a", 1},         {"", "", 0, "list", 6},
		{"", "", 0, "t", 12},        {"", "", 0, "b", 13},
		{"", "", 0, "c", 0},         {"one", "", 3, "a", 4},
		{"one", "", 3, "b", 0},      {"one", "", 3, "list", 0},
		{"many", "x", 7, "list", 8}, {"many", "x", 7, "b", 9},
		{"many", "x", 7, "a", 0},    {"many", "y", 11, "b", 0},
		{"many", "y", 11, "t", 0},   {"many", "y", 11, "list", 0},
	};
	struct faults faults;
	struct section *top = scan_copy(text, sizeof(text) - 1, &faults);

	(void)state;
	assert_non_null(top);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct section *s = top;
		const struct statement *o;
		unsigned line;

		while (strcmp(s->name, rows[i].section) != 0 ||
		       strcmp(s->title, rows[i].title) != 0) {
			s = s->next;
			assert_non_null(s);
		}
		assert_string_equal(s->at.file, "f");
		assert_int_equal(s->at.line, rows[i].begins);
		o = section_find(s, rows[i].option);
		line = o != NULL ? o->at.line : 0;
		check(line == rows[i].line, "%s %s %s: %u", s->name, s->title,
		      rows[i].option, line);
	}
	assert_null(section_find(NULL, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),      cmocka_unit_test(test_blanks),
		cmocka_unit_test(test_prefixes),   cmocka_unit_test(test_byte_0),
		cmocka_unit_test(test_every_byte), cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}

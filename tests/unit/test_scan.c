/*
 * test_scan.c: the walk over a config's text: what is refused, where, and what is noted.
 */
#include "scan.h"

#include "lib/cases.h"
#include "lib/expected_faults.h"

#include <stdlib.h>

/* Sections `one` and `many`, each with `a`, `b` and `list`; so has the top, and `t`. */
static bool known(const char *section, const char *option)
{
	if (strcmp(section, "") != 0 && strcmp(section, "one") != 0 &&
	    strcmp(section, "many") != 0)
		return false;
	if (option == NULL)
		return *section != '\0';
	return strcmp(option, "a") == 0 || strcmp(option, "b") == 0 ||
	       strcmp(option, "list") == 0 ||
	       (*section == '\0' && strcmp(option, "t") == 0);
}

/* Scans a copy of the first `len` bytes. What is left of it is to be freed. */
static char *scan_copy(struct scan *scan, const char *text, size_t len,
		       struct faults *faults, int *rc)
{
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	*faults = (struct faults){0};
	*rc = scan_text(scan, "f", copy, len, known, faults);
	return copy;
}

static const struct {
	const char *text;
	int rc;
	const char *faults;
} forms[] = {
	{"", 0, ""},
	{" \t\r\n\n", 0, ""},
	{"# comment", 0, ""},
	{"# comment\n// another\n/* and\n * one */ a = b", 0, ""},
	{"/***/ /* ** / */ a=b", 0, ""},
	{"a=b#c\nb=\"//\"", 0, ""},
	{"a = b a2 = c", 0, "1 unknown option a2"},
	{"a=word b='it''", -1, "1 string does not end"},
	{"a = 'it\\'s' b = \"say \\\"\\\\\"", 0, ""},
	{"a = 'two\nlines' b = \"two\\\nlines\" t = 1 t = 2", 0,
	 "3 t is there already, on line 3"},
	{"list = {} a = 1", 0, ""},
	{"list = { a }", 0, ""},
	{"list = {\n a, # c\n 'b',\n\"c\" /* d */ }", 0, ""},
	{"list = { a, }", -1, "1 list"},
	{"list = { , a }", -1, "1 list"},
	{"list = { a b }", -1, "1 comma"},
	{"list = { a = b }", -1, "1 comma"},
	{"list = { { a } }", -1, "1 list"},
	{"list = { a\n", -1, "2 list"},
	{"list = { 'a\n", -1, "1 string does not end"},
	{"list = { \"${A}\" }", -1, "1 ${ is refused"},
	{"list = {\n\n", -1, "3 list"},
	{"list = { a,\n", -1, "2 list"},
	{"list = { a } list = { b }", 0, "1 list is there already"},
	{"list = { a }\nlist += { b }\nlist += { c }", 0, ""},
	{"list + = { a }", -1, "1 "},
	{"one { a = 1 }", 0, ""},
	{"many x { a = 1 b = 2 } many 'y' { a = 1 } many \"z\" {}", 0, ""},
	{"many x { a = 1 } many x { a = 2 }", 0, "1 many x is there already, on line 1"},
	{"one {} one {}", 0, "1 one"},
	{"one { a = 1 }\na = 2\none2 { a = 3 }", 0,
	 "3 unknown section one2\n3 unknown option a"},
	{"many x {\n\tt = 1\n}", 0, "2 unknown option t in many"},
	{"many x {\na = 1\n\na = 2\n}", 0, "4 a is there already, on line 2"},
	{"many x {\na = 1\n", -1, "1 section does not end"},
	{"\nmany x\n{", -1, "3 section does not end"},
	{"many x {\na = 1 /* }", -1, "2 comment does not end"},
	{"a = 1\n/* } */ /*\n*", -1, "2 comment does not end"},
	{"/*/", -1, "1 comment does not end"},
	{"a = '\n\n", -1, "1 string does not end"},
	{"a = \"\\\"", -1, "1 string does not end"},
	{"a = \"\\", -1, "1 string does not end"},
	{"a", -1, "1 missing"},
	{"\na\n\n", -1, "2 missing"},
	{"a =", -1, "1 value is missing"},
	{"a = \n= b", -1, "2 value is missing"},
	{"a = }", -1, "1 value is missing"},
	{"many x", -1, "1 missing"},
	{"many x y {}", -1, "1 missing"},
	{"many = x {}", -1, "1 unknown option many\n1 name is missing"},
	{"many x {\na\n}", -1, "2 missing"},
	{"many x { many y { } }", -1, "1 missing"},
	{"}", -1, "1 name is missing"},
	{"a = 1 }", -1, "1 name is missing"},
	{"one { } }", -1, "1 name is missing"},
	{"one { { } }", -1, "1 name is missing"},
	{"{ a = 1 }", -1, "1 name is missing"},
	{"'a' = 1", -1, "1 name is missing"},
	{"a = 1, b = 2", -1, "1 name is missing"},
	{"a = f(x)", -1, "1 no meaning"},
	{"a + b", -1, "1 no meaning"},
	{"a = ${HOME}", -1, "1 ${ is refused"},
	{"a = b${HOME}", -1, "1 ${ is refused"},
	{"\na = \"x\n${HOME}\"", -1, "3 ${ is refused"},
	{"a = \"${\"", -1, "1 ${ is refused"},
	{"a = '${HOME}' b = \"\\${HOME}\" t = \"$HOME $ {\"", 0, ""},
	{"a = \"x\\0y\"", -1, "1 byte 0"},
	{"a = \"\\x00\"", -1, "1 byte 0"},
	{"a = \"\\000\"", -1, "1 byte 0"},
	{"a = \"\\001 \\x01 \\\\0\" b = '\\0'", 0, ""},
	{"# ${HOME}\n/* ${HOME} */ // ${HOME}", 0, ""},
	{"a = x/*y*/", -1, "1 quote this word"},
	{"a = x//y", -1, "1 quote this word"},
	{"a = /dev/*", -1, "1 quote this word"},
	{"a = /dev/null b = 'x//y' t = \"/*\"", 0, ""},
	{"zz = 1\nyy { xx = 2\n}\nmany x { ww = 3 }\na = 1\na = 2", 0,
	 "1 option zz\n2 section yy\n2 option xx in yy\n4 option ww in many\n6 a is there already"},
};

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct faults faults;
		struct scan scan;
		int rc;
		char *copy = scan_copy(&scan, forms[i].text, strlen(forms[i].text),
				       &faults, &rc);

		check(rc == forms[i].rc, "%s: %d, %s", forms[i].text, rc,
		      shown(faults.text));
		check(same_faults(faults.text, "f", forms[i].faults), "%s: %s",
		      forms[i].text, shown(faults.text));
		assert_true(rc == 0 || faults.errors > 0);
		scan_free(&scan);
		faults_free(&faults);
		free(copy);
	}
}

/* What libconfuse gets to see: unknown statements are gone, lines are where they were. */
static void test_blanks(void **state)
{
	static const struct {
		const char *text, *left; /* but for spaces */
	} rows[] = {
		{"a = 1", "a=1"},
		{"zz = 1", ""},
		{"zz = 'x\ny' a = 1", "\na=1"},
		{"a = 1\nzz = {\n1,\n2 }\nb = 2", "a=1\n\n\n\nb=2"},
		{"zz { a = 1\n} a = 2", "\na=2"},
		{"many x { zz = 1\na = 2\n}", "manyx{\na=2\n}"},
		{"many x { a = 1 }\nmany x { a =\n2 }\nmany y { a = 3 }",
		 "manyx{a=1}\n\n\nmanyy{a=3}"},
		{"a = 1\na = 2", "a=1\n"},
		{"one { a = 1 } zz = 2 a = 3", "one{a=1}a=3"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t len = strlen(rows[i].text), to = 0;
		struct faults faults;
		struct scan scan;
		int rc;
		char *copy = scan_copy(&scan, rows[i].text, len, &faults, &rc);

		assert_int_equal(rc, 0);
		assert_int_equal(strlen(copy), len);
		for (size_t k = 0; k < len; k++)
			if (copy[k] != ' ')
				copy[to++] = copy[k];
		copy[to] = '\0';
		check(same(copy, rows[i].left), "%s: %s", rows[i].text, copy);
		scan_free(&scan);
		faults_free(&faults);
		free(copy);
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
			struct scan scan;
			int rc;

			free(scan_copy(&scan, text, len, &faults, &rc));
			/* a comment's first slash is a word as yet */
			whole = whole && !(k == 1 && pieces[i].text[0] == '/');
			check(rc == (whole ? 0 : -1), "%.*s: %d", (int)len, text, rc);
			check((faults.errors == 0) == whole, "%.*s", (int)len, text);
			scan_free(&scan);
			faults_free(&faults);
		}
	}
}

static void test_byte_0(void **state)
{
	static const char text[] = "a = 1\n# \0\n";
	struct faults faults;
	struct scan scan;
	int rc;

	(void)state;
	free(scan_copy(&scan, text, sizeof(text) - 1, &faults, &rc));
	assert_int_equal(rc, -1);
	assert_true(same_faults(faults.text, "f", "1 byte 0"));
	scan_free(&scan);
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
		struct scan scan;
		int rc;

		free(scan_copy(&scan, text, sizeof(text), &faults, &rc));
		check(rc == (whole ? 0 : -1), "byte %02x: %s", (unsigned)c,
		      shown(faults.text));
		assert_int_equal(faults.errors, whole ? 0 : 1);
		scan_free(&scan);
		faults_free(&faults);
	}
}

static void test_marks(void **state)
{
	static const char text[] =
		"a = 1\n\none {\n a = 1\n}\nlist = 1\nmany x {\n list = 1\n"
		" b = 2\n}\nmany y { }\nt = 1\nb = 1\n";
	static const struct {
		const char *section, *title, *option;
		unsigned line; /* 0: not there */
	} rows[] = {
		{"", NULL, "a", 1},    {"", NULL, "list", 6},    {"", NULL, "t", 12},
		{"", NULL, "b", 13},   {"", NULL, "c", 0},       {"one", "", "a", 4},
		{"one", "", "b", 0},   {"one", "", "list", 0},   {"many", "x", "list", 8},
		{"many", "x", "b", 9}, {"many", "x", "a", 0},    {"many", "y", "b", 0},
		{"many", "y", "t", 0}, {"many", "y", "list", 0},
	};
	struct faults faults;
	struct scan scan;
	int rc;

	(void)state;
	free(scan_copy(&scan, text, sizeof(text) - 1, &faults, &rc));
	assert_int_equal(rc, 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t at = rows[i].title != NULL
				    ? scan_section(&scan, rows[i].section, rows[i].title)
				    : SIZE_MAX;
		unsigned line = scan_line(&scan, at, rows[i].option);

		assert_true(rows[i].title == NULL || at != SIZE_MAX);
		check(line == rows[i].line, "%s %s %s: %u", rows[i].section,
		      shown(rows[i].title), rows[i].option, line);
	}
	assert_true(scan_section(&scan, "many", "z") == SIZE_MAX);
	assert_true(scan_section(&scan, "many", "") == SIZE_MAX);
	assert_true(scan_section(&scan, "one", "x") == SIZE_MAX);
	assert_int_equal(scan.marks[scan_section(&scan, "many", "y")].line, 11);
	scan_free(&scan);
	assert_true(scan_section(&scan, "many", "x") == SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),      cmocka_unit_test(test_blanks),
		cmocka_unit_test(test_prefixes),   cmocka_unit_test(test_byte_0),
		cmocka_unit_test(test_every_byte), cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

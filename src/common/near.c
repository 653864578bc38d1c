/*
 * near.c: the distance of two names.
 *
 * Counted are letters that are missing, too many, wrong, or two that are swapped; case,
 * and - or _, make no difference. One in four letters may be wrong. A name is near, too,
 * if the word is its beginning, or a part of it between dashes.
 */
#include "common/near.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NEAR_MAX 40 /* letters; longer words are near to none */

static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return (char)(c == '_' ? '-' : c);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letter by letter: d[i][j] is the distance of the first i letters of a and the first j
 * of b. */
static size_t distance(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t d[NEAR_MAX + 1][NEAR_MAX + 1];

	for (size_t i = 0; i <= alen; i++)
		for (size_t j = 0; j <= blen; j++) {
			bool same;

			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			same = fold(a[i - 1]) == fold(b[j - 1]);
			d[i][j] = least(d[i - 1][j - 1] + !same,
					least(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
			    fold(a[i - 2]) == fold(b[j - 1]))
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[alen][blen];
}

/* Whether the word is the beginning of the name, or stands in it between dashes. */
static bool is_part(const char *word, size_t len, const char *name)
{
	if (len < 3)
		return false;
	for (const char *at = name; at != NULL; at = strchr(at, '-')) {
		at += at != name;
		if (distance(word, len, at, least(strlen(at), len)) == 0 &&
		    (at == name || at[len] == '\0' || at[len] == '-'))
			return true;
	}
	return false;
}

void near_try(struct near *near, const char *name)
{
	size_t len = strlen(near->word), most = (len + 2) / 4, found;

	if (len > NEAR_MAX || strlen(name) > NEAR_MAX)
		return;
	found = distance(near->word, len, name, strlen(name));
	if (found > most && is_part(near->word, len, name))
		found = most;
	if (found > most || (near->name != NULL && found >= near->distance))
		return;
	near->name = name;
	near->distance = found;
}

const char *near_name(const char *word, const void *table, size_t row_bytes)
{
	struct near near = {.word = word};
	const char *name;

	for (const char *row = table; memcpy(&name, row, sizeof(name)), name != NULL;
	     row += row_bytes)
		near_try(&near, name);
	return near.name;
}

const char *near_hint(const char *name)
{
	static char hint[NEAR_MAX + 32];

	*hint = '\0';
	if (name != NULL)
		snprintf(hint, sizeof(hint), ", did you mean %s?", name);
	return hint;
}

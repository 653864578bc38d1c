/*
 * scan_value.c: walks over the value of an option.
 *
 * A list that does not end is seen by the next option, which begins in a line of its own:
 * that is left to the next statement.
 */
#include "config/scan_state.h"

/* What a list has in a place that it cannot be in. True: the list does not end, and all
 * from here on is not its own. */
static bool scan_list_fault(struct scan *s, const char *name, bool after_value,
			    unsigned line)
{
	struct tokens *t = &s->t;

	if (t->token == TOKEN_END || (token_is_name(t) && t->place.line > line))
		return true;
	if (token_is_name(t))
		scan_fault(s, t->place, "%s: = in a list: quote it, as in \"%s=1\"", name,
			   scan_text_of(s));
	else if (after_value && token_is_value(t))
		scan_fault(s, t->place, "%s: a comma is missing before %s", name,
			   scan_text_of(s));
	else if (token_is(t, ',') || token_is(t, '}'))
		scan_fault(s, t->place, "%s: a value is missing beside a comma", name);
	else
		scan_fault(s, t->place, "%s: %s has no place in a list", name,
			   scan_text_of(s));
	if (!token_is(t, '}'))
		token_recover(t, token_is(t, '{') ? 2 : 1);
	return false;
}

/* The rest of a list, up to its closing brace. */
static void scan_list(struct scan *s, const char *name)
{
	const struct place began = s->t.place;
	bool after_value = false, empty = true;

	while (token_next(&s->t), !token_is(&s->t, '}') || !(after_value || empty)) {
		bool good = after_value ? token_is(&s->t, ',')
					: token_is_value(&s->t) && !token_is_name(&s->t);

		empty = false;
		after_value = !after_value;
		if (good)
			continue;
		if (scan_list_fault(s, name, !after_value, began.line)) {
			scan_fault(s, began,
				   "%s: this list does not end: its } is missing", name);
			token_unread(&s->t);
		}
		return;
	}
}

bool scan_value(struct scan *s, const char *name)
{
	struct place at = s->t.place;
	bool list;

	token_next(&s->t);
	list = token_is(&s->t, '{');
	if (list) {
		scan_list(s, name);
	} else if (!token_is_value(&s->t) ||
		   (token_is_name(&s->t) && s->t.place.line > at.line)) {
		scan_fault(s, at, "%s: a value is missing after =", name);
		if (token_is(&s->t, '=') || token_is(&s->t, ','))
			token_recover(&s->t, 0);
		else
			token_unread(&s->t);
	}
	s->option = s->t.flawed ? NULL : name;
	s->value_line = s->t.at.line;
	return list;
}

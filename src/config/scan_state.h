/* scan_state.h: the walk over a config's text, shared by scan.c and scan_value.c. */
#ifndef UDSD_SCAN_STATE_H
#define UDSD_SCAN_STATE_H

#include "config/arena.h"
#include "config/syntax.h"
#include "config/token.h"

struct scan {
	struct arena *arena;
	struct tokens t;
	struct section *top, *last; /* of the sections that are known */
	const char *option;         /* the last one that has a value, */
	unsigned value_line;        /* which ends here */
	unsigned unclosed;          /* sections, whose braces may still come */
	size_t column;              /* of the section that is open */
};

/* Reports a fault of a statement, unless there is one already. */
#define scan_fault(s, at, ...)                \
 do {                                         \
  if (!(s)->t.flawed)                         \
   fault_add((s)->t.faults, at, __VA_ARGS__); \
  (s)->t.flawed = true;                       \
 } while (0)

/* The current token. */
static inline char *scan_text_of(const struct scan *s)
{
	return arena_copy(s->arena, s->t.start, s->t.len);
}

/* The value after `=`: one word or string, or a list of them in braces; whether it is a
 * list. */
bool scan_value(struct scan *scan, const char *name);

#endif

/*
 * counters.c: the rows as tables.
 */
#include "common/counters.h"

#include <assert.h>

static_assert(REJECT_REASONS <= REJECT_ROOM, "there is room for all reasons");

#define COUNTER_ROW(field, key, unit, metric, help) {key, metric, help},
#define REJECT_ROW(reason, name, help) {REJECT_KEY name, NULL, help},

const struct counter counter_rows[] = {COUNTERS(COUNTER_ROW) REJECT_ROWS(REJECT_ROW)};
const size_t counter_row_count = sizeof(counter_rows) / sizeof(*counter_rows);

const char *reject_name(enum reject_reason reason)
{
	return counter_rows[counter_row_count - REJECT_REASONS + reason].key +
	       sizeof(REJECT_KEY) - 1;
}

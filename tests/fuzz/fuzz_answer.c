/*
 * fuzz_answer.c: any text as an answer to udsctl.
 *
 * What holds: each whole line is a record whose parts are in the text, in their order, and all of it
 * can be shown in every way.
 */
#include "ctl/ask.h"

#include "ctl/display.h"
#include "records.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(const struct record *r, const char *text, size_t size)
{
	must(r->count <= RECORD_PAIRS);
	must(r->verb >= text && r->verb + strlen(r->verb) <= text + size);
	for (size_t i = 0; i < r->count; i++) {
		must(r->keys[i] > text && r->values[i] > r->keys[i]);
		must(r->values[i] + strlen(r->values[i]) <= text + size);
		must(record_get(r, r->keys[i]) != NULL);
		(void)record_number(r, r->keys[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int quiet;
	char *text = malloc(size + 1);
	struct records rs;

	must(text != NULL);
	if (!quiet++)
		must(freopen("/dev/null", "w", stdout) != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	rs = records_of(text);
	for (size_t i = 0; i < rs.count; i++)
		check_record(&rs.list[i], text, size);
	display_status(&rs);
	display_detail(&rs);
	display_list(&rs);
	display_json_status(&rs);
	display_json_list(&rs);
	display_metrics(&rs);
	free(rs.list);
	free(text);
	return 0;
}

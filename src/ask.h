/*
 * ask.h: udsctl's side of the control socket: one request, one answer, and the records in it. The
 * protocol is told in udsd(8).
 */
#ifndef UDSD_ASK_H
#define UDSD_ASK_H

#include <stdbool.h>
#include <stddef.h>

#define RECORD_PAIRS 32

/* What an answer begins with. */
enum verdict {
	ANSWER_OK,
	ANSWER_ERROR,   /* not to be done; the text says why */
	ANSWER_REFUSED, /* the config */
	ANSWER_NONE,    /* there was none; the text says why */
	ANSWER_NOBODY,  /* no supervisor is there; likewise */
};

struct answer {
	enum verdict verdict;
	char *text; /* behind the verdict */
	char *all;  /* what holds it */
};

/* A line of an answer: a word and key=value pairs. What was not printable is \xNN yet. */
struct record {
	const char *verb;
	size_t count;
	const char *keys[RECORD_PAIRS], *values[RECORD_PAIRS];
};

struct records {
	size_t count;
	struct record *list;
	bool whole; /* the last line said that nothing is missing */
};

/* Sends the words of a request, NULL at their end. answer_free() the result in any case. */
struct answer ask(const char *socket, int seconds, const char *const *words);
void answer_free(struct answer *answer);

/* The same, for an answer of records, which are in *records: free(records->list). One that is cut off
 * is ANSWER_NONE. */
struct answer ask_records(const char *socket, int seconds, const char *const *words,
			  struct records *records);

/* Cuts the whole lines of an answer's text into records, in place, and sorts them by service; free(records.list). */
struct records records_of(char *text);

/* The value of a key, "" if there is none; as a number. */
const char *record_get(const struct record *record, const char *key);
double record_number(const struct record *record, const char *key);

#endif

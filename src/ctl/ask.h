/*
 * ask.h: udsctl's side of the control socket: one request, one answer, and the records in
 * it (protocol.h).
 */
#ifndef UDSD_ASK_H
#define UDSD_ASK_H

#include <stdbool.h>
#include <stddef.h>

#define RECORD_PAIRS 64

/* What came of a request. */
enum verdict {
	VERDICT_OK,
	VERDICT_ERROR,       /* not to be done; the text says why */
	VERDICT_REFUSED,     /* the config; the text says why */
	VERDICT_NO_ANSWER,   /* or only a part; the text says why */
	VERDICT_UNREACHABLE, /* no supervisor; the text says why */
};

struct answer {
	enum verdict verdict;
	char *text; /* behind the verdict; NULL: out of memory */
	char *all;  /* the memory that holds it */
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
	bool whole; /* nothing is missing at the end */
};

/* Sends the words of a request, NULL at their end. answer_free() the result in any
 * case. */
struct answer ask(const char *socket, int seconds, const char *const *words);
void answer_free(struct answer *answer);

/* The same, for an answer of records, which are in *records: free(records->list). One
 * that is cut off is VERDICT_NO_ANSWER. */
struct answer ask_records(const char *socket, int seconds, const char *const *words,
			  struct records *records);

/* Cuts the whole lines of an answer's text into records, in place, and sorts them by
 * service; free(records.list). */
struct records records_of(char *text);

/* The next record behind `record` (NULL: the first) that begins with this word (NULL:
 * any). */
const struct record *record_next(const struct records *records,
				 const struct record *record, const char *verb);

/* The value of a key, "" if there is none; as a number. */
const char *record_get(const struct record *record, const char *key);
double record_number(const struct record *record, const char *key);

#endif

/* compare.h: whether two fields of a service have the same value; a function for each
 * type. */
#ifndef UDSD_COMPARE_H
#define UDSD_COMPARE_H

#include <stdbool.h>

bool compare_pointed(const void *a, const void *b);
bool compare_socket(const void *a, const void *b);
bool compare_rate(const void *a, const void *b);
bool compare_limit(const void *a, const void *b);
bool compare_stderr(const void *a, const void *b);
bool compare_account(const void *a, const void *b);
bool compare_groups(const void *a, const void *b);
bool compare_list(const void *a, const void *b);
bool compare_rules(const void *a, const void *b);

#endif

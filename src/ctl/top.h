/* top.h: a live table in the terminal. */
#ifndef UDSD_TOP_H
#define UDSD_TOP_H

#include "ctl/ask.h"

/* Until q or Ctrl-C. Standard input and output are a terminal. The last answer, whose
 * text (of VERDICT_OK) means nothing any more; answer_free() it. */
struct answer top(const char *socket);

#endif

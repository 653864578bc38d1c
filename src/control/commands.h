/* commands.h: the commands of the control socket. */
#ifndef UDSD_COMMANDS_H
#define UDSD_COMMANDS_H

#include "control/client.h"
#include "service/services.h"

/* Does what the line in client->request asks for. The client is answered by then, or
 * waits. */
void commands_run(struct client *client, int64_t now);

#endif

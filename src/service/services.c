/*
 * services.c: a list, in the order of the config, later generations behind.
 */
#include "service/services.h"

#include <string.h>

struct services_origin services_origin;
int services_pidfile = -1;

static struct instance *services_list;
static struct loaded *services_in_force;
static unsigned services_count; /* of changes */

struct instance *services_first(void)
{
	return services_list;
}

void services_add(struct instance *added)
{
	struct instance **end = &services_list;

	while (*end != NULL)
		end = &(*end)->next;
	*end = added;
}

struct instance *services_find(const char *name)
{
	struct instance *i = services_list;

	while (i != NULL &&
	       (instance_is_superseded(i) || strcmp(i->service->name, name) != 0))
		i = i->next;
	return i;
}

struct instance *services_of_worker(pid_t pid)
{
	struct instance *i = services_list;

	while (i != NULL && i->worker != pid)
		i = i->next;
	return i;
}

static struct instance *services_unlink(struct instance **at)
{
	struct instance *i = *at;

	if (i != NULL)
		*at = i->next;
	return i;
}

struct instance *services_take_finished(void)
{
	struct instance **at = &services_list;

	while (*at != NULL && !instance_is_finished(*at))
		at = &(*at)->next;
	return services_unlink(at);
}

struct instance *services_take(void)
{
	return services_unlink(&services_list);
}

size_t services_listening(void)
{
	size_t n = 0;

	for (const struct instance *i = services_list; i != NULL; i = i->next)
		n += i->listener.fd >= 0 && !instance_is_retiring(i) &&
		     !instance_is_control(i) && service_can_run(i->service);
	return n;
}

void services_changed(void)
{
	services_count++;
}

unsigned services_version(void)
{
	return services_count;
}

const struct config *services_config(void)
{
	return services_in_force->config;
}

struct loaded *services_loaded(void)
{
	return services_in_force;
}

void services_set_config(struct loaded *loaded)
{
	loaded_release(services_in_force);
	services_in_force = loaded_hold(loaded);
}

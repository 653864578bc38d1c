/*
 * fuzz_scoreboard.c: any bytes in the scoreboard of a worker that has exited. The supervisor takes over what
 * it says; the worker's user may have written it.
 *
 * What holds: a process that is not our child is never taken for a handler, and no line of the log
 * holds a control character.
 */
#include "service/orphans.h"

#include "common/clock.h"
#include "records.h"

#include <signal.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define YEAR ((INT64_C(1) << 55) - 1) /* nanoseconds; no config has more */

/* What the fuzzer chooses besides the slots. */
struct choice {
	uint32_t high;
	int32_t worker;
	int64_t max_lifetime;
	uint8_t child; /* the slot, from 1 on, that bears our only child */
};

static pid_t child;

static bool is_ours(pid_t pid)
{
	return pid % 2 == 0 && pid != child;
}

/* Lives as long as the fuzzer. */
static pid_t make_child(void)
{
	int fd[2];
	pid_t pid;

	must(pipe(fd) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		close(fd[1]);
		(void)read(fd[0], fd, 1);
		_exit(0);
	}
	close(fd[0]);
	return pid;
}

static void adopt(struct board *board, const struct choice *choice)
{
	static char name[] = "s";
	const struct account account = {.name = name};
	const struct service service = {.name = name,
					.account = &account,
					.max_lifetime = choice->max_lifetime & YEAR};
	struct instance instance = {.service = &service, .board = board};

	board->map->high = choice->high;
	if (choice->child > 0)
		board->map->slots[choice->child - 1].pid = child;
	orphans_adopt(&instance, choice->worker, is_ours);
	must(orphans_count() == instance.orphans);
	if (choice->child == 0)
		must(orphans_count() == 0);
	(void)orphans_due();
	orphans_forget();
	must(instance.orphans == 0);
	while (records_next() != NULL)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct board *board;
	struct choice choice;

	if (board == NULL) {
		board = board_new();
		must(board != NULL);
		child = make_child();
		records_open();
	}
	if (size < sizeof(choice) || size > sizeof(choice) + 256 * sizeof(struct slot))
		return 0;
	memcpy(&choice, data, sizeof(choice));
	size -= sizeof(choice);
	memset(board->map->slots, 0, 256 * sizeof(struct slot));
	memcpy(board->map->slots, data + sizeof(choice), size);
	adopt(board, &choice);
	return 0;
}

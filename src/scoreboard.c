/*
 * scoreboard.c: makes and maps the shared table.
 */
#include "scoreboard.h"

#include "clock.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static_assert(sizeof(struct slot) == 128, "two cache lines a connection");
static_assert(offsetof(struct scoreboard, slots) == 4096, "all counters in one page");

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Maps a memfd of the right size; it is closed if that fails. */
static struct board *map_board(int fd)
{
	struct board *board = malloc(sizeof(*board));
	int saved;

	if (board != NULL) {
		*board = (struct board){.users = 1, .fd = fd};
		board->map = mmap(NULL, sizeof(*board->map), PROT_READ | PROT_WRITE,
				  MAP_SHARED, fd, 0);
		if (board->map != MAP_FAILED)
			return board;
	}
	saved = errno;
	free(board);
	close(fd);
	errno = saved;
	return NULL;
}

struct board *board_new(void)
{
	int saved, fd = memfd_create("udsd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct board *board;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*board->map)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return NULL;
	}
	board = map_board(fd);
	if (board != NULL)
		board->map->layout = SCOREBOARD_LAYOUT;
	return board;
}

struct board *board_adopt(int fd)
{
	struct board *board;
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size != sizeof(*board->map) ||
	    fcntl(fd, F_GET_SEALS) != SEALS) {
		close(fd);
		return NULL;
	}
	board = map_board(fd);
	if (board == NULL || board->map->layout == SCOREBOARD_LAYOUT)
		return board;
	board_release(board);
	return NULL;
}

struct board *board_hold(struct board *board)
{
	if (board != NULL)
		board->users++;
	return board;
}

void board_release(struct board *board)
{
	if (board == NULL || --board->users > 0)
		return;
	munmap(board->map, sizeof(*board->map));
	close(board->fd);
	free(board);
}

uint32_t scoreboard_high(const struct scoreboard *board)
{
	uint32_t high = atomic_load(&board->high);

	return high < SCOREBOARD_SLOTS ? high : SCOREBOARD_SLOTS;
}

const char *reject_name(enum reject_reason reason)
{
	static const char *const names[] = {"rule", "limit", "user-limit", "rate"};

	return names[reason];
}

size_t exit_index(int status)
{
	if (status == SLOT_STATUS_UNKNOWN)
		return EXIT_SIGNALS;
	if (WIFEXITED(status))
		return (size_t)WEXITSTATUS(status);
	return EXIT_SIGNALS + (size_t)WTERMSIG(status) % (EXITS - EXIT_SIGNALS);
}

int exit_status(size_t index)
{
	if (index == EXIT_SIGNALS)
		return SLOT_STATUS_UNKNOWN;
	return index < EXIT_SIGNALS ? W_EXITCODE((int)index, 0)
				    : W_EXITCODE(0, (int)(index - EXIT_SIGNALS));
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void slot_close(struct scoreboard *board, struct slot *slot, const char *service,
		int status, const struct rusage *usage)
{
	int64_t now = clock_now(), started = slot->started;
	struct log_line line;

	if (started < 0 ||
	    started > now) /* its worker's user may have written anything */
		started = now;
	add(&board->counters.exits[exit_index(status)], 1);
	add(&board->counters.nanoseconds, (uint64_t)(now - started));
	log_begin(&line, LOG_INFO, "close");
	log_str(&line, "service", service);
	log_num(&line, "conn", (int64_t)slot->conn);
	log_num(&line, "pid", atomic_load(&slot->pid));
	log_status(&line, status);
	log_usage(&line, now - started, usage);
	if (slot->expired)
		log_str(&line, "reason", "lifetime");
	log_end(&line);
	atomic_store(&slot->pid, 0);
}

/* The memory that outlives a killed daemon: one memfd, kept by the holder (signals/src/holder.h), mapped by the daemon.
 *
 * It holds what cannot be made again: ids, values, open files and what their readers have not read yet. Indexes, watchers
 * and queues of waiting requests are rebuilt from it.
 *
 * A daemon may die between any two instructions, and the next one must find nothing half done. Hence:
 *  - what belongs together is written aside and put in force by one store (table_commit()): a value lies in two cells, one
 *    of which is current;
 *  - blocks have no free list here: a block is used if something that is in force refers to it (table_scan_blocks());
 *  - an answer to the kernel is kept until the next one (struct journal), so that a request that is sent again gets the
 *    same answer and has no second effect.
 *
 * The memory is as large as its maxima, but only pages that were written to cost anything. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "signals/src/filter.h"

struct err;

#define TABLE_MAGIC UINT64_C(0x61787369676e616c) /* "axsignal" */
#define TABLE_VERSION 1
#define TABLE_ENTRIES_MAX 65536
#define TABLE_HANDLES_MAX 65536
#define TABLE_NAMES_MAX 4096
#define TABLE_BLOCKS_MAX 32768
#define TABLE_POOL_BYTES (8U << 20)
#define TABLE_BLOCK_BYTES 4096
#define TABLE_INLINE_BYTES 48
#define TABLE_ACTOR_BYTES 32
#define TABLE_JOURNAL_BYTES (128U << 10)

/* A text of any length: here, or in a run of blocks. Terminated. */
struct table_text {
	uint32_t size;	/* without the terminator */
	uint32_t block; /* 1 + the first block; 0: inline */
	char bytes[TABLE_INLINE_BYTES];
};

enum table_touched {
	TOUCHED_CELL = 1,
	TOUCHED_TARGET = 2,
	TOUCHED_FORCE = 4,
};

/* A branch or leaf that was ever in a catalogue. Never freed: its number is its id and the kernel's node id. */
struct table_entry {
	uint32_t parent; /* UINT32_MAX: the root */
	uint32_t name;	 /* offset in the pool */
	uint8_t name_size;
	uint8_t touched; /* enum table_touched: memory of it that was never written is not read either */
	uint8_t current; /* cell in force */
	uint8_t claimed; /* its value depends on a provider */
};

struct table_cell {
	uint64_t sequence;
	int64_t source_ns;
	int64_t receive_ns;
	int64_t receive_boot_ns; /* CLOCK_BOOTTIME: for ages */
	double number;
	uint8_t quality;
	char publisher[TABLE_ACTOR_BYTES];
	struct table_text text;
};

/* The last target that was asked for. */
struct table_target {
	uint64_t id; /* 0: never */
	int64_t asked_ns;
	int64_t deadline_ns;
	int32_t result; /* 1: open, 0: done, -errno */
	char requester[TABLE_ACTOR_BYTES];
	char error[64];
	struct table_text text;
};

/* A value that beats the publisher's. */
struct table_force {
	uint8_t active;
	int64_t until_boot_ns; /* INT64_MAX: until unforced */
	uint64_t sequence;
	int64_t since_ns;
	double number;
	char actor[TABLE_ACTOR_BYTES];
	struct table_text text;
};

/* An open file. What the members mean is said by signals/src/files/. */
struct table_handle {
	uint8_t used;
	uint8_t kind;
	uint8_t connection;
	uint8_t poll_armed;
	uint32_t reuse; /* so that an old number never names a new file */
	uint32_t flags; /* of open(2) */
	uint32_t signal;
	uint32_t name; /* 1 + index of the name it was opened by; 0: a plain one */
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint64_t poll_handle;
	uint64_t seen_sequence; /* of the last snapshot */
	uint64_t lost;
	/* a line that is being read: where, and the text */
	uint32_t offset;
	uint32_t text_whole; /* text holds a line */
	struct table_text text;
	/* lines that wait: a ring in blocks; head and tail only grow */
	uint32_t ring_block; /* 1 + the first; 0: none */
	uint32_t ring_blocks;
	uint32_t head;
	uint32_t tail;
	struct filter_state filter;
};

/* A name with a suffix that the kernel knows: "Speed@rate=10". */
struct table_name {
	uint8_t used;
	uint8_t kind;
	uint8_t connection;
	uint32_t reuse;
	uint32_t signal;
	uint64_t lookups; /* references of the kernel */
	uint32_t opens;
	char suffix[FILTER_TEXT_MAX]; /* canonical */
};

/* The last answer to the kernel, and the effect that goes with it. */
struct table_journal {
	uint64_t valid;
	uint32_t connection;
	uint32_t size;	 /* of the answer, header and all */
	uint64_t unique; /* of the request, without the mark of one that is sent again */
	uint32_t redo;	 /* enum table_redo */
	uint32_t handle;
	uint64_t values[4];
	char answer[TABLE_JOURNAL_BYTES];
};

struct table_header {
	uint64_t magic;
	uint32_t version;
	uint32_t entry_count;
	uint64_t next_request;
	uint32_t pool_used;
	uint32_t handle_high; /* no handle beyond was ever used */
	uint32_t name_high;
};

struct table {
	struct table_header *header;
	struct table_journal *journal;
	struct table_entry *entries;
	struct table_cell (*cells)[2]; /* by entry */
	struct table_target *targets;
	struct table_force *forces;
	struct table_handle *handles;
	struct table_name *names;
	char *pool;
	char *blocks;
	uint64_t *used_blocks; /* a bitmap; private memory */
	uint32_t next_block;   /* where the search begins */
	size_t size;
	void *memory;
};

/* Makes a new memfd of the table's size. Returns the descriptor or a negative errno. */
int table_create_memory(void);

/* Maps @fd: empty memory becomes an empty table, otherwise what a daemon left is taken over. Takes no ownership of @fd.
 * Errors: -EUCLEAN (not a table), -ENOTSUP (of another version), -ENOMEM. */
int table_open(int fd, struct table **ret_table, struct err *err);
void table_free(struct table *table);
SCOPED_DEFINE(struct table, table_free)

/* A store that nothing written before may pass: kept in order by the compiler; the machine's own order suffices, since
 * only this process writes and the reader comes after its death. */
#define table_commit(slot, value) __atomic_store_n((slot), (value), __ATOMIC_SEQ_CST)

/* Blocks. A run of @count; 1 + the first, or 0: none left. */
uint32_t table_take_blocks(struct table *table, uint32_t count);
void table_give_blocks(struct table *table, uint32_t block, uint32_t count);
char *table_block(const struct table *table, uint32_t block);

/* Texts. table_text_set() gives back what @text held; it must not be in force. Errors: -ENOSPC. */
int table_text_set(struct table *table, struct table_text *text, const char *bytes, size_t size);
void table_text_clear(struct table *table, struct table_text *text);
const char *table_text_bytes(const struct table *table, const struct table_text *text);

/* An entry for @name below @parent: a new one. Errors: -E2BIG. */
int table_add_entry(struct table *table, uint32_t parent, const char *name, uint32_t *ret_entry);
const char *table_entry_name(const struct table *table, uint32_t entry);

/* Names an actor in a cell: cut to what fits. */
void table_actor_set(char ret_actor[static TABLE_ACTOR_BYTES], const char *name);

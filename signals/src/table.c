#include "signals/src/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/base/err.h"

#define PAGE 4096UL
#define BITS 64U

static size_t pages(size_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

/* Places the regions one behind another, each on a page of its own. Returns the size of all. */
static size_t lay_out(struct table *table, char *memory)
{
	size_t at = 0;
#define REGION(member, count)                                                                                          \
	do {                                                                                                           \
		table->member = memory ? (void *)(memory + at) : NULL;                                                 \
		at += pages(sizeof *table->member * (count));                                                          \
	} while (0)
	REGION(header, 1);
	REGION(journal, 1);
	REGION(entries, TABLE_ENTRIES_MAX);
	REGION(cells, TABLE_ENTRIES_MAX);
	REGION(targets, TABLE_ENTRIES_MAX);
	REGION(forces, TABLE_ENTRIES_MAX);
	REGION(handles, TABLE_HANDLES_MAX);
	REGION(names, TABLE_NAMES_MAX);
	REGION(pool, TABLE_POOL_BYTES);
	REGION(blocks, (size_t)TABLE_BLOCKS_MAX * TABLE_BLOCK_BYTES);
#undef REGION
	return at;
}

int table_create_memory(void)
{
	struct table layout = {0};
	scoped_fd int fd = memfd_create("axle-signals", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)lay_out(&layout, NULL)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void mark_blocks(struct table *table, uint32_t block, uint32_t count, bool used)
{
	for (uint32_t i = block - 1; i < block - 1 + count && i < TABLE_BLOCKS_MAX; i++) {
		uint64_t bit = UINT64_C(1) << i % BITS;
		table->used_blocks[i / BITS] = used ? table->used_blocks[i / BITS] | bit : table->used_blocks[i / BITS] & ~bit;
	}
}

static uint32_t blocks_of(size_t size)
{
	return (uint32_t)((size + 1 + TABLE_BLOCK_BYTES - 1) / TABLE_BLOCK_BYTES);
}

static void mark_text(struct table *table, const struct table_text *text)
{
	if (text->block)
		mark_blocks(table, text->block, blocks_of(text->size), true);
}

/* Which blocks are used follows from what is in force; what a dead daemon had taken and not yet used is free again. */
static void scan_blocks(struct table *table)
{
	for (uint32_t i = 0; i < table->header->entry_count; i++) {
		unsigned touched = table->entries[i].touched;
		if (touched & TOUCHED_CELL) {
			mark_text(table, &table->cells[i][table->entries[i].current & 1].text);
			table->cells[i][~table->entries[i].current & 1].text.block = 0;
		}
		if (touched & TOUCHED_TARGET)
			mark_text(table, &table->targets[i].text);
		if (touched & TOUCHED_FORCE)
			mark_text(table, &table->forces[i].text);
	}
	for (uint32_t i = 0; i < table->header->handle_high; i++) {
		const struct table_handle *handle = &table->handles[i];
		if (!handle->used)
			continue;
		mark_text(table, &handle->text);
		if (handle->ring_block)
			mark_blocks(table, handle->ring_block, handle->ring_blocks, true);
	}
}

static int take_over(struct table *table, struct err *err)
{
	struct table_header *header = table->header;
	if (header->magic == 0) {
		header->version = TABLE_VERSION;
		header->next_request = 1;
		table_commit(&header->magic, TABLE_MAGIC);
		return 0;
	}
	if (header->magic != TABLE_MAGIC || header->entry_count > TABLE_ENTRIES_MAX ||
	    header->handle_high > TABLE_HANDLES_MAX || header->name_high > TABLE_NAMES_MAX)
		return err_set(err, -EUCLEAN, "table.damaged", "the memory that was kept is no table of signals");
	if (header->version != TABLE_VERSION)
		return err_set(err, -ENOTSUP, "table.version", "the memory that was kept has version %u, expected %u",
			       header->version, TABLE_VERSION);
	scan_blocks(table);
	return 0;
}

int table_open(int fd, struct table **ret_table, struct err *err)
{
	scoped(table_free) struct table *table = calloc(1, sizeof *table);
	if (!table)
		return -ENOMEM;
	struct stat st;
	table->size = lay_out(table, NULL);
	table->used_blocks = calloc(TABLE_BLOCKS_MAX / BITS, sizeof *table->used_blocks);
	if (!table->used_blocks)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "table.memory", "the memory that was kept");
	if ((size_t)st.st_size != table->size)
		return err_set(err, -ENOTSUP, "table.version", "the memory that was kept has %lld bytes, expected %zu",
			       (long long)st.st_size, table->size);
	void *memory = mmap(NULL, table->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED)
		return err_sys(err, -errno, "table.memory", "map %zu bytes", table->size);
	table->memory = memory;
	lay_out(table, memory);
	int r = take_over(table, err);
	if (r < 0)
		return r;
	*ret_table = TAKE(table);
	return 0;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	if (table->memory)
		(void)munmap(table->memory, table->size);
	free(table->used_blocks);
	free(table);
}

static bool block_is_used(const struct table *table, uint32_t i)
{
	return table->used_blocks[i / BITS] >> i % BITS & 1;
}

uint32_t table_take_blocks(struct table *table, uint32_t count)
{
	uint32_t run = 0;
	for (uint32_t tried = 0, i = table->next_block; tried < TABLE_BLOCKS_MAX + count; tried++, i++) {
		if (i >= TABLE_BLOCKS_MAX) {
			i = 0;
			run = 0;
		}
		run = block_is_used(table, i) ? 0 : run + 1;
		if (run == count) {
			uint32_t block = i - count + 2;
			mark_blocks(table, block, count, true);
			/* low numbers first: pages that were touched are used again */
			table->next_block = block - 1;
			return block;
		}
	}
	return 0;
}

void table_give_blocks(struct table *table, uint32_t block, uint32_t count)
{
	if (!block)
		return;
	mark_blocks(table, block, count, false);
	if (block - 1 < table->next_block)
		table->next_block = block - 1;
}

char *table_block(const struct table *table, uint32_t block)
{
	assert(block > 0 && block <= TABLE_BLOCKS_MAX);
	return table->blocks + (size_t)(block - 1) * TABLE_BLOCK_BYTES;
}

void table_text_clear(struct table *table, struct table_text *text)
{
	uint32_t block = text->block;
	uint32_t count = block ? blocks_of(text->size) : 0;
	table_commit(&text->block, 0U);
	text->size = 0;
	text->bytes[0] = '\0';
	table_give_blocks(table, block, count);
}

int table_text_set(struct table *table, struct table_text *text, const char *bytes, size_t size)
{
	table_text_clear(table, text);
	if (size < sizeof text->bytes) {
		memcpy(text->bytes, bytes, size);
		text->bytes[size] = '\0';
		text->size = (uint32_t)size;
		return 0;
	}
	uint32_t block = table_take_blocks(table, blocks_of(size));
	if (!block)
		return -ENOSPC;
	memcpy(table_block(table, block), bytes, size);
	table_block(table, block)[size] = '\0';
	text->size = (uint32_t)size;
	table_commit(&text->block, block);
	return 0;
}

const char *table_text_bytes(const struct table *table, const struct table_text *text)
{
	return text->block ? table_block(table, text->block) : text->bytes;
}

int table_add_entry(struct table *table, uint32_t parent, const char *name, uint32_t *ret_entry)
{
	struct table_header *header = table->header;
	size_t size = strlen(name);
	if (header->entry_count == TABLE_ENTRIES_MAX || size > UINT8_MAX || header->pool_used + size + 1 > TABLE_POOL_BYTES)
		return -E2BIG;
	memcpy(table->pool + header->pool_used, name, size + 1);
	table->entries[header->entry_count] = (struct table_entry){
		.parent = parent, .name = header->pool_used, .name_size = (uint8_t)size};
	header->pool_used += (uint32_t)size + 1;
	*ret_entry = header->entry_count;
	table_commit(&header->entry_count, header->entry_count + 1);
	return 0;
}

const char *table_entry_name(const struct table *table, uint32_t entry)
{
	return table->pool + table->entries[entry].name;
}

void table_actor_set(char ret_actor[static TABLE_ACTOR_BYTES], const char *name)
{
	size_t size = strnlen(name, TABLE_ACTOR_BYTES - 1);
	memcpy(ret_actor, name, size);
	ret_actor[size] = '\0';
}

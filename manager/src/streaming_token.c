#include "manager/src/streaming_token.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"

struct token {
	char text[TOKEN_TEXT_MAX];
	int64_t due_ns;
	void *object;
	struct token *next;
};

static void remove_token(struct tokens *tokens, struct token **place)
{
	struct token *token = *place;
	*place = token->next;
	tokens->count--;
	free(token);
}

static void expire(struct tokens *tokens, int64_t now_ns)
{
	struct token **place = &tokens->first;
	while (*place) {
		if ((*place)->due_ns > now_ns) {
			place = &(*place)->next;
			continue;
		}
		tokens->release((*place)->object);
		remove_token(tokens, place);
	}
}

void tokens_done(struct tokens *tokens)
{
	expire(tokens, INT64_MAX);
}

int tokens_add(struct tokens *tokens, void *object, int64_t now_ns, int64_t due_ns, char ret_text[TOKEN_TEXT_MAX],
	       struct err *err)
{
	expire(tokens, now_ns);
	if (tokens->count >= TOKENS_MAX)
		return err_set(err, -ENOBUFS, "streaming.limit",
			       "%d streaming requests wait for their clients already, the most there may be", TOKENS_MAX);
	struct token *token = calloc(1, sizeof *token);
	if (!token)
		return err_memory(err, "streaming request");
	id_make(token->text);
	token->due_ns = due_ns;
	token->object = object;
	struct token **end = &tokens->first;
	while (*end)
		end = &(*end)->next;
	*end = token;
	tokens->count++;
	memcpy(ret_text, token->text, TOKEN_TEXT_MAX);
	return 0;
}

/* In a time that does not tell how much of it was right. */
static bool is_same(const char *a, const char *b)
{
	unsigned difference = 0;
	for (size_t i = 0; i < TOKEN_TEXT_MAX; i++)
		difference |= (unsigned)(a[i] ^ b[i]);
	return difference == 0;
}

void *tokens_take(struct tokens *tokens, const char *text, int64_t now_ns)
{
	char padded[TOKEN_TEXT_MAX] = {0};
	size_t length = strlen(text);
	if (length != TOKEN_TEXT_MAX - 1)
		return NULL;
	memcpy(padded, text, length);
	expire(tokens, now_ns);
	for (struct token **place = &tokens->first; *place; place = &(*place)->next)
		if (is_same((*place)->text, padded)) {
			void *object = (*place)->object;
			remove_token(tokens, place);
			return object;
		}
	return NULL;
}

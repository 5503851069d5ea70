/* Tokens of a DBC file. */
#pragma once

#include <stddef.h>
#include <stdbool.h>

struct dbc_lexer {
	const char *source;
	const char *at;
	const char *end;
	unsigned line;
	/* the token that stands at the reader */
	enum dbc_token {
		TOKEN_END,
		TOKEN_WORD,   /* names and keywords */
		TOKEN_NUMBER, /* 1, -1.5e3 */
		TOKEN_STRING, /* without its quotes; no escapes */
		TOKEN_CHAR,   /* any other */
	} kind;
	const char *text;
	size_t length;
	unsigned token_line;
	bool first; /* of its line, in column one */
};

/* Reads the next token. Errors: -EINVAL: a string has no end (kind is TOKEN_END). */
int dbc_lex(struct dbc_lexer *lexer);

bool dbc_token_is(const struct dbc_lexer *lexer, const char *word);
bool dbc_token_is_char(const struct dbc_lexer *lexer, char c);

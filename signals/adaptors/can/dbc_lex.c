#include "signals/adaptors/can/dbc_lex.h"

#include <errno.h>
#include <string.h>

#include "core/base/str.h"

static bool is_word_char(char c)
{
	return char_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static void skip_blanks(struct dbc_lexer *lexer)
{
	for (; lexer->at < lexer->end; lexer->at++) {
		if (*lexer->at == '\n')
			lexer->line++;
		else if (*lexer->at != ' ' && *lexer->at != '\t' && *lexer->at != '\r')
			return;
	}
}

static int lex_string(struct dbc_lexer *lexer)
{
	const char *close = memchr(lexer->at + 1, '"', (size_t)(lexer->end - lexer->at - 1));
	if (!close) {
		lexer->kind = TOKEN_END;
		return -EINVAL;
	}
	lexer->kind = TOKEN_STRING;
	lexer->text = lexer->at + 1;
	lexer->length = (size_t)(close - lexer->text);
	for (const char *c = lexer->text; c < close; c++)
		lexer->line += *c == '\n';
	lexer->at = close + 1;
	return 0;
}

/* Where a number that begins at @c ends: "-1.5e-3". */
static const char *number_end(const char *c, const char *end)
{
	c += *c == '-' || *c == '+';
	while (c < end && (char_is_digit(*c) || *c == '.'))
		c++;
	if (c < end && (*c | 32) == 'e') {
		const char *exponent = c + 1;
		if (exponent < end && (*exponent == '-' || *exponent == '+'))
			exponent++;
		if (exponent < end && char_is_digit(*exponent)) {
			while (exponent < end && char_is_digit(*exponent))
				exponent++;
			c = exponent;
		}
	}
	return c;
}

int dbc_lex(struct dbc_lexer *lexer)
{
	skip_blanks(lexer);
	lexer->token_line = lexer->line;
	lexer->text = lexer->at;
	lexer->length = 0;
	lexer->first = lexer->at == lexer->source || lexer->at[-1] == '\n';
	if (lexer->at >= lexer->end) {
		lexer->kind = TOKEN_END;
		return 0;
	}
	char c = *lexer->at;
	char next = lexer->at + 1 < lexer->end ? lexer->at[1] : '\0';
	if (c == '"')
		return lex_string(lexer);
	if (char_is_digit(c) || ((c == '-' || c == '+' || c == '.') && (char_is_digit(next) || next == '.'))) {
		lexer->kind = TOKEN_NUMBER;
		lexer->at = number_end(lexer->at, lexer->end);
	} else if (is_word_char(c)) {
		lexer->kind = TOKEN_WORD;
		while (lexer->at < lexer->end && is_word_char(*lexer->at))
			lexer->at++;
	} else {
		lexer->kind = TOKEN_CHAR;
		lexer->at++;
	}
	lexer->length = (size_t)(lexer->at - lexer->text);
	return 0;
}

bool dbc_token_is(const struct dbc_lexer *lexer, const char *word)
{
	return lexer->kind == TOKEN_WORD && strlen(word) == lexer->length && memcmp(lexer->text, word, lexer->length) == 0;
}

bool dbc_token_is_char(const struct dbc_lexer *lexer, char c)
{
	return lexer->kind == TOKEN_CHAR && *lexer->text == c;
}

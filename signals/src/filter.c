#include "signals/src/filter.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "signals/src/datatype.h"
#include "signals/src/number.h"
#include "signals/src/reading.h"

#define NS_PER_SECOND 1e9

enum filter_window {
	WINDOW_NONE,
	WINDOW_ABOVE,
	WINDOW_BELOW,
	WINDOW_INSIDE,
	WINDOW_OUTSIDE,
};

enum word {
	WORD_FOLLOW,
	WORD_ALL,
	WORD_RATE,
	WORD_CHANGE,
	WORD_ABOVE,
	WORD_BELOW,
	WORD_INSIDE,
	WORD_OUTSIDE,
};

/* In the order in which filter_format() writes them. */
static const struct {
	const char *name;
	unsigned numbers;    /* behind "=", joined by ":" */
	bool needs_number;   /* of the signal */
	uint8_t window;
} WORDS[] = {
	[WORD_FOLLOW] = {"follow", 0, false, WINDOW_NONE},   [WORD_ALL] = {"all", 0, false, WINDOW_NONE},
	[WORD_RATE] = {"rate", 1, false, WINDOW_NONE},	     [WORD_CHANGE] = {"change", 1, true, WINDOW_NONE},
	[WORD_ABOVE] = {"above", 1, true, WINDOW_ABOVE},     [WORD_BELOW] = {"below", 1, true, WINDOW_BELOW},
	[WORD_INSIDE] = {"inside", 2, true, WINDOW_INSIDE},  [WORD_OUTSIDE] = {"outside", 2, true, WINDOW_OUTSIDE},
};

static const struct datatype DOUBLE = {.kind = DATATYPE_FLOAT, .bits = 64};

static int find_word(const char *text, size_t length)
{
	for (size_t i = 0; i < ARRAY_COUNT(WORDS); i++)
		if (strlen(WORDS[i].name) == length && memcmp(WORDS[i].name, text, length) == 0)
			return (int)i;
	return -ENOENT;
}

static int parse_double(const char *text, size_t length, double *ret_number)
{
	union number number = {0};
	if (number_parse(&DOUBLE, text, length, &number) < 0)
		return -ENOENT;
	*ret_number = number.d;
	return 0;
}

/* The numbers behind "=": @count of them. */
static int parse_numbers(const char *text, size_t length, unsigned count, double ret_numbers[static 2])
{
	const char *colon = count == 2 ? memchr(text, ':', length) : NULL;
	if (count == 2 && !colon)
		return -ENOENT;
	size_t first = colon ? (size_t)(colon - text) : length;
	int r = parse_double(text, first, &ret_numbers[0]);
	if (r == 0 && colon)
		r = parse_double(colon + 1, length - first - 1, &ret_numbers[1]);
	return r;
}

static int apply_word(struct filter *filter, enum word word, const double numbers[static 2])
{
	switch (word) {
	case WORD_FOLLOW:
		return 0;
	case WORD_ALL:
		filter->all = true;
		return 0;
	case WORD_RATE:
		if (!(numbers[0] > 0) || numbers[0] > FILTER_RATE_MAX || numbers[0] < 1e-6)
			return -ENOENT;
		filter->rate = numbers[0];
		filter->interval_ns = (int64_t)(NS_PER_SECOND / numbers[0]);
		return 0;
	case WORD_CHANGE:
		filter->change = numbers[0];
		return numbers[0] > 0 ? 0 : -ENOENT;
	default:
		if (filter->window != WINDOW_NONE)
			return -ENOENT;
		filter->window = WORDS[word].window;
		filter->low = numbers[0];
		filter->high = WORDS[word].numbers == 2 ? numbers[1] : numbers[0];
		return filter->low <= filter->high ? 0 : -ENOENT;
	}
}

static int parse_item(const char *text, size_t length, const struct datatype *type, unsigned *seen,
		      struct filter *filter)
{
	const char *equals = memchr(text, '=', length);
	size_t name_length = equals ? (size_t)(equals - text) : length;
	int word = find_word(text, name_length);
	if (word < 0 || (WORDS[word].needs_number && !datatype_is_number(type)) || *seen & 1U << word ||
	    (WORDS[word].numbers > 0) != (equals != NULL))
		return -ENOENT;
	*seen |= 1U << word;
	double numbers[2] = {0};
	int r = equals ? parse_numbers(equals + 1, length - name_length - 1, WORDS[word].numbers, numbers) : 0;
	return r < 0 ? r : apply_word(filter, (enum word)word, numbers);
}

int filter_parse(const char *text, size_t length, const struct datatype *type, struct filter *ret_filter)
{
	struct filter filter = {0};
	unsigned seen = 0;
	if (length == 0 || length >= FILTER_TEXT_MAX)
		return -ENOENT;
	const char *end = text + length;
	for (;;) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		int r = parse_item(text, (size_t)((comma ? comma : end) - text), type, &seen, &filter);
		if (r < 0)
			return r;
		if (!comma)
			break;
		text = comma + 1;
	}
	*ret_filter = filter;
	return 0;
}

static size_t add_text(char *text, size_t at, const char *name, const char *numbers)
{
	int n = snprintf(text + at, FILTER_TEXT_MAX - at, "%s%s%s%s", at ? "," : "", name, *numbers ? "=" : "", numbers);
	return n < 0 || at + (size_t)n >= FILTER_TEXT_MAX ? FILTER_TEXT_MAX - 1 : at + (size_t)n;
}

static size_t add_numbers(char *text, size_t at, enum word word, double a, double b)
{
	char first[NUMBER_TEXT_MAX], second[NUMBER_TEXT_MAX], both[2 * NUMBER_TEXT_MAX];
	number_format(&DOUBLE, (union number){.d = a}, first);
	number_format(&DOUBLE, (union number){.d = b}, second);
	bool two = WORDS[word].numbers == 2;
	(void)snprintf(both, sizeof both, "%s%s%s", first, two ? ":" : "", two ? second : "");
	return add_text(text, at, WORDS[word].name, both);
}

size_t filter_format(const struct filter *filter, char ret_text[static FILTER_TEXT_MAX])
{
	size_t at = 0;
	if (filter->all)
		at = add_text(ret_text, at, "all", "");
	if (filter->interval_ns)
		at = add_numbers(ret_text, at, WORD_RATE, filter->rate, 0);
	if (filter->change > 0)
		at = add_numbers(ret_text, at, WORD_CHANGE, filter->change, 0);
	for (size_t i = WORD_ABOVE; i < ARRAY_COUNT(WORDS); i++)
		if (filter->window == WORDS[i].window)
			at = add_numbers(ret_text, at, (enum word)i, filter->low, filter->high);
	return at ? at : add_text(ret_text, at, "follow", "");
}

static bool window_holds(const struct filter *filter, double number)
{
	switch ((enum filter_window)filter->window) {
	case WINDOW_NONE:
		return true;
	case WINDOW_ABOVE:
		return number > filter->low;
	case WINDOW_BELOW:
		return number < filter->low;
	case WINDOW_INSIDE:
		return number >= filter->low && number <= filter->high;
	case WINDOW_OUTSIDE:
		return number < filter->low || number > filter->high;
	}
	return true;
}

static bool is_wanted(const struct filter *filter, const struct filter_state *state, const struct reading *reading)
{
	if (reading->sequence == state->delivered_sequence)
		return false;
	if (!reading->text)
		return state->delivered_available; /* once, and only to who has seen a value */
	if (!window_holds(filter, reading->number))
		return false;
	if (!state->delivered_available)
		return true;
	if (filter->change > 0)
		return fabs(reading->number - state->delivered_number) >= filter->change;
	return filter->all || reading->changed;
}

enum filter_verdict filter_judge(const struct filter *filter, const struct filter_state *state,
				 const struct reading *reading, int64_t now_ns)
{
	if (!is_wanted(filter, state, reading))
		return FILTER_DROP;
	if (filter->interval_ns && state->delivered_sequence && now_ns < filter_due(filter, state))
		return FILTER_WAIT;
	return FILTER_PASS;
}

int64_t filter_due(const struct filter *filter, const struct filter_state *state)
{
	return state->delivered_ns + filter->interval_ns;
}

void filter_delivered(struct filter_state *state, const struct reading *reading, int64_t now_ns)
{
	state->delivered_ns = now_ns;
	state->delivered_available = reading->text != NULL;
	state->delivered_number = reading->number;
	state->delivered_sequence = reading->sequence;
	state->waiting = false;
}

/* See choice.h. */
#include "core/choice.h"

#include "core/string.h"

static size_t length_of(const char *word)
{
	size_t n = 0;

	while (word[n] && word[n] != '|')
		n++;
	return n;
}

/* The word behind this one, or the end of the string. */
static const char *after(const char *word)
{
	word += length_of(word);
	return *word ? word + 1 : word;
}

bool choice_number(const char *words, const char *word, uint64_t *number)
{
	size_t n = strlen(word);

	for (*number = 0; *words; words = after(words), ++*number)
		if (length_of(words) == n && strncmp(words, word, n) == 0)
			return true;
	return false;
}

void choice_word(const char *words, uint64_t number, char *to, size_t size)
{
	size_t n;

	while (number--)
		words = after(words);
	n = length_of(words);
	string_copy(to, words, n < size ? n + 1 : size);
}

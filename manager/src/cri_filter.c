#include <string.h>

#include "core/base/str.h"
#include "manager/src/cri.h"

/* The last of two equal keys counts. */
static const char *label_value(Cri__MapEntry *const *labels, size_t count, const char *key)
{
	for (size_t i = count; i-- > 0;)
		if (str_equal(labels[i]->key, key))
			return labels[i]->value;
	return NULL;
}

bool cri_labels_match(Cri__MapEntry *const *labels, size_t count, Cri__MapEntry *const *selector, size_t selector_count)
{
	for (size_t i = 0; i < selector_count; i++)
		if (!str_equal(label_value(labels, count, selector[i]->key), selector[i]->value))
			return false;
	return true;
}

bool cri_id_matches(const char *id, const char *prefix)
{
	return strncmp(id, prefix, strlen(prefix)) == 0;
}

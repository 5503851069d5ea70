/* Formulas: whatever is read must have a value, or say that it has none. */
#include <stdlib.h>
#include <string.h>

#include "core/base/expression.h"
#include "core/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *text = strndup((const char *)data, size);
	scoped(expression_free) struct expression *expression = NULL;
	if (!text || expression_parse(text, &expression, NULL) < 0)
		return 0;
	struct expression_value value = {0};
	(void)expression_evaluate(expression, &(struct expression_value){.number = 3.5}, &value);
	(void)expression_evaluate(expression, &(struct expression_value){.text = "OPEN"}, &value);
	return 0;
}

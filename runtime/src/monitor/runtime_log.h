/* What a failed runtime has to say, without I/O: the JSON lines of its --log (runc, crun and axrun write the same form:
 * {"level":"error","msg":"...","time":"..."}), or plain text. */
#pragma once

#include <stddef.h>

#define RUNTIME_MESSAGE_MAX 2048

/* Finds the last error in @log (else its last message, else the last line of @text, its stderr) and copies it to
 * @ret_message: one line of valid UTF-8 without control characters, cut at RUNTIME_MESSAGE_MAX; "" where there is none. */
void runtime_log_last_error(const char *log, size_t log_size, const char *text, size_t text_size,
			    char ret_message[static RUNTIME_MESSAGE_MAX]);

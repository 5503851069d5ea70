/* What a channel may say of itself when it is opened. */
#pragma once

enum channel_label {
	CHANNEL_STREAM_TYPE, /* "stdin", "error", "data" ... */
	CHANNEL_PORT,
	CHANNEL_REQUEST_ID,
	CHANNEL_LABEL_COUNT,
};

#include "core/net/http_upgrade.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"

static int read_head(struct http_head_reader *reader, const char *text, size_t *ret_used, struct err *err)
{
	*reader = (struct http_head_reader){.bytes.max = HTTP_HEAD_MAX};
	return http_head_read(reader, text, strlen(text), ret_used, err);
}

START_TEST(a_request_as_crictl_sends_it)
{
	struct http_head_reader reader;
	size_t used = 0;
	const char text[] = "POST /exec/abc?x=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 0\r\nConnection: Upgrade\r\n"
			    "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version:v4.channel.k8s.io \r\n"
			    "x-stream-protocol-version: channel.k8s.io\r\n\r\nrest";
	ck_assert_int_eq(read_head(&reader, text, &used, NULL), 1);
	ck_assert_uint_eq(used, strlen(text) - 4);
	ck_assert_str_eq(reader.head.method, "POST");
	ck_assert_str_eq(reader.head.path, "/exec/abc");
	ck_assert_str_eq(reader.head.query, "x=1");
	ck_assert_uint_eq(reader.head.minor, 1);
	ck_assert_str_eq(http_head_value(&reader.head, "x-stream-protocol-version", 0), "v4.channel.k8s.io");
	ck_assert_str_eq(http_head_value(&reader.head, "x-stream-protocol-version", 1), "channel.k8s.io");
	ck_assert_ptr_null(http_head_value(&reader.head, "x-stream-protocol-version", 2));
	ck_assert(http_head_has_token(&reader.head, "connection", "upgrade"));
	ck_assert(http_head_has_token(&reader.head, "upgrade", "spdy/3.1"));
	ck_assert(!http_head_has_token(&reader.head, "upgrade", "spdy"));
	http_head_reader_done(&reader);
}
END_TEST

START_TEST(a_head_may_come_byte_by_byte)
{
	struct http_head_reader reader = {.bytes.max = HTTP_HEAD_MAX};
	const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive , Upgrade\r\n\r\n";
	for (size_t i = 0; i < strlen(text); i++) {
		size_t used = 0;
		ck_assert_int_eq(http_head_read(&reader, text + i, 1, &used, NULL), i == strlen(text) - 1);
		ck_assert_uint_eq(used, 1);
	}
	ck_assert_ptr_null(reader.head.query);
	ck_assert(http_head_has_token(&reader.head, "connection", "upgrade"));
	ck_assert(http_head_has_token(&reader.head, "connection", "keep-alive"));
	http_head_reader_done(&reader);
}
END_TEST

static const struct {
	const char *text;
	int code;
	const char *reason;
} BAD[] = {
	{"\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / \r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET * HTTP/1.1\r\nHost: a\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", -EBADMSG, "http.malformed"},
	{"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1x\r\nHost: a\r\n\r\n", -EOPNOTSUPP, "http.version"},
	{"PRI / HTTP/2.0\r\n\r\n", -EOPNOTSUPP, "http.version"},
	{"GET / FTP/1.1\r\nHost: a\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", -EBADMSG, "http.malformed"},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", -EOPNOTSUPP, "http.body"},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", -EOPNOTSUPP, "http.body"},
	{"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", -EOPNOTSUPP, "http.body"},
};

START_TEST(what_could_be_read_in_two_ways_is_refused)
{
	struct http_head_reader reader;
	struct err err = {0};
	size_t used = 0;
	ck_assert_int_eq(read_head(&reader, BAD[_i].text, &used, &err), BAD[_i].code);
	ck_assert_str_eq(err.reason, BAD[_i].reason);
	http_head_reader_done(&reader);
}
END_TEST

START_TEST(a_zero_byte_is_refused)
{
	struct http_head_reader reader = {.bytes.max = HTTP_HEAD_MAX};
	size_t used = 0;
	const char text[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
	ck_assert_int_eq(http_head_read(&reader, text, sizeof text - 1, &used, NULL), -EBADMSG);
	http_head_reader_done(&reader);
}
END_TEST

START_TEST(a_long_head_ends)
{
	struct http_head_reader reader = {.bytes.max = HTTP_HEAD_MAX};
	char bytes[1000];
	memset(bytes, 'a', sizeof bytes);
	int r = 0;
	size_t sent = 0;
	while (r == 0) {
		size_t used = 0;
		r = http_head_read(&reader, bytes, sizeof bytes, &used, NULL);
		sent += sizeof bytes;
	}
	ck_assert_int_eq(r, -EMSGSIZE);
	ck_assert_uint_le(sent, HTTP_HEAD_MAX + sizeof bytes);
	ck_assert_uint_le(reader.bytes.size, HTTP_HEAD_MAX);
	http_head_reader_done(&reader);
}
END_TEST

START_TEST(fields_are_counted)
{
	scoped_done(buf_done) struct buf text = {.max = HTTP_HEAD_MAX};
	struct http_head_reader reader = {.bytes.max = HTTP_HEAD_MAX};
	size_t used = 0;
	ck_assert_int_eq(buf_add_text(&text, "GET / HTTP/1.1\r\nHost: a\r\n"), 0);
	for (int i = 0; i < HTTP_HEAD_FIELDS_MAX; i++)
		ck_assert_int_eq(buf_add_text(&text, "a: b\r\n"), 0);
	ck_assert_int_eq(buf_add_text(&text, "\r\n"), 0);
	ck_assert_int_eq(http_head_read(&reader, text.data, text.size, &used, NULL), -EMSGSIZE);
	http_head_reader_done(&reader);
}
END_TEST

START_TEST(answers)
{
	scoped_done(buf_done) struct buf bytes = {.max = 1024};
	const struct http_field field = {"X-Stream-Protocol-Version", "v4.channel.k8s.io"};
	ck_assert_int_eq(http_answer_upgrade("SPDY/3.1", &field, 1, &bytes), 0);
	ck_assert_str_eq(bytes.data, "HTTP/1.1 101 Switching Protocols\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
				     "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n");
	buf_clear(&bytes);
	ck_assert_int_eq(http_answer(404, NULL, 0, "no", &bytes), 0);
	ck_assert_ptr_nonnull(strstr(bytes.data, "HTTP/1.1 404 Not Found\r\n"));
	ck_assert_ptr_nonnull(strstr(bytes.data, "Content-Length: 3\r\n"));
	ck_assert(str_ends_with(bytes.data, "\r\n\r\nno\n"));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, a_request_as_crictl_sends_it);
	tcase_add_test(cases, a_head_may_come_byte_by_byte);
	tcase_add_loop_test(cases, what_could_be_read_in_two_ways_is_refused, 0, ARRAY_COUNT(BAD));
	tcase_add_test(cases, a_zero_byte_is_refused);
	tcase_add_test(cases, a_long_head_ends);
	tcase_add_test(cases, fields_are_counted);
	tcase_add_test(cases, answers);
}

TEST_MAIN("http-upgrade", add_tests)

"""Our server with Debian's grpc library as its client."""
import os
import threading
import time

import grpc
import pytest

MIB = 1 << 20


def failure(call, *arguments, **options):
    """The error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        result = call(*arguments, **options)
        if hasattr(result, "__iter__"):
            list(result)
    return caught.value


def wait_for(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


def test_unary(stub, echo):
    reply = stub.say(echo.EchoRequest(text="grüße", words=["a", "b"]))
    assert (reply.text, reply.number, reply.peer_uid) == ("grüße", 2, os.getuid())


def test_many_calls_at_once(stub, echo):
    calls = [stub.say.future(echo.EchoRequest(text=str(i), delay_ms=i % 7)) for i in range(200)]
    assert [call.result().text for call in calls] == [str(i) for i in range(200)]


def test_server_stream(stub, echo):
    replies = list(stub.count(echo.EchoRequest(count=2000, reply_bytes=500)))
    assert [reply.number for reply in replies] == list(range(2000))
    assert all(len(reply.data) == 500 for reply in replies)


def test_empty_server_stream(stub, echo):
    assert list(stub.count(echo.EchoRequest())) == []


def test_client_stream(stub, echo):
    assert stub.collect(echo.EchoRequest(data=bytes(1000)) for _ in range(500)).number == 500000


def test_both_directions(stub, echo):
    texts = [str(i) for i in range(300)]
    assert [reply.text for reply in stub.chat(echo.EchoRequest(text=text) for text in texts)] == texts


def test_chat_answers_before_the_client_ends(stub, echo):
    wait = threading.Event()

    def requests():
        yield echo.EchoRequest(text="first")
        wait.wait(5)
        yield echo.EchoRequest(text="second")
    replies = stub.chat(requests())
    assert next(replies).text == "first"
    wait.set()
    assert [reply.text for reply in replies] == ["second"]


def test_server_ends_a_stream_that_the_client_keeps_open(stub, echo):
    forever = threading.Event()

    def requests():
        yield echo.EchoRequest(text="end")
        forever.wait(5)
    replies = stub.chat(requests())
    assert [reply.text for reply in replies] == ["end"]
    assert replies.code() == grpc.StatusCode.OK
    forever.set()


def test_errors_carry_status_message_and_reason(stub, echo):
    error = failure(stub.say, echo.EchoRequest(text="no ünit: 100%\n", fail_errno=2, fail_reason="test.reason"))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert error.details() == "no ünit: 100%\n"
    assert dict(error.trailing_metadata())["axle-reason"] == "test.reason"


def test_unknown_methods_are_named(stub, server, echo):
    for call, name in (stub.missing, "axle.test.Echo/Missing"), (stub.nothing, "axle.test.Echo/Nothing"), (
            server.channel().unary_unary("/other.Service/Call"), "other.Service/Call"):
        error = failure(call, b"" if name.startswith("other") else echo.EchoRequest())
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED
        assert name in error.details()


def test_sixteen_mebibytes_pass_and_more_do_not(server, make_stub, echo):
    stub = make_stub(server.channel(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)))
    data = os.urandom(16 * MIB - 100)
    assert stub.say(echo.EchoRequest(data=data)).data == data
    error = failure(stub.say, echo.EchoRequest(data=bytes(16 * MIB)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "the limit is 16777216" in error.details()
    assert failure(stub.say, echo.EchoRequest(data=bytes(64 * MIB))).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stub.say(echo.EchoRequest(text="still there")).text == "still there"


def test_deadline_reaches_the_handler(stub, echo):
    reply = stub.say(echo.EchoRequest(), timeout=30)
    assert 0 < reply.remaining_ns <= 31e9  # the library rounds up
    assert failure(stub.say, echo.EchoRequest(delay_ms=5000), timeout=0.05).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: stub.stats(echo.EchoRequest()).cancelled == 1)


def test_cancelling_reaches_the_handler(stub, echo):
    unary = stub.say.future(echo.EchoRequest(delay_ms=60000))
    stream = stub.count(echo.EchoRequest(count=1000000, reply_bytes=1000))
    next(stream)
    stub.stats(echo.EchoRequest())  # all are there by now
    unary.cancel()
    stream.cancel()
    wait_for(lambda: stub.stats(echo.EchoRequest()).cancelled == 2)


def test_a_vanished_client_cancels_its_calls(server, stub, make_stub, echo):
    other = server.channel(("grpc.use_local_subchannel_pool", 1))
    call = make_stub(other).say.future(echo.EchoRequest(delay_ms=60000))
    make_stub(other).stats(echo.EchoRequest())
    other.close()
    wait_for(lambda: stub.stats(echo.EchoRequest()).cancelled == 1)
    assert call.cancelled() or call.exception() is not None


def test_compressed_messages_are_refused(server, make_stub, echo):
    channel = server.channel(("grpc.default_compression_algorithm", int(grpc.Compression.Gzip)))
    error = failure(make_stub(channel).say, echo.EchoRequest(text="x" * 10000))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "compressed" in error.details()


def test_text_that_is_not_utf8_is_refused(server):
    call = server.channel().unary_unary("/axle.test.Echo/Say")
    error = failure(call, b"\x0a\x02\xff\xfe")
    assert error.code() == grpc.StatusCode.INTERNAL
    assert error.details() == "axle.test.EchoRequest: text: not UTF-8"


def test_a_slow_reader_costs_bounded_memory(server, stub, echo):
    before = server.memory()
    stream = stub.count(echo.EchoRequest(count=100000, reply_bytes=100000))
    next(stream)
    time.sleep(0.5)
    assert server.memory() - before < 4 * MIB
    stream.cancel()


def test_many_large_messages_at_once_cost_bounded_memory(server, make_stub, echo):
    """Each call may fail for want of memory, the server may not."""
    stub = make_stub(server.channel(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)))
    calls = [stub.collect.future(iter([echo.EchoRequest(data=bytes(15 * MIB), delay_ms=0)])) for _ in range(20)]
    codes = {call.code() for call in calls}
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert server.memory() < 300 * MIB
    assert stub.say(echo.EchoRequest(text="still there")).text == "still there"


def test_shutting_down_finishes_what_runs(server, stub, echo):
    call = stub.say.future(echo.EchoRequest(text="late", delay_ms=300))
    stub.stats(echo.EchoRequest())
    server.process.terminate()
    assert call.result().text == "late"
    assert server.process.wait(5) == 0

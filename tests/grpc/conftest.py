"""axle.test.Echo (core/net/tests/) with Debian's grpc library at the other end."""
import functools
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
from concurrent import futures

import grpc
import pytest

ROOT = pathlib.Path(__file__).parents[2]
SERVICE = "axle.test.Echo"


@functools.lru_cache(maxsize=None)
def messages():
    folder = tempfile.mkdtemp(prefix="proto-")
    subprocess.run(["protoc", f"-I{ROOT}/core/net/tests", "-I/usr/include", f"--python_out={folder}", "echo.proto",
                    "/usr/include/protobuf-c/protobuf-c.proto"], check=True)
    sys.path.insert(0, folder)
    return importlib.import_module("echo_pb2")


@pytest.fixture(scope="session")
def echo():
    """The module of the messages."""
    return messages()


@pytest.fixture
def program(stage):
    """grpc_echo lies in the build folder, beside the installed tree: it is never installed."""
    path = os.path.join(stage.build, "core/net/grpc_echo")
    assert os.access(path, os.X_OK), f"{path} is not built"
    return path


class Server:
    """Our server in a process of its own."""

    def __init__(self, program, socket, *arguments):
        self.socket = str(socket)
        with open(program, "rb") as file:
            self.sanitized = b"__asan_init" in file.read()
        self.process = subprocess.Popen([program, "serve", self.socket, *arguments], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        self.channels = []

    def channel(self, *options):
        channel = grpc.insecure_channel("unix://" + self.socket, options=options)
        self.channels.append(channel)
        return channel

    def memory(self):
        """Private bytes. A sanitizer keeps freed memory: under one there is nothing to measure."""
        if self.sanitized:
            return 0
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="utf-8") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(("Private_Dirty:", "Private_Clean:")))

    def stop(self):
        for channel in self.channels:
            channel.close()
        self.process.terminate()
        code = self.process.wait(10)
        self.process.stdout.close()
        return code


@pytest.fixture
def make_server(program, folder):
    servers = []

    def make(*arguments):
        servers.append(Server(program, folder / f"echo{len(servers)}.sock", *arguments))
        return servers[-1]
    yield make
    for server in servers:
        # 3: handles were left open when the loop ended
        assert server.stop() == 0


@pytest.fixture
def server(make_server):
    return make_server()


class Stub:
    """The methods of the service on one channel."""

    def __init__(self, echo, channel):
        def method(kind, name):
            return getattr(channel, kind)(f"/{SERVICE}/{name}", request_serializer=echo.EchoRequest.SerializeToString,
                                          response_deserializer=echo.EchoReply.FromString)
        self.say = method("unary_unary", "Say")
        self.count = method("unary_stream", "Count")
        self.collect = method("stream_unary", "Collect")
        self.chat = method("stream_stream", "Chat")
        self.stats = method("unary_unary", "Stats")
        self.missing = method("unary_unary", "Missing")
        self.nothing = method("unary_unary", "Nothing")


@pytest.fixture
def stub(echo, server):
    return Stub(echo, server.channel())


@pytest.fixture
def make_stub(echo):
    return lambda channel: Stub(echo, channel)


@pytest.fixture
def python_server(echo, folder):
    """The same service by Debian's library; returns its socket."""
    def say(request, context):
        if request.text == "fail":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such thüng: 100%")
        return echo.EchoReply(text=request.text)

    def count(request, context):
        for number in range(request.count):
            yield echo.EchoReply(number=number, data=bytes(request.reply_bytes))

    def chat(requests, context):
        for number, request in enumerate(requests):
            yield echo.EchoReply(number=number, data=request.data)

    def handler(kind, function):
        return getattr(grpc, kind)(function, request_deserializer=echo.EchoRequest.FromString,
                                   response_serializer=echo.EchoReply.SerializeToString)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {
        "Say": handler("unary_unary_rpc_method_handler", say),
        "Count": handler("unary_stream_rpc_method_handler", count),
        "Chat": handler("stream_stream_rpc_method_handler", chat)}),))
    socket = str(folder / "python.sock")
    server.add_insecure_port("unix://" + socket)
    server.start()
    yield socket
    server.stop(None).wait()

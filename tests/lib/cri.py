"""A CRI client over any CRI socket, from the published names: requests and answers are plain dicts.

    cri.RunPodSandbox(config={"metadata": {...}})["pod_sandbox_id"]"""
import functools
import glob
import importlib
import os
import subprocess
import sys
import tempfile

import grpc
from google.protobuf import json_format

CALL_SECONDS = 60


@functools.lru_cache(maxsize=None)
def compiled(root, pattern):
    """Modules that protoc makes of proto/ files, by their paths below proto/."""
    folder = tempfile.mkdtemp(prefix="proto-")
    paths = sorted(glob.glob(os.path.join(root, "proto", pattern), recursive=True))
    subprocess.run(["protoc", f"-I{root}", "-I/usr/include", f"--python_out={folder}", *paths,
                    "/usr/include/protobuf-c/protobuf-c.proto"], check=True)
    sys.path.insert(0, folder)
    return [importlib.import_module(os.path.relpath(path, root)[:-len(".proto")].replace("/", ".") + "_pb2")
            for path in paths]


class Client:
    """Calls by name, of all services that the modules define."""

    def __init__(self, socket, modules, receive_bytes=None):
        # a connection of its own: a shared one may be that to a server which has died since
        options = [("grpc.use_local_subchannel_pool", 1)]
        if receive_bytes:
            options.append(("grpc.max_receive_message_length", receive_bytes))
        self.channel = grpc.insecure_channel("unix://" + socket, options=options)
        self.methods = {}
        for module in modules:
            for service in module.DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    self.methods[method.name] = self.methods[f"{service.name}.{method.name}"] = method

    def __getattr__(self, name):
        if name not in self.methods:
            raise AttributeError(f"no service has a method {name}")
        method = self.methods[name]
        request_type = method.input_type._concrete_class
        answer_type = method.output_type._concrete_class
        path = f"/{method.containing_service.full_name}/{method.name}"
        call = self.channel.unary_unary(path, request_serializer=request_type.SerializeToString,
                                        response_deserializer=answer_type.FromString)

        def invoke(call_seconds=CALL_SECONDS, **fields):  # `timeout` is a field of some requests
            answer = call(json_format.ParseDict(fields, request_type()), timeout=call_seconds)
            return json_format.MessageToDict(answer, preserving_proto_field_name=True)
        return invoke

    def close(self):
        self.channel.close()


def pairs(mapping):
    """Labels and annotations: our .proto spells a map as a list of entries (the same bytes)."""
    return [{"key": key, "value": value} for key, value in mapping.items()]


def connect(root, socket, receive_bytes=None):
    """@receive_bytes: the largest answer that is taken; a kubelet takes 16 MiB, the library's default is 4 MiB."""
    return Client(socket, compiled(root, "cri/**/*.proto"), receive_bytes)

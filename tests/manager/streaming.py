"""Calls of CRI that answer with a stream, for the clients of tests/lib/cri.py."""
import threading

from google.protobuf import json_format


class Stream:
    """A stream that is read in a thread: its messages are dicts in `messages`, its end is `status` (None: OK)."""

    def __init__(self, client, name, **fields):
        method = client.methods[name]
        answer = method.output_type._concrete_class
        start = client.channel.unary_stream(f"/{method.containing_service.full_name}/{method.name}",
                                            request_serializer=method.input_type._concrete_class.SerializeToString,
                                            response_deserializer=answer.FromString)
        self.call = start(json_format.ParseDict(fields, method.input_type._concrete_class()), timeout=120)
        self.messages, self.ended, self.details = [], False, ""
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            for message in self.call:
                self.messages.append(json_format.MessageToDict(message, preserving_proto_field_name=True))
        except Exception:  # the status says which
            pass
        self.code, self.details = self.call.code().name, self.call.details()
        self.ended = True

    def join(self, seconds=60):
        self.thread.join(seconds)
        assert self.ended, "the stream did not end"
        return self.messages

    def cancel(self):
        self.call.cancel()
        self.thread.join(60)


def collect(client, name, **fields):
    """The messages of a stream that ends by itself, well."""
    stream = Stream(client, name, **fields)
    messages = stream.join()
    assert stream.code == "OK", (stream.code, stream.details)
    return messages

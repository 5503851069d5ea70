"""Protobuf by hand for CRI: encodes and decodes by the numbers of cri_wire.txt, with neither protobuf nor our .proto files, so
that a wrong number or type of ours cannot hide behind the same mistake on both sides."""
import os
import struct

VARINT, FIXED64, BYTES = 0, 1, 2
WIRE_TYPES = {"string": BYTES, "bytes": BYTES, "bool": VARINT, "int": VARINT, "double": FIXED64}


def read_table(path=os.path.join(os.path.dirname(os.path.abspath(__file__)), "cri_wire.txt")):
    """(messages, enumerations, calls): name -> {field: (number, kind, repeated)}, {value: number}, (request, answer, streams)."""
    messages, enums, calls = {}, {}, {}
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(":", 1) for line in file if not line.startswith("#")]
    for name, rest in lines:
        words = rest.split()
        if name.startswith("enum "):
            enums[name[5:]] = {word.split("=")[0]: int(word.split("=")[1]) for word in words}
        elif name.startswith("rpc "):
            calls[name[4:]] = (words[0], words[-1], "stream" in words)
        else:
            messages[name] = {word.split("=")[0]: field(word.split("=")[1]) for word in words}
    return messages, enums, calls


def field(text):
    number, kind = text.split(":")
    return int(number), kind.lstrip("*"), kind.startswith("*")


MESSAGES, ENUMS, CALLS = read_table()


def varint(value):
    value &= (1 << 64) - 1  # negative numbers are ten bytes
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_value(kind, value):
    if kind == "double":
        return struct.pack("<d", value)
    if WIRE_TYPES.get(kind, BYTES) == VARINT:
        return varint(int(value))
    data = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else encode(kind, value)
    return varint(len(data)) + data


def encode(message, values):
    """@values: field -> value; a repeated field's is a list, a map's a dict, a message's a dict."""
    out = b""
    for name, value in values.items():
        number, kind, repeated = MESSAGES[message][name]
        tag = varint(number << 3 | WIRE_TYPES.get(kind, BYTES))
        if kind == "MapEntry" and isinstance(value, dict):
            value = [{"key": key, "value": entry} for key, entry in value.items()]
        if repeated and WIRE_TYPES.get(kind, BYTES) != BYTES:  # packed
            data = b"".join(encode_value(kind, one) for one in value)
            out += varint(number << 3 | BYTES) + varint(len(data)) + data
        else:
            out += b"".join(tag + encode_value(kind, one) for one in (value if repeated else [value]))
    return out


def take_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def take(data, at, wire):
    if wire == VARINT:
        return take_varint(data, at)
    if wire == FIXED64:
        return data[at:at + 8], at + 8
    assert wire == BYTES, f"wire type {wire}"
    length, at = take_varint(data, at)
    assert at + length <= len(data), "cut off"
    return data[at:at + length], at + length


def decode_value(kind, raw):
    if kind == "string":
        return raw.decode()
    if kind == "bytes":
        return bytes(raw)
    if kind == "double":
        return struct.unpack("<d", raw)[0]
    if kind in WIRE_TYPES:
        return bool(raw) if kind == "bool" else signed(raw)
    return decode(kind, raw)


def decode(message, data):
    """The fields that are there. An unknown number, or another wire type than the kind's, is an error."""
    by_number = {number: (name, kind, repeated) for name, (number, kind, repeated) in MESSAGES[message].items()}
    values, at = {}, 0
    while at < len(data):
        tag, at = take_varint(data, at)
        assert tag >> 3 in by_number, f"{message} has no field {tag >> 3}"
        name, kind, repeated = by_number[tag >> 3]
        raw, at = take(data, at, tag & 7)
        wanted = WIRE_TYPES.get(kind, BYTES)
        if repeated and wanted != BYTES and tag & 7 == BYTES:
            inside = 0
            while inside < len(raw):
                one, inside = take(raw, inside, wanted)
                values.setdefault(name, []).append(decode_value(kind, one))
            continue
        assert tag & 7 == wanted, f"{message}.{name}: wire type {tag & 7}, expected {wanted}"
        if repeated:
            values.setdefault(name, []).append(decode_value(kind, raw))
        else:
            values[name] = decode_value(kind, raw)
    return {name: {entry["key"]: entry.get("value", "") for entry in value} if is_map(message, name) else value
            for name, value in values.items()}


def is_map(message, name):
    return MESSAGES[message][name][1] == "MapEntry"


class RawClient:
    """Calls with bytes of our own making: raw("RuntimeService.Version", {"version": "v1"}) -> (values, bytes of the answer)."""

    def __init__(self, channel):
        self.channel = channel

    def __call__(self, name, values=None, seconds=60):
        service, method = name.split(".")
        request, answer, _ = CALLS[name]
        call = self.channel.unary_unary(f"/runtime.v1.{service}/{method}", request_serializer=None, response_deserializer=None)
        data = call(encode(request, values or {}), timeout=seconds)
        return decode(answer, data), data

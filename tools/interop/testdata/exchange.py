"""The exchange format of ../doc.go."""
import struct


def _take(data, at):
    (size,) = struct.unpack_from(">i", data, at)
    at += 4
    if size < 0:
        return None, at
    return bytes(data[at:at + size]), at + size


def read(path):
    """Yields key, value, [(header key, header value)]."""
    with open(path, "rb") as f:
        data = memoryview(f.read())
    at = 0
    while at < len(data):
        key, at = _take(data, at)
        value, at = _take(data, at)
        (count,) = struct.unpack_from(">i", data, at)
        at += 4
        headers = []
        for _ in range(count):
            k, at = _take(data, at)
            v, at = _take(data, at)
            headers.append((k.decode(), v))
        yield key, value, headers


def _bytes(field):
    if field is None:
        return struct.pack(">i", -1)
    return struct.pack(">i", len(field)) + field


def write(f, partition, offset, key, value, headers):
    f.write(struct.pack(">iq", partition, offset) + _bytes(key) + _bytes(value) + struct.pack(">i", len(headers)))
    for k, v in headers:
        f.write(_bytes(k.encode()) + _bytes(v))

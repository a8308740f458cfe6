"""Verifies an exported log, written from the specifications alone (RFC 6962, RFC 8032, C2SP signed-note,
tlog-checkpoint and tlog-tiles, and docs/FORMAT.md), with the standard library alone: a stranger's second
opinion on what `genetrail verify` says.

usage: verify_export.py DIRECTORY VKEY
Prints "ok SIZE" and exits with 0, or prints the first wrong place and exits with 1.
"""

import base64
import hashlib
import os
import sys

# Ed25519, RFC 8032 section 5.1, over plain integers: slow, and short enough to be read. A point is
# (X, Y, Z, T) with x = X/Z, y = Y/Z and xy = T/Z.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    a, b = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)
    c, d = 2 * D * t1 * t2, 2 * z1 * z2
    e, f, g, h = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def is_same(a, b):
    (x1, y1, z1, _), (x2, y2, z2, _) = a, b
    return (x1 * z2 - x2 * z1) % P == 0 == (y1 * z2 - y2 * z1) % P


def times(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point = add(point, point)
        n >>= 1
    return total


def decompress(data):
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if P <= y:
        raise ValueError("not a canonical point")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        raise ValueError("not a point")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(key, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or L <= s:
        return False
    h = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    return is_same(times(s, BASE), add(decompress(r), times(h, decompress(key))))


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree_hash(leaves):
    """MTH of RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(tree_hash(leaves[:k]), tree_hash(leaves[k:]))


class Wrong(Exception):
    pass


def demand(holds, what):
    if not holds:
        raise Wrong(what)


def strict_base64(text):
    data = base64.b64decode(text, validate=True)
    demand(base64.b64encode(data).decode() == text, "base64 that is not canonical")
    return data


def tile_path(kind, index, width):
    parts = ["%03d" % (index % 1000)]
    while 1000 <= index:
        index //= 1000
        parts.insert(0, "x%03d" % (index % 1000))
    path = "tile/%s/%s" % (kind, "/".join(parts))
    return path if width == 256 else "%s.p/%d" % (path, width)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """The fields of a protobuf message, in their order."""
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
            demand(len(value) == length, "a field runs over the end")
        else:
            raise Wrong("wire type %d" % (key & 7))
        found.append((key >> 3, value))
    return found


def open_checkpoint(note, vkey):
    name, key_id, key = vkey.split("+", 2)
    key = strict_base64(key)
    demand(key[0] == 1 and len(key) == 33, "the verifier key is not Ed25519")
    computed = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    demand(computed.hex() == key_id, "the verifier key's id")
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    demand(signatures.endswith("\n"), "the last signature line has no end")
    good = 0
    for line in signatures[:-1].split("\n"):
        dash, signer, signature = line.split(" ")
        signature = strict_base64(signature)
        if dash == "\u2014" and signer == name and signature[:4] == computed:
            demand(is_signed(key[1:], text.encode(), signature[4:]), "the checkpoint's signature")
            good += 1
    demand(good, "no signature by the key")
    origin, size, root, rest = text.split("\n")
    demand(origin == name and rest == "" and str(int(size)) == size, "the checkpoint's text")
    return int(size), strict_base64(root)


def verify(directory, vkey):
    def read(path):
        with open(os.path.join(directory, path), "rb") as file:
            return file.read()

    demand(read("log.vkey").decode() == vkey + "\n", "log.vkey")
    size, root = open_checkpoint(read("checkpoint").decode(), vkey)
    expected = {"checkpoint", "log.vkey"}

    previous, last_time, leaves = bytes(32), (0, 0), []
    for bundle in range((size + 255) // 256):
        width = min(256, size - 256 * bundle)
        path = tile_path("entries", bundle, width)
        expected.add(path)
        data, at = read(path), 0
        for place in range(width):
            index = 256 * bundle + place
            length = int.from_bytes(data[at : at + 2], "big")
            entry = data[at + 2 : at + 2 + length]
            demand(len(entry) == length, "%s ends within entry %d" % (path, index))
            at += 2 + length
            found = fields(entry)
            numbers = [number for number, _ in found]
            demand(numbers == sorted(set(numbers)), "entry %d: the order of its fields" % index)
            entry_fields = dict(found)
            demand(entry_fields.get(1, 0) == index, "entry %d: its index" % index)
            demand(entry_fields[2] == previous, "entry %d: the chain" % index)
            time = dict(fields(entry_fields[3]))
            time = (time.get(1, 0), time.get(2, 0))
            demand(last_time <= time, "entry %d: its time" % index)
            demand(len(entry_fields[4]) == 16, "entry %d: its salt" % index)
            last_time, previous = time, leaf_hash(entry)
            leaves.append(previous)
        demand(at == len(data), "%s is longer than its entries" % path)

    level, hashes = 0, leaves
    while hashes:
        roots = []
        for tile in range((len(hashes) + 255) // 256):
            of_tile = hashes[256 * tile : 256 * tile + 256]
            path = tile_path(str(level), tile, len(of_tile))
            expected.add(path)
            demand(read(path) == b"".join(of_tile), path)
            if len(of_tile) == 256:
                roots.append(tree_hash(of_tile))
        level, hashes = level + 1, roots
    demand(tree_hash(leaves) == root, "the root hash")

    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), directory)
            demand(path in expected, "%s is not part of the log" % path)
    return size


if __name__ == "__main__":
    try:
        print("ok", verify(sys.argv[1], sys.argv[2]))
    except (Wrong, ValueError, KeyError, IndexError, OSError) as error:
        print("wrong:", error)
        sys.exit(1)

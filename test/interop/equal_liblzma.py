#!/usr/bin/env python3
"""Our LZMA decoder against liblzma: streams of many kinds become the same bytes; of damaged ones both say the same."""
from common import *  # noqa: F403
import lzma
import random
import struct

KINDS = {"xz": 0, "lzma2": 1}
CHECKS = [lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256]
chance = random.Random(20)


def ours(streams):
    """of (kind, data, size) each: its bytes, or None where it is refused as damaged; anything else is a failure"""
    frames = b"".join(struct.pack("<BII", KINDS[kind], size, len(data)) + data for kind, data, size in streams)
    script = os.path.join(TOP, "test", "interop", "lzma_decode.mjs")
    done = subprocess.run([node(), script], input=frames, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    out, at = [], 0
    while at < len(done.stdout):
        status, size = struct.unpack_from("<BI", done.stdout, at)
        data = done.stdout[at + 5:at + 5 + size]
        assert status < 2, f"stream {len(out)} ends in {data.decode()}"
        out.append(data if status else None)
        at += 5 + size
    assert len(out) == len(streams)
    return out


def filters(**options):
    return [{"id": lzma.FILTER_LZMA2, "preset": 6, **options}]


def lzma2(plain, **options):
    return lzma.compress(plain, format=lzma.FORMAT_RAW, filters=filters(**options))


def truth(data, size):
    """of bare LZMA2: what liblzma makes of it, None where it refuses, or would give another number of bytes"""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters())
    try:
        plain = decoder.decompress(data + bytes(8))
    except lzma.LZMAError:
        return None
    return plain if decoder.eof and len(plain) == size else None


def floats(n):
    return b"".join(struct.pack(">f", chance.gauss(50, 20)) for _ in range(n))


def offsets(n):
    return b"".join(struct.pack(">I", 4 * i + chance.randrange(3)) for i in range(n))


def repeats(n):
    """matches of all lengths at small and odd distances"""
    out = bytearray(b"colweave")
    while len(out) < n:
        distance = min(len(out), chance.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 31, 64, 200]))
        for _ in range(chance.randrange(2, 300)):
            out.append(out[-distance])
        out += chance.randbytes(chance.randrange(4))
    return bytes(out[:n])


PLAINS = {
    "nothing": b"", "a byte": b"x", "two bytes": b"ab", "a run": b"a" * 1000, "zeros": bytes(3_000_000), "floats": floats(8000), "offsets": offsets(3000),
    "noise": chance.randbytes(3000), "much noise": chance.randbytes(150_000), "many floats": floats(100_000), "repeats": repeats(30_000),
    "some of each": floats(3000) + chance.randbytes(70_000) + bytes(5000) + offsets(4000) + repeats(9000),
    "far matches": chance.randbytes(70_000) * 2 + chance.randbytes(10) * 7000,
}


def compare(streams):
    """of (name, kind, data, plain)"""
    for (name, _, _, plain), got in zip(streams, ours([(kind, data, len(plain)) for _, kind, data, plain in streams])):
        assert got == plain, f"{name}: {'refused' if got is None else 'other bytes'}"
    return f"{len(streams)} streams"


with case("presets 0 to 9 and extreme, four checks") as notes:
    streams = []
    for name, plain in PLAINS.items():
        for preset in range(10) if len(plain) < 40_000 else (0, 6):
            for extreme in (0, lzma.PRESET_EXTREME):
                data = lzma.compress(plain, preset=preset | extreme, check=CHECKS[(preset + len(plain)) % 4])
                streams.append((f"{name}, preset {preset}, check {(preset + len(plain)) % 4}", "xz", data, plain))
    notes.append(compare(streams))

with case("all lc, lp, pb") as notes:
    kinds = [(lc, lp, pb) for lc in range(5) for lp in range(5 - lc) for pb in range(5)]
    notes.append(compare([
        (f"{name}, {kind}", "lzma2", lzma2(PLAINS[name][:6000], lc=kind[0], lp=kind[1], pb=kind[2]), PLAINS[name][:6000])
        for kind in kinds for name in ("floats", "offsets", "repeats")
    ]))

with case("modes, match finders, nice lengths, small dictionaries") as notes:
    plain = PLAINS["some of each"]
    notes.append(compare([
        (f"{options}", "lzma2", lzma2(plain, **options), plain)
        for options in [
            *(dict(mode=mode, mf=mf, nice_len=nice) for mode in (lzma.MODE_FAST, lzma.MODE_NORMAL) for mf in (lzma.MF_HC3, lzma.MF_HC4, lzma.MF_BT2, lzma.MF_BT4) for nice in (5, 273)),
            dict(dict_size=4096), dict(dict_size=65536),
        ]
    ]))

with case("resets of the dictionary, the properties and the state in the middle") as notes:
    parts = [("floats", dict(lc=3)), ("noise", {}), ("repeats", dict(lc=0, lp=2, pb=0)), ("some of each", {}), ("offsets", dict(lc=4, pb=4)), ("repeats", {})]
    plain = b"".join(PLAINS[name] for name, _ in parts)
    data = b"".join(lzma2(PLAINS[name], **options)[:-1] for name, options in parts) + b"\0"
    assert truth(data, len(plain)) == plain
    notes.append(compare([("resets", "lzma2", data, plain)]))

if shutil.which("xz"):
    with case("many blocks") as notes:
        def blocks(plain, size):
            return subprocess.run(["xz", "-c", "-T1", f"--block-size={size}"], input=plain, stdout=subprocess.PIPE, check=True).stdout
        some = PLAINS["some of each"]
        notes.append(compare([(f"blocks of {size}", "xz", blocks(plain, size), plain) for size, plain in ((1, some[:60]), (300, some[:20_000]), (70_000, some))]))
else:
    skip("many blocks", "xz is not installed")


def damaged(data):
    """each byte changed in three ways"""
    for at in range(len(data)):
        for change in (1 << chance.randrange(8), 0xFF, chance.randrange(1, 255)):
            yield data[:at] + bytes([data[at] ^ change]) + data[at + 1:]


with case("bare LZMA2, each byte changed: the same verdict, and the same bytes where there is no check") as notes:
    plain = floats(60) + repeats(1500) + PLAINS["offsets"][:200]
    alike = 0
    for data in (lzma2(plain), lzma2(plain, lc=0, lp=2, pb=1), lzma2(plain)[:-1] + lzma2(PLAINS["noise"][:50])):
        size = len(lzma.decompress(data, format=lzma.FORMAT_RAW, filters=filters()))
        streams = list(damaged(data))
        for one, got in zip(streams, ours([("lzma2", one, size) for one in streams])):
            assert got == truth(one, size), f"{one.hex()}: we say {got and got.hex()}"
            alike += got is not None
    assert alike > 0
    notes.append(f"{alike} taken by both")

with case("xz streams, each byte changed and cut everywhere: the right bytes or a refusal") as notes:
    plain = floats(60) + repeats(700)
    taken = 0
    for check in CHECKS[1:]:
        data = lzma.compress(plain, check=check)
        changed = list(damaged(data))
        cuts = [data[:size] for size in range(len(data))]
        got = ours([("xz", one, len(plain)) for one in changed + cuts])
        assert all(one in (None, plain) for one in got)
        assert got[len(changed):] == [None] * len(cuts), "a cut stream is taken"
        taken += sum(one is not None for one in got)
    notes.append(f"{taken} taken all the same: their padding or sizes say nothing of the data")

finish()

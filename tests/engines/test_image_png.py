"""A stranger's picture: read as it was asked for, or refused with bounded work."""

import io
import struct
import zlib

import numpy as np
import pytest

from ranvier.engines.image.png import SIGNATURE, BadPicture, read_png

RNG = np.random.default_rng(7)
PICTURE = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
SMOOTH = np.add.outer(np.arange(32), np.arange(32))[..., None].repeat(3, 2).astype(np.uint8)


def chunk(kind, body=b""):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width=32, height=32, depth=8, colour=2, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def raw(pixels, kind=0):
    return b"".join(bytes([kind]) + row.tobytes() for row in pixels)


def file(*chunks):
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND")


@pytest.mark.parametrize("pixels", [PICTURE, SMOOTH], ids=["noise", "smooth"])
@pytest.mark.parametrize("optimize", [False, True])
def test_reads_what_pillow_writes(pixels, optimize):
    image, info = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.PngImagePlugin")
    text = info.PngInfo()
    text.add_text("model", "a" * 64)
    sink = io.BytesIO()
    image.fromarray(pixels).save(sink, "PNG", pnginfo=text, optimize=optimize)
    assert np.array_equal(read_png(sink.getvalue(), 32, 32), pixels)


@pytest.mark.parametrize("kind", range(5))
def test_every_row_filter_is_undone_as_pillow_does(kind):
    image = pytest.importorskip("PIL.Image")
    data = file(header(), chunk(b"IDAT", zlib.compress(raw(PICTURE, kind))))
    assert np.array_equal(read_png(data, 32, 32), np.asarray(image.open(io.BytesIO(data))))


def test_pixel_data_may_come_in_pieces():
    packed = zlib.compress(raw(PICTURE))
    data = file(header(), chunk(b"IDAT", packed[:50]), chunk(b"IDAT", packed[50:]))
    assert np.array_equal(read_png(data, 32, 32), PICTURE)


GOOD = file(header(), chunk(b"IDAT", zlib.compress(raw(PICTURE))))
BODY = chunk(b"IDAT", zlib.compress(raw(PICTURE)))
BAD = {
    "nothing": b"",
    "not a png": b"GIF89a" + bytes(100),
    "no chunks": SIGNATURE,
    "cut off": GOOD[:-20],
    "more after the end": GOOD + b"x",
    "damaged": GOOD[:200] + bytes([GOOD[200] ^ 1]) + GOOD[201:],
    "larger": file(header(64, 64), BODY),
    "huge header": file(header(65535, 65535), BODY),
    "grey": file(header(colour=0), BODY),
    "with alpha": file(header(colour=6), BODY),
    "sixteen bits": file(header(depth=16), BODY),
    "interlaced": file(header(interlace=1), BODY),
    "two headers": file(header(), header(), BODY),
    "no header": file(BODY),
    "no pixels": file(header()),
    "too few rows": file(header(), chunk(b"IDAT", zlib.compress(raw(PICTURE[:31])))),
    "not compressed": file(header(), chunk(b"IDAT", raw(PICTURE)[:1000])),
    "unknown filter": file(header(), chunk(b"IDAT", zlib.compress(raw(PICTURE, 9)))),
    "compressed text": file(header(), chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20))), BODY),
    "colour profile": file(header(), chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(1 << 20))), BODY),
    "animation": file(header(), chunk(b"acTL", bytes(8)), BODY),
    "huge length": SIGNATURE + struct.pack(">I4s", 0xFFFFFFFF, b"IHDR") + bytes(50),
    "too many bytes": file(header(), chunk(b"tEXt", bytes(8000)), BODY),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_refuses(data):
    with pytest.raises(BadPicture):
        read_png(data, 32, 32)


def test_a_bomb_is_not_unpacked():
    packed = zlib.compress(bytes(1 << 20), 9)
    with pytest.raises(BadPicture, match="another size"):
        read_png(file(header(), chunk(b"IDAT", packed)), 32, 32)


def test_any_cut_and_any_flipped_bit_is_refused_or_read_never_worse():
    for place in range(0, len(GOOD), 37):
        for data in (GOOD[:place], GOOD[:place] + bytes([GOOD[place] ^ 0x10]) + GOOD[place + 1 :]):
            with pytest.raises(BadPicture):
                read_png(data, 32, 32)

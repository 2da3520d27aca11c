"""Shrinks a dropped PPM picture to a quarter: every fourth pixel of every fourth line."""

import os
import pathlib
from urllib.parse import unquote_plus

# Code folders lie two folders below the project.
PROJECT = pathlib.Path(os.environ["LAMBDA_TASK_ROOT"]).parent.parent
STEP = 4


def handler(event, context):
    record = event["Records"][0]["s3"]
    key = unquote_plus(record["object"]["key"])
    picture = (PROJECT / os.environ["UPLOADS"] / key).read_bytes()
    width, height, pixels = parse(picture)
    small = shrink(width, height, pixels)
    target = PROJECT / os.environ["THUMBS"] / pathlib.Path(key).name
    target.write_bytes(small)
    print(f"resized {key} from {width}x{height}, {len(small)} bytes")
    return {"ok": True, "thumbnail": target.name}


def parse(picture):
    """Width, height and pixels (three bytes each) of a binary PPM (P6) picture."""
    magic, width, height, depth, pixels = picture.split(maxsplit=4)
    if magic != b"P6" or depth != b"255":
        raise ValueError("not a PPM picture of type P6 with 255 shades")
    return int(width), int(height), pixels


def shrink(width, height, pixels):
    lines = []
    for y in range(0, height, STEP):
        line = pixels[y * width * 3 : (y + 1) * width * 3]
        lines.append(b"".join(line[x * 3 : x * 3 + 3] for x in range(0, width, STEP)))
    small = (width + STEP - 1) // STEP, len(lines)
    return b"P6 %d %d 255\n" % small + b"".join(lines)

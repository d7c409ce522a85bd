"""Runs a program on a terminal of its own and draws what it shows there."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pyte
from PIL import Image, ImageDraw, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono"
# As xterm names them, on a dark ground.
COLOURS = {
    "default": "#d4d7dd", "black": "#3b4048", "red": "#ff6b68", "green": "#7ccf7c", "brown": "#e5c06a",
    "blue": "#6ea8ff", "magenta": "#d08cff", "cyan": "#62cfd6", "white": "#d4d7dd", "brightblack": "#7d8590",
    "brightred": "#ff8a87", "brightgreen": "#9be89b", "brightbrown": "#ffd98a", "brightyellow": "#ffd98a",
    "brightblue": "#93c0ff", "brightmagenta": "#e0b0ff", "brightcyan": "#8ae8ee", "brightwhite": "#ffffff",
}
# What 256 colours call the first eight.
FIRST = {"cd0000": "red", "00cd00": "green", "cdcd00": "brown", "0000ee": "blue", "e5e5e5": "white"}
GROUND = "#14171c"


def show(command, folder, seconds, keys=b"", size=(118, 34)):
    """The screen after some seconds; `keys` are typed half way through."""
    columns, rows = size
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = dict(os.environ, TERM="xterm-256color", COLORTERM="truecolor")
    program = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
                               start_new_session=True)
    os.close(theirs)
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        if keys and passed > seconds / 2:
            os.write(ours, keys)
            keys = b""
        if select.select([ours], [], [], 0.1)[0]:
            stream.feed(os.read(ours, 65536))
    assert program.poll() is None, f"it has ended:\n{chr(10).join(screen.display)}"
    program.terminate()
    program.wait(10)
    os.close(ours)
    return screen


def draw(screen, path, pixels=15):
    plain = ImageFont.truetype(f"{FONTS}.ttf", pixels)
    bold = ImageFont.truetype(f"{FONTS}-Bold.ttf", pixels)
    width, height = round(plain.getlength("M")), pixels + 4
    picture = Image.new("RGB", ((screen.columns + 2) * width, (screen.lines + 1) * height), GROUND)
    pen = ImageDraw.Draw(picture)
    for y in range(screen.lines):
        for x in range(screen.columns):
            cell = screen.buffer[y][x]
            front, back = colour(cell.fg, COLOURS["default"]), colour(cell.bg, GROUND)
            if cell.reverse:
                front, back = back, front
            at = ((x + 1) * width, y * height + height // 2)
            if back != GROUND:
                pen.rectangle([at, (at[0] + width, at[1] + height)], fill=back)
            if cell.underscore:
                pen.line([(at[0], at[1] + height - 2), (at[0] + width, at[1] + height - 2)], fill=front)
            if cell.data != " ":
                pen.text((at[0], at[1] + 1), cell.data, font=bold if cell.bold else plain, fill=front)
    picture.save(path, optimize=True)


def colour(name, default):
    if name == "default":
        return default
    name = FIRST.get(name, name)
    return COLOURS.get(name) or f"#{name}"

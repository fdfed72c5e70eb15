# SPDX-License-Identifier: Apache-2.0
"""Charts as inline SVG whose colours come from the page: bars side by side, dots on a line."""
import dataclasses
import html
import math

ROW = 22          # height of one row
LETTER = 6.7      # mean width of a letter of the font below


def text(x, y, words, css="", anchor=""):
    attributes = f' class="{css}"' if css else ""
    if anchor:
        attributes += f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{html.escape(words)}</text>'


def line(x1, y1, x2, y2, css):
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def round_ticks(highest, wanted=5):
    """Multiples of 1, 2 or 5 times a power of ten from 0 on; the last one is below `highest`."""
    raw = highest / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * (1 - 1e-9))
    return [i * step for i in range(int(highest / step + 1e-9) + 1)]


def number(value):
    """Three digits that matter, no exponent: 0.0123, 1.23, 12.3, 123, 1234."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def svg(width, height, parts, title):
    return (f'<svg class="chart" viewBox="0 0 {width} {height:.0f}" role="img" '
            f'aria-label="{html.escape(title)}">{"".join(parts)}</svg>')


@dataclasses.dataclass
class Bar:
    """A row of a bar chart: thick bar, and a thin one for a second value of the same thing."""
    name: str
    value: float
    second: float = None
    css: str = "s0"
    note: str = ""      # after the number
    heading: str = ""   # above the row, where a group starts


def bar_chart(bars, title, width=540, mark=None):
    """`mark` is (value, words): a dashed line through all bars."""
    left = 14 + max(len(bar.name) for bar in bars) * LETTER
    ends = [f"{number(bar.value)}{bar.note}" for bar in bars]
    right = 12 + max(map(len, ends)) * LETTER
    highest = max(max(bar.value, bar.second or 0) for bar in bars)
    scale = (width - left - right) / highest
    top = 20 if mark else 6
    parts, y = [], top
    rows = []
    for bar, end in zip(bars, ends):
        if bar.heading:
            y += 8 if rows else 0
            rows.append((y, None, bar.heading))
            y += ROW - 2
        rows.append((y, bar, end))
        y += ROW
    bottom = y + 2
    for tick in round_ticks(highest):
        x = left + tick * scale
        parts.append(line(x, top, x, bottom, "grid"))
        parts.append(text(x, bottom + 15, f"{tick:g}", "tick", "middle"))
    if mark and mark[0] <= highest:
        x = left + mark[0] * scale
        parts.append(line(x, top - 4, x, bottom, "mark"))
        parts.append(text(x, top - 8, mark[1], "label", "middle"))
    for y, bar, words in rows:
        if bar is None:
            parts.append(text(0, y + 15, words, "name"))
            continue
        parts.append(text(left - 8, y + 15, bar.name, "", "end"))
        thick = 14 if bar.second is None else 9
        y_bar = y + 4 if bar.second is None else y + 2
        parts.append(f'<rect class="{bar.css}" x="{left:.1f}" y="{y_bar:.1f}" rx="1.5" '
                     f'width="{max(1, bar.value * scale):.1f}" height="{thick}"/>')
        if bar.second is not None:
            parts.append(f'<rect class="{bar.css} pale" x="{left:.1f}" y="{y_bar + 10:.1f}" '
                         f'rx="1.5" width="{max(1, bar.second * scale):.1f}" height="6"/>')
        x = left + max(bar.value, bar.second or 0) * scale
        parts.append(text(x + 6, y + 15, words, "value"))
    return svg(width, bottom + 22, parts, title)


@dataclasses.dataclass
class DotRow:
    """A row of a dot chart; each dot is (value, name), names show when pointed at."""
    name: str
    dots: list
    css: str = "s0"
    heading: str = ""


def dot_chart(rows, title, unit, highest, width=1100):
    """Dots of each row on 0 .. highest, and a tick at their median."""
    left = 14 + max(max(len(row.name), len(row.heading)) for row in rows) * LETTER
    scale = (width - left - 66) / highest
    parts, body, y = [], [], 4
    for row in rows:
        if row.heading:
            y += 10 if body else 0
            body.append(text(0, y + 15, row.heading, "name"))
            y += ROW - 2
        middle = y + ROW / 2
        values = sorted(value for value, _ in row.dots)
        median = values[len(values) // 2] if len(values) % 2 else (
            values[len(values) // 2 - 1] + values[len(values) // 2]) / 2
        body.append(text(left - 8, middle + 4, row.name, "", "end"))
        body.append(line(left + values[0] * scale, middle, left + values[-1] * scale, middle,
                         "range"))
        for value, name in row.dots:
            body.append(f'<circle class="{row.css} dot" cx="{left + value * scale:.1f}" '
                        f'cy="{middle:.1f}" r="4.5"><title>{html.escape(name)}: {value:.0f} '
                        f'{html.escape(unit)}</title></circle>')
        body.append(line(left + median * scale, middle - 8, left + median * scale, middle + 8,
                         "median"))
        body.append(text(width - 2, middle + 4, f"{median:.0f} {unit}", "value", "end"))
        y += ROW
    for tick in round_ticks(highest, 10):
        x = left + tick * scale
        parts.append(line(x, 4, x, y + 2, "grid"))
        parts.append(text(x, y + 17, f"{tick:g}", "tick", "middle"))
    return svg(width, y + 24, parts + body, title)

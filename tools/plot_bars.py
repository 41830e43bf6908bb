"""Bar charts as SVG, written by hand: no dependency, readable as text."""

WIDTH = 760
BAR = 22
GAP = 8
LEFT = 250
RIGHT = 150
STYLE = ("text{font:13px sans-serif;fill:#222}"
         ".title{font-weight:bold;font-size:15px}.note{fill:#666}"
         ".own{fill:#2b6cb0}.peer{fill:#a0aec0}"
         ".target{stroke:#c05621;stroke-width:2;stroke-dasharray:4 3}"
         "@media(prefers-color-scheme:dark){text{fill:#ddd}.note{fill:#999}}")


def _escape(text):
    return (str(text).replace("&", "&amp;").replace("<", "&lt;")
            .replace(">", "&gt;"))


def short(value):
    """A number as people write it: 12.3 M, 456 k, 7.8."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"


def bars(title, note, rows):
    """An SVG of horizontal bars.

    `rows` are (label, value, text, own, target): `own` tells kafed from a
    peer, `target` is a value to mark on the bar, or None.
    """
    top = 52
    height = top + len(rows) * (BAR + GAP) + 8
    largest = max([row[1] for row in rows]
                  + [row[4] for row in rows if row[4] is not None])
    scale = (WIDTH - LEFT - RIGHT) / largest
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
           f'height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" '
           f'aria-label="{_escape(title)}">',
           f"<style>{STYLE}</style>",
           f'<text class="title" x="8" y="20">{_escape(title)}</text>',
           f'<text class="note" x="8" y="40">{_escape(note)}</text>']
    for number, (label, value, text, own, target) in enumerate(rows):
        y = top + number * (BAR + GAP)
        width = max(1, value * scale)
        kind = "own" if own else "peer"
        out += [f'<text x="{LEFT - 8}" y="{y + 16}" text-anchor="end">'
                f"{_escape(label)}</text>",
                f'<rect class="{kind}" x="{LEFT}" y="{y}" '
                f'width="{width:.1f}" height="{BAR}"/>',
                f'<text x="{LEFT + width + 6:.1f}" y="{y + 16}">'
                f"{_escape(text)}</text>"]
        if target is not None:
            x = LEFT + target * scale
            out.append(f'<line class="target" x1="{x:.1f}" y1="{y - 3}" '
                       f'x2="{x:.1f}" y2="{y + BAR + 3}"/>')
    return "\n".join(out + ["</svg>"]) + "\n"

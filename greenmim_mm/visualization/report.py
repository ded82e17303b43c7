"""A self-contained HTML page: text, tables and pictures in one file."""

import base64
from html import escape
from pathlib import Path
from typing import Sequence, Tuple, Union

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }}
h1, h2 {{ line-height: 1.2; }}
img {{ max-width: 100%; height: auto; border: 1px solid #ddd; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ padding: .3rem .8rem; border-bottom: 1px solid #ccc; text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
code, pre {{ background: #f4f4f4; padding: .1rem .3rem; overflow-x: auto; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""

Table = Sequence[Sequence[str]]
Part = Union[str, Path, Table]


def _render(part: Part) -> str:
    if isinstance(part, Path):
        data = base64.b64encode(part.read_bytes()).decode()
        return f'<p><img alt="{escape(part.stem)}" src="data:image/png;base64,{data}"></p>'
    if isinstance(part, str):
        return f'<p>{escape(part)}</p>'
    head, *rows = part
    cells = ''.join(f'<th>{escape(cell)}</th>' for cell in head)
    body = ''.join(
        '<tr>' + ''.join(f'<td>{escape(cell)}</td>' for cell in row) + '</tr>' for row in rows
    )
    return f'<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>'


def write_report(path: str, title: str, sections: Sequence[Tuple[str, Sequence[Part]]]) -> None:
    """Write the page.

    Args:
        path (str): HTML file to write.
        title (str): Title of the page.
        sections (Sequence[Tuple[str, Sequence[Part]]]): Heading and parts of each
            section; a part is a paragraph (str), a PNG (Path) or a table (rows of
            strings, the first is the head).
    """
    body = '\n'.join(
        f'<h2>{escape(heading)}</h2>\n' + '\n'.join(_render(part) for part in parts)
        for heading, parts in sections
    )
    Path(path).write_text(_PAGE.format(title=escape(title), body=body), encoding='utf-8')

"""What the site has beyond its Markdown files (hooks of MkDocs).

- ``{{ README.md: Install }}`` on a page becomes that section of that file of the repository,
  without its heading; ``{{ README.md }}`` the text above its first section.
- ``{{ models }}`` becomes tables of all configs, made of the metafiles and the configs' headers.
- Files of the repository become pages (:data:`PAGES`).
- Links to files that are no page lead to the repository, if ``repo_url`` is set, or are
  shown as paths.
"""

import os
import re
from pathlib import Path
from typing import Dict, Match

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    'contributing.md': 'CONTRIBUTING.md',
    'changelog.md': 'CHANGELOG.md',
    **{f'models/{path.parent.name}.md': path for path in ROOT.glob('configs/*/README.md')},
}
LINK = re.compile(r'(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)]*)?\)')


def section(file: str, title: str = '') -> str:
    """The text below a ``## title`` of a Markdown file, or above the first of them."""
    parts = re.split(r'^## (.*)\n', (ROOT / file).read_text(), flags=re.M)
    if not title:
        return re.sub(r'^# .*\n', '', parts[0]).strip()
    sections = dict(zip(parts[1::2], parts[2::2]))
    if title not in sections:
        raise PluginError(f'{file} has no section {title!r}, but {list(sections)}')
    return sections[title].strip()


def header(config: Path) -> Dict[str, str]:
    """``# Follows: ...`` and the like at the top of a config, by word; 'what' is its first line."""
    lines = re.match(r'(#.*\n)+', config.read_text())[0].splitlines()
    fields, word = {}, 'what'
    for line in lines:
        line = line.removeprefix('#').strip()
        named = re.match(r'([A-Z][\w ]+):\s+(.*)', line)
        word, line = (named[1], named[2]) if named else (word, line)
        fields[word] = f'{fields.get(word, "")} {line}'.strip()
    return fields


def models() -> str:
    """A table per collection, from the metafiles and the headers of their configs."""
    text = []
    for entry in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']:
        metafile = yaml.safe_load((ROOT / entry).read_text())
        collection = metafile['Collections'][0]
        folder = Path(collection['README']).parent.name
        text.append(f'## {collection["Name"]}')
        paper = collection.get('Paper')
        link = f'[{paper["Title"]}]({paper["URL"]}). ' if paper else ''
        text.append(f'{link}[Notes](models/{folder}.md). Configs in `configs/{folder}/`:')
        rows = ['| config | what | expected |', '|---|---|---|']
        for model in metafile['Models']:
            fields = header(ROOT / model['Config'])
            weights = f'; [weights]({model["Weights"]})' if model.get('Weights') else ''
            config = f'[{model["Name"]}](../{model["Config"]}){weights}'
            rows.append(f'| {config} | {fields["what"]} | {fields["Expected"]} |')
        text.append('\n'.join(rows))
    return '\n\n'.join(text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for uri, path in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    sources = {os.path.realpath(file.abs_src_path): file.src_uri for file in files}

    def relink(text: str, folder: Path) -> str:
        def target(match: Match) -> str:
            image, title, link, anchor = match[1], match[2], match[3], match[4] or ''
            path = os.path.realpath(folder / link)
            if path in sources or link in PAGES:
                uri = os.path.relpath(sources.get(path, link), Path(page.file.src_uri).parent)
                return f'{image}[{title}]({uri}{anchor})'
            if not os.path.exists(path):
                return match[0]  # MkDocs says that it is missing
            name = os.path.relpath(path, ROOT)
            if config.repo_url:
                return f'[{title}]({config.repo_url.rstrip("/")}/blob/main/{name})'
            if title == Path(name).stem:  # a config in a table of its folder
                return title
            return f'`{title}`' if title == name else f'{title} (`{name}`)'

        return LINK.sub(target, text)

    def include(match: Match) -> str:
        file, title = match[1], match[2] or ''
        if file == 'models':
            return relink(models(), ROOT / 'docs')
        return relink(section(file, title), (ROOT / file).parent)

    # links first: those of an included section start from another folder
    markdown = relink(markdown, Path(page.file.abs_src_path).parent)
    return re.sub(r'\{\{ ([\w./]+)(?:: ([^}]+))? \}\}', include, markdown)

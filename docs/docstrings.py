"""An extension of griffe, for mkdocstrings: Sphinx's roles and links become Markdown."""

import re

from griffe import Docstring, Extension, Object


class SphinxToMarkdown(Extension):
    def on_instance(self, *, obj: Object, **kwargs) -> None:
        """:class:`~a.b.C` -> `C`; `text <url>`_ -> [text](url); `here::` -> `here:`;
        `Example:` -> `Examples:`, whose `>>>` griffe knows."""
        if isinstance(obj.docstring, Docstring):
            text = obj.docstring.value
            text = re.sub(r':(?:class|func|meth|mod|attr|data):`~[\w.]*?(\w+)`', r'`\1`', text)
            text = re.sub(r':(?:class|func|meth|mod|attr|data):`([^`]+)`', r'`\1`', text)
            text = re.sub(r'(?<!`)`([^`<]+?)\s*<(\S+?)>`_', r'[\1](\2)', text)
            text = re.sub(r'::$', ':', text, flags=re.M)
            text = re.sub(r'^(\s*)Example:$', r'\1Examples:', text, flags=re.M)
            obj.docstring.value = text

"""Hook of mkdocs: pages of the site are the Markdown files of the repository, where they lie."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = ("*.md", "docs/*.md", "examples/*.md", "smolrgpt_core/checkpoints/*/*.md")
LINK = re.compile(r"\]\(([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages, and what they link to: a link out of `docs` is then right on the site too."""
    root = Path(config.config_file_path).parent
    pages = [page for pattern in PAGES for page in sorted(root.glob(pattern))]
    linked = {
        Path(os.path.normpath(page.parent / target))
        for page in pages
        for target in LINK.findall(page.read_text())
        if "://" not in target
    }
    found = [*pages, *sorted(path for path in linked - {*pages} if path.is_file())]
    of_theme = [file for file in files if file.src_dir != config.docs_dir]
    of_repository = [
        File.generated(config, path.relative_to(root).as_posix(), abs_src_path=str(path))
        for path in found
    ]
    return Files(of_theme + of_repository)

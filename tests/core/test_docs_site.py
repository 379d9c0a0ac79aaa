"""The documentation builds as a site, and every link in it leads somewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_the_site_builds_and_has_every_page(tmp_path: Path) -> None:
    built = build(ROOT, tmp_path)
    assert built.returncode == 0, built.stderr
    for page in [
        *ROOT.glob("docs/*.md"),
        ROOT / "examples" / "README.md",
        ROOT / "CONTRIBUTING.md",
    ]:
        name = page.relative_to(ROOT).with_suffix("")
        folder = name.parent if name.name == "README" else name
        assert (tmp_path / folder / "index.html").is_file(), page
    assert (tmp_path / "config" / "randomization.yaml").is_file()
    assert list(tmp_path.glob("assets/stylesheets/main.*.css"))


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("missing.md", "missing.md"),
        ("questions.md#no-such-heading", "does not contain an anchor"),
        ("../config/missing.yaml", "missing.yaml"),
    ],
)
def test_a_broken_link_fails_the_build(link: str, told: str, tmp_path: Path) -> None:
    for path in ROOT.iterdir():
        if path.name not in ("docs", "output"):
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs" / "demo.md").open("a") as page:
        page.write(f"\nSee [here]({link}).\n")
    broken = build(tmp_path, tmp_path / "site")
    assert broken.returncode == 1
    assert told in broken.stderr

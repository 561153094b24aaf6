"""The pages hang together: links lead somewhere, every page can be reached, and nothing that a page must list is missing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
BLOCK = re.compile(r"^ *(`{3,}).*?^ *\1 *$", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, made as Git hosts make them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> list[tuple[Path, str]]:
    """The pages and anchors that a page links to; addresses of other sites are left out."""
    found = []
    for link in LINK.finditer(prose(page)):
        path, _, anchor = link["target"].partition("#")
        if "://" not in link["target"]:
            found.append(((page.parent / path).resolve() if path else page, anchor))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    broken = [
        f"{target}#{anchor}"
        for target, anchor in links(page)
        if not target.is_file() or (anchor and anchor not in anchors(target))
    ]
    assert broken == []


def test_index_links_every_page() -> None:
    linked = {target for target, _ in links(DOCS / "README.md")}
    assert sorted(set(PAGES) - linked - {DOCS / "README.md"}) == []


def test_every_driver_class_has_its_place_in_the_reference() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pages = "".join(
        page.read_text(encoding="utf-8") for page in (DOCS / "reference" / "drivers").glob("*.md")
    )
    classes = project["entry-points"]["jumpstarter.drivers"].values()
    assert [path for path in classes if f"`driver.{path.partition(':')[2]}`" not in pages] == []


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for name in extras if name != "dev" for line in extras[name])]
    page = (DOCS / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    names = {re.split(r"[\[><=]", line)[0] for line in wanted} - {project["name"]}
    assert sorted(name for name in names if name not in page) == []
    assert [name for name in extras if f"`{name}`" not in page] == []


def test_every_public_error_is_in_the_tree_of_the_reference() -> None:
    from jumpstarter.common import exceptions

    page = (DOCS / "reference" / "python-api.md").read_text(encoding="utf-8")
    names = [name for name, value in vars(exceptions).items() if isinstance(value, type)]
    assert [name for name in names if not re.search(rf"\b{name}\b", page)] == []


def test_every_environment_variable_is_in_the_reference() -> None:
    from jumpstarter.config import env

    page = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    names = [value for name, value in vars(env).items() if name.isupper()]
    assert [name for name in names if f"`{name}`" not in page] == []

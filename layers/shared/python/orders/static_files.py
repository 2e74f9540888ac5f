"""Files that a function serves from its own package: a page, and what the page loads.

Whatever the page loads has a name with a digest in it, e.g. `start.8d5f….js`. What has such a name never changes, and
may be kept for ever; the page itself is asked for again after a few minutes, and leads to today's names.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

from aws_lambda_powertools.event_handler import Response

from orders.conditional import digest
from orders.errors import AddressNotFound

MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
}
SHORTLY: Final = MappingProxyType({"Cache-Control": "public, max-age=300"})
FOR_EVER: Final = MappingProxyType({"Cache-Control": "public, max-age=31536000, immutable"})


@dataclass(frozen=True)
class Content:
    """A file's text, and an entity tag of it."""

    text: str
    etag: str


def tagged(text: str) -> Content:
    """A text that is served as a file."""
    return Content(text, f'"{digest(text)}"')


@cache
def content(path: Path) -> Content:
    """Read once in a process: what is deployed does not change."""
    return tagged(path.read_text(encoding="utf-8"))


def respond(file: Content, media_type: str, headers: Mapping[str, str] = SHORTLY) -> Response[str]:
    """`200` with the file."""
    return Response(
        status_code=200, content_type=media_type, headers={"ETag": file.etag, **headers}, body=file.text
    )


@dataclass(frozen=True)
class Site:
    """A page and its assets."""

    folder: str
    """The last segment of the page's address. Assets are below it; the page writes them as `"docs/start.js"`."""
    page: Path
    assets: Mapping[str, Path]
    """By their names in the addresses, without the digest."""

    @cached_property
    def version(self) -> str:
        """A digest of all assets. Modules import each other in circles, so each of them changes with any of them."""
        return digest("".join(content(path).text for path in self.assets.values()))

    def versioned(self, asset: str) -> str:
        """The asset's name that may be kept for ever."""
        stem, _, suffix = asset.rpartition(".")
        return f"{stem}.{self.version}.{suffix}"

    def render(self, values: Mapping[str, str] = MappingProxyType({})) -> Content:
        """The page with today's names of its assets, and with values in the place of `{{name}}`, as text."""
        text = re.sub(
            rf'(?<="{self.folder}/)[^"]+', lambda name: self.versioned(name[0]), content(self.page).text
        )
        return tagged(re.sub(r"{{(\w+)}}", lambda name: html.escape(values[name[1]]), text))

    def respond(self, name: str) -> Response[str]:
        """The asset of a name, with or without a digest: a page from before a deploy asks for an earlier one.

        Raises:
            AddressNotFound: there is no such asset.
        """
        for asset, path in self.assets.items():
            stem, _, suffix = asset.rpartition(".")
            if name == asset or re.fullmatch(rf"{re.escape(stem)}\.[0-9a-f]{{32}}\.{suffix}", name):
                headers = FOR_EVER if name == self.versioned(asset) else SHORTLY
                return respond(self._read(path), MEDIA_TYPES[path.suffix], headers)
        raise AddressNotFound

    def _read(self, path: Path) -> Content:
        return content(path)


@dataclass(frozen=True)
class ModuleSite(Site):
    """A page of ES modules, which import each other as `"./money.js"`, or as a package is called, e.g. `"preact"`."""

    def _read(self, path: Path) -> Content:
        text = content(path).text
        if path.suffix != ".js":
            return tagged(text)
        return tagged(re.sub(r'\b(from\s*|import\()"([\w./@-]+)"', self._import, text))

    def _import(self, found: re.Match[str]) -> str:
        name = f"{found[2].removeprefix('./').removesuffix('.js')}.js"
        return f'{found[1]}"./{self.versioned(name)}"' if name in self.assets else found[0]

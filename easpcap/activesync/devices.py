"""Names for devices, from what their mail clients write into User-Agent."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from easpcap.activesync.apple import MODELS, VERSION_PREFIXES, VERSIONS

_APPLE: Final = re.compile(r"Apple-([A-Za-z]+)(?:(\d+)C(\d+))?(?:/(\d{3,4}\.\d+))?", re.ASCII)
_LETTER_DIGITS: Final = 5  # a build's lower-case suffix is written as its place in the alphabet, in five digits
_ALPHABET: Final = 26
_LONGEST: Final = 200  # of a header, as far as it is read

#: Other clients: the form of the header, and the name it gives. Compiled when first met, which spares every start.
_OTHERS: Final = (
    (r"iOS/([\d.]+) \(\w+\) dataaccessd", r"iOS \1"),
    (r"Outlook-iOS-Android/", "Outlook for iOS and Android"),
    (r"Android(?:-Mail)?/([\d.]+)", r"Android \1"),
    (r"(\w+Android)/([\d.]+)-EAS", r"\1 \2"),
    (r"SAMSUNG-([\w-]+)/", r"SAMSUNG \1"),
    (r"(SonyEricsson\w+)/", r"\1"),
    (r"(Nokia\w+)/", r"\1"),
    (r"MSFT-PPC/(\d+\.\d+)", r"Pocket PC, Windows Mobile \1"),
    (r"MSFT-SPhone/(\d+\.\d+)", r"Smartphone, Windows Mobile \1"),
    (r"MSFT-WP/(\d+\.\d+)", r"Windows Phone \1"),
    (r"MSFT-WIN-\d+/([\d.]+)", r"Windows Mail, Windows \1"),
    (r"Microsoft-Server-ActiveSync/([\d.]+)", r"Exchange front end \1"),
    (r"TestActiveSyncConnectivity", "connectivity test"),
)


def name_device(user_agent: str) -> str | None:
    """A device's name, such as "iPhone 4, iOS 4.1"; None where the header does not name one."""
    return _name(user_agent[:_LONGEST])


@lru_cache(maxsize=1024)
def _name(user_agent: str) -> str | None:
    apple = _APPLE.match(user_agent)
    if apple is not None:
        return _name_apple(*apple.groups())
    for form, name in _OTHERS:
        match = re.match(form, user_agent)
        if match is not None:
            return match.expand(name)
    return None


def _name_apple(family: str, major: str | None, minor: str | None, build: str | None) -> str:
    model = family if major is None else MODELS.get(f"{family}{major}C{minor}", f"{family}{major},{minor}")
    if build is None:
        return model
    version = VERSIONS.get(build) or next((v for p, v in VERSION_PREFIXES.items() if build.startswith(p)), None)
    return f"{model}, iOS {version}" if version else f"{model}, build {apple_build(build)}"


def apple_build(build: str) -> str:
    """Apple's form of a build: "803.14800001" is 8C148a (the letter as a number, then digits, then a suffix)."""
    front, _, digits = build.partition(".")
    letter, suffix = int(front[-2:]), ""
    if not 0 < letter <= _ALPHABET:
        return build
    if len(digits) > _LETTER_DIGITS and 0 < int(digits[-_LETTER_DIGITS:]) <= _ALPHABET:
        suffix = chr(ord("a") + int(digits[-_LETTER_DIGITS:]) - 1)
        digits = digits[:-_LETTER_DIGITS]
    return f"{front[:-2]}{chr(ord('A') + letter - 1)}{digits}{suffix}"

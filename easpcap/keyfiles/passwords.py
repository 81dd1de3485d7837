"""The bytes that a password may have been when a key file was made."""

from __future__ import annotations


def spellings(password: bytes) -> list[bytes]:
    """A password in UTF-8, as it was given, and in the older encodings of letters outside ASCII.

    OpenSSL before 1.1 took the bytes of a password for Latin-1 when it wrote PKCS #12.
    """
    found = [password]
    try:
        text = password.decode()
        if not text.isascii():
            found += [text.encode("cp1252"), password.decode("latin-1").encode()]
    except UnicodeError:  # no UTF-8, or letters that no Western Windows has
        pass
    return list(dict.fromkeys(found))

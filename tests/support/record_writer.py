"""Protects records, written from the RFCs and `cryptography` alone, so that decryption can be checked against it.

writer = RecordWriter(0x0303, suite(0x002F), keys)
wire = writer.record(23, b"application data")
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct

from cryptography.hazmat.decrepit.ciphers import algorithms as legacy
from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes

HASHES = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}


class RecordWriter:
    """Protects the records of one direction in one epoch.

    ``keys`` has mac_key, key and iv, as schedule.EpochKeys. ``padding`` adds whole blocks of CBC padding beyond the
    least; ``wrong_padding`` changes its first byte, and the MAC is right all the same. Fragments are numbered by
    ``sequence``, which may be set.
    """

    def __init__(self, version, suite, keys, *, encrypt_then_mac=False, padding=0, wrong_padding=False):
        self.version, self.suite, self.keys = version, suite, keys
        self.encrypt_then_mac, self.padding, self.wrong_padding = encrypt_then_mac, padding, wrong_padding
        self.sequence = 0
        self._last_block = keys.iv
        self._rc4 = Cipher(legacy.ARC4(keys.key), None).encryptor() if suite.cipher.startswith("RC4") else None

    def record(self, content_type, plaintext):
        """A whole record with its header."""
        fragment = self.fragment(content_type, plaintext)
        return struct.pack(">BHH", content_type, self.version, len(fragment)) + fragment

    def fragment(self, content_type, plaintext):
        sequence = self.sequence
        self.sequence += 1
        if self.suite.mac == "AEAD":
            return self._aead(sequence, content_type, plaintext)
        if self.suite.cipher == "NULL":
            return plaintext + self._mac(sequence, content_type, plaintext)
        if self._rc4:
            return self._rc4.update(plaintext + self._mac(sequence, content_type, plaintext))
        if self.encrypt_then_mac:
            encrypted = self._cbc(plaintext)
            return encrypted + self._mac(sequence, content_type, encrypted)
        return self._cbc(plaintext + self._mac(sequence, content_type, plaintext))

    def _mac(self, sequence, content_type, data):
        name, key = HASHES[self.suite.mac], self.keys.mac_key
        if self.version > 0x0300:
            header = struct.pack(">QBHH", sequence, content_type, self.version, len(data))
            return hmac.new(key, header + data, name).digest()
        # RFC 6101 section 5.2.3.1
        pads = 48 if name == "md5" else 40
        header = struct.pack(">QBH", sequence, content_type, len(data))
        inner = hashlib.new(name, key + b"\x36" * pads + header + data).digest()
        return hashlib.new(name, key + b"\x5c" * pads + inner).digest()

    def _cbc(self, data):
        cipher = block_algorithm(self.suite.cipher, self.keys.key)
        size = cipher.block_size // 8
        length = size - 1 - len(data) % size + size * self.padding
        body = data + bytes([length ^ 1 if self.wrong_padding else length]) + bytes([length]) * length
        iv = self._last_block if self.version < 0x0302 else os.urandom(size)
        encryptor = Cipher(cipher, modes.CBC(iv)).encryptor()
        encrypted = encryptor.update(body) + encryptor.finalize()
        self._last_block = encrypted[-size:]
        return encrypted if self.version < 0x0302 else iv + encrypted

    def _aead(self, sequence, content_type, plaintext):
        header = struct.pack(">QBHH", sequence, content_type, self.version, len(plaintext))
        if self.suite.cipher == "CHACHA20_POLY1305":
            nonce = bytes(a ^ b for a, b in zip(self.keys.iv, sequence.to_bytes(12, "big"), strict=True))
            return aead.ChaCha20Poly1305(self.keys.key).encrypt(nonce, plaintext, header)
        explicit = os.urandom(8)
        if "CCM" in self.suite.cipher:
            tag = 8 if self.suite.cipher.endswith("_8") else 16
            cipher = aead.AESCCM(self.keys.key, tag_length=tag)
        else:
            cipher = aead.AESGCM(self.keys.key)
        return explicit + cipher.encrypt(self.keys.iv + explicit, plaintext, header)


def block_algorithm(name, key):
    match name.split("_")[0]:
        case "AES":
            return algorithms.AES(key)
        case "3DES":
            return legacy.TripleDES(key)
        case "DES" | "DES40":
            return legacy.TripleDES(key + key + key)
        case "RC2":
            return legacy.RC2(key)
        case "IDEA":
            return legacy.IDEA(key)
        case "SEED":
            return legacy.SEED(key)
        case "CAMELLIA":
            return legacy.Camellia(key)
    raise AssertionError(name)

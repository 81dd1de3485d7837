"""One TLS connection: ciphertext events in, plaintext events and facts out."""

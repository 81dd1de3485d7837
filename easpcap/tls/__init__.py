"""TLS: records, handshakes, keys and what they hide, from SSL 3.0 to TLS 1.2."""

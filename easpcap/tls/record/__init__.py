"""Records on the wire: headers, the reader of one direction, the map to plaintext, sizes."""

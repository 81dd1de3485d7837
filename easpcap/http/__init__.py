"""HTTP/1.x: from the plaintext of a connection to exchanges. Knows neither TLS nor TCP."""

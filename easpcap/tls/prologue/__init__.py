"""Clear text before TLS: STARTTLS, CONNECT and others."""

"""What to do: cures for a fault, and the next step towards a capture that can be decrypted."""

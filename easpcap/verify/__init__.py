"""A second opinion: what Wireshark's dissectors, through pyshark, see in the captures of an analysis."""

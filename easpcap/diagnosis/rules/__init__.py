"""One rule a file: a RULE (its id and severity) and find(), which yields its findings. See docs/findings.md."""

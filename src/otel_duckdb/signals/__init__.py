"""What an operation becomes: spans, metrics and logs."""

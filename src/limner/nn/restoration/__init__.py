"""Networks that turn a picture into a better one of the same or of several times the size."""

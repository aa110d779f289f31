"""The door: any frame, file or dataset becomes a checked lazy log."""

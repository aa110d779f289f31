"""How well methods do on a log: held-out labels, and the truth where it is known."""

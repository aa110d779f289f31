"""What a log says about its annotators: how good each is, over time, on gold, in pairs, and judges."""

"""What to label next: ActiveLab, batches, and campaigns that try it out."""

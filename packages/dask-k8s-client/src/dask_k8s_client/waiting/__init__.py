"""What is seen of a cluster while people wait for it, what it means, and what they are shown. No requests."""

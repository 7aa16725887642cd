"""Commands about training data: nothing is sent."""

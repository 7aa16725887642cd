"""What data is: how many examples, how long they are, and which of them are the same."""

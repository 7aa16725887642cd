"""The shapes that training examples come in: recognising one, and rewriting it as another."""

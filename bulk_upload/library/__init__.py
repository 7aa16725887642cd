"""What Python programs call: uploads in one call or many, with logging, progress and interrupts as they are used to."""

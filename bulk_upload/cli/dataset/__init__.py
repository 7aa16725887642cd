"""What data is: options of `validate` that count, compare and scan examples."""

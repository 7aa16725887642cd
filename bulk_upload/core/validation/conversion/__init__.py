"""What `bulk-upload convert` can do about a finding."""

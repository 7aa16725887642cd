"""Purpose mix-ups: files that are plainly of another purpose than their entries say."""

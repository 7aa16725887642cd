"""Files APIs of other vendors, over real connections."""

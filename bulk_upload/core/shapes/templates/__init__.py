"""Records that are alike are converted alike: the decisions for one of them serve for all."""

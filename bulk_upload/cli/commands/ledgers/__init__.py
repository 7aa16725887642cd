"""Commands about ledgers and the files behind them."""

"""Claims and the volumes behind them."""

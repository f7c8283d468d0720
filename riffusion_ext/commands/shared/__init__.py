"""What several commands have in common: options, reports, and the work behind them."""

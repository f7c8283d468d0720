"""Options, reports and work that several commands share."""

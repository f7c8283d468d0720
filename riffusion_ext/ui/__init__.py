"""What the user sees: controls, players and tabs. The only place that imports gradio, and only inside functions."""

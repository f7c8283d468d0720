"""The user interface: components, players and pages. Only this package imports gradio, and only inside functions."""

"""What is to be generated over time: prompts, keyframes, curves."""

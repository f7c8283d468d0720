"""The pages of the Riffusion tab."""

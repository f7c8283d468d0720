"""Compatible routes: those of the original Riffusion server and of the RiffusionVST plugin."""

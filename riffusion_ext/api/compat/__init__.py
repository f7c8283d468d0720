"""Routes that other programs expect: the original Riffusion server and the RiffusionVST plugin."""

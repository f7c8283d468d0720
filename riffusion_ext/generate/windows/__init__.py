"""The images that make up a piece: plan, masks, initial images, and blending."""

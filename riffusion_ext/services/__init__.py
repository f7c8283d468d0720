"""What pages, command line, HTTP routes and hosts share: rendering a piece, saving a clip, the model on offer."""

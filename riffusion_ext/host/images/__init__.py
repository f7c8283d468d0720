"""What becomes of the images that a webui has generated: sound, records, players."""

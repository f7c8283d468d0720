"""Values from files, requests and texts that anybody may have written."""

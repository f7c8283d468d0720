"""Export of training sets in the formats that trainers read."""
